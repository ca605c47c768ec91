{{- /* The data of the chart's own Secret: what was given in values instead of in Secrets. */ -}}
{{- define "tapedeck.ownSecretData" -}}
{{- $v := .Values -}}
{{- $data := dict -}}
{{- if not (include "tapedeck.redisPasswordSecret" . | fromJson) -}}
{{- with include "tapedeck.redisUrl" . -}}{{- $_ := set $data "redis-url" . -}}{{- end -}}
{{- end -}}
{{- if $v.redis.embedded.enabled -}}{{- with $v.redis.embedded.password -}}{{- $_ := set $data "redis-password.conf" (printf "requirepass %s\n" .) -}}{{- end -}}{{- end -}}
{{- with $v.auth.jwt.publicKey.value -}}{{- $_ := set $data "jwt-public-key" . -}}{{- end -}}
{{- with $v.auth.jwt.secret.value -}}{{- $_ := set $data "jwt-secret" . -}}{{- end -}}
{{- with $v.auth.serviceTokens.tokens -}}{{- $_ := set $data "service-tokens" (toJson .) -}}{{- end -}}
{{- $keda := $v.pusher.autoscaling.keda -}}
{{- if and $v.pusher.enabled $keda.enabled (eq $keda.trigger "redisStreams") -}}
{{- $who := include "tapedeck.redisUser" . | fromJson -}}
{{- range include "tapedeck.redisTargets" . | fromJsonArray -}}
{{- if eq .name (include "tapedeck.ownSecret" $) -}}{{- $_ := set $data .key (get $who .parameter) -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $data -}}
{{- end -}}

{{- /* What of it a component reads once, as it starts: its pods roll when that changes. Service tokens are read again from their file. */ -}}
{{- define "tapedeck.ownSecretReadOnce" -}}
{{- $data := include "tapedeck.ownSecretData" .root | fromYaml -}}
{{- eq .component "pusher" | ternary (pick $data "redis-url") (pick $data "redis-url" "jwt-public-key" "jwt-secret") | toYaml -}}
{{- end -}}

{{- /*
Tells by an annotation whether something of (dict "root" $ "text" …) changed. Who may read pods may not read Secrets: of a plain hash a short password
could be guessed, millions of tries a second. So it is scrypt, salted by the release: a tenth of a second a try. Nothing random, which would roll all pods
each time something renders the chart anew.
*/ -}}
{{- define "tapedeck.fingerprint" -}}
{{- derivePassword 1 "maximum" .text .root.Release.Name .root.Release.Namespace | sha256sum -}}
{{- end -}}
