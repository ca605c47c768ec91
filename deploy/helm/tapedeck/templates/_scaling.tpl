{{- /* Up at once, down slowly: every listen pod that goes sends its clients elsewhere. */ -}}
{{- define "tapedeck.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  policies:
    - {type: Percent, value: 100, periodSeconds: 60}
    - {type: Pods, value: 4, periodSeconds: 60}
scaleDown:
  stabilizationWindowSeconds: {{ eq . "listen" | ternary 600 300 }}
  policies:
    - {type: Pods, value: 1, periodSeconds: 60}
{{- end -}}

{{- /* The triggers of a pusher that is scaled by hints: each partition's stream. */ -}}
{{- define "tapedeck.redisTriggers" -}}
{{- $streams := .Values.pusher.autoscaling.keda.redisStreams -}}
{{- $kind := $streams.kind | default (include "tapedeck.redisKind" .) -}}
{{- $addresses := join "," $streams.addresses | default (include "tapedeck.redisHosts" .) -}}
{{- $url := include "tapedeck.redisUrl" . -}}
{{- $path := splitList "/" (regexReplaceAll "\\?.*$" (regexReplaceAll "^[a-z+]+://" $url "") "") -}}
{{- $prefix := .Values.settings.redisPrefix | default "td:" -}}
{{- $authentication := $streams.authenticationRef -}}
{{- if and (not $authentication) (or $streams.existingSecret.name .Values.redis.embedded.password) -}}
{{- $authentication = printf "%s-redis" (include "tapedeck.componentName" (dict "root" . "component" "pusher")) -}}
{{- end -}}
{{- range $partition := until (include "tapedeck.redisPartitions" . | int) }}
- type: {{ eq $kind "single" | ternary "redis-streams" (printf "redis-%s-streams" $kind) }}
  metadata:
    {{ eq $kind "single" | ternary "address" "addresses" }}: {{ $addresses | quote }}
    {{- if eq $kind "sentinel" }}
    sentinelMaster: {{ $streams.sentinelMaster | default (len $path | eq 1 | ternary "" (index (append $path "") 1)) | quote }}
    {{- end }}
    stream: {{ printf "%sready:{%d}" $prefix $partition | quote }}
    consumerGroup: pusher
    lagCount: {{ int $streams.lag | quote }}
    activationLagCount: "0"
    {{- if and (hasPrefix "rediss" $url) (not $streams.authenticationRef) }}
    enableTLS: "true"
    {{- end }}
  {{- with $authentication }}
  authenticationRef: {name: {{ . }}}
  {{- end }}
{{- end }}
{{- end -}}
