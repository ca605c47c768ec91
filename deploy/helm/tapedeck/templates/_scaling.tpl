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

{{- /* JSON list of what KEDA needs to be let in to Redis: each parameter, with the Secret and the key that hold it. */ -}}
{{- define "tapedeck.redisTargets" -}}
{{- $streams := .Values.pusher.autoscaling.keda.redisStreams -}}
{{- $targets := list -}}
{{- if not $streams.authenticationRef -}}
{{- with $streams.existingSecret -}}
{{- if and .name .usernameKey -}}{{- $targets = append $targets (dict "parameter" "username" "name" .name "key" .usernameKey) -}}{{- end -}}
{{- if .name -}}{{- $targets = append $targets (dict "parameter" "password" "name" .name "key" .key) -}}{{- end -}}
{{- end -}}
{{- $embedded := include "tapedeck.redisPasswordSecret" . | fromJson -}}
{{- if and $embedded (not $streams.existingSecret.name) -}}
{{- $targets = append $targets (dict "parameter" "password" "name" $embedded.name "key" $embedded.key) -}}
{{- else if not $streams.existingSecret.name -}}
{{- $own := include "tapedeck.ownSecret" . -}}
{{- range $name, $_ := omit (include "tapedeck.redisUser" . | fromJson) "database" -}}
{{- $targets = append $targets (dict "parameter" $name "name" $own "key" (printf "redis-%s" $name)) -}}
{{- end -}}
{{- end -}}
{{- with .Values.redis.tls.existingSecret -}}
{{- if .name -}}{{- $targets = append $targets (dict "parameter" "ca" "name" .name "key" .key) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $targets -}}
{{- end -}}

{{- /* The triggers of a pusher that is scaled by hints: each partition's stream. */ -}}
{{- define "tapedeck.redisTriggers" -}}
{{- $streams := .Values.pusher.autoscaling.keda.redisStreams -}}
{{- $kind := $streams.kind | default (include "tapedeck.redisKind" .) -}}
{{- $addresses := join "," $streams.addresses | default (include "tapedeck.redisHosts" .) -}}
{{- $url := include "tapedeck.redisUrl" . -}}
{{- $path := splitList "/" (regexReplaceAll "\\?.*$" (regexReplaceAll "^[a-z+]+://" $url "") "") -}}
{{- $database := eq $kind "cluster" | ternary "" (include "tapedeck.redisUser" . | fromJson).database -}}
{{- $prefix := .Values.settings.redisPrefix | default "td:" -}}
{{- $authentication := $streams.authenticationRef -}}
{{- if include "tapedeck.redisTargets" . | fromJsonArray -}}
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
    {{- with $database }}
    databaseIndex: {{ . | quote }}
    {{- end }}
    {{- if and (or (hasPrefix "rediss" $url) $.Values.redis.tls.existingSecret.name $streams.tls) (not $streams.authenticationRef) }}
    enableTLS: "true"
    {{- end }}
  {{- with $authentication }}
  authenticationRef: {name: {{ . }}}
  {{- end }}
{{- end }}
{{- end -}}
