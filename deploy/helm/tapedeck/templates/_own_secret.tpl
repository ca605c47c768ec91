{{- /* The data of the chart's own Secret: what was given in values instead of in Secrets. Pods roll when it changes. */ -}}
{{- define "tapedeck.ownSecretData" -}}
{{- $v := .Values -}}
{{- $data := dict -}}
{{- with include "tapedeck.redisUrl" . -}}{{- $_ := set $data "redis-url" . -}}{{- end -}}
{{- if $v.redis.embedded.enabled -}}{{- with $v.redis.embedded.password -}}{{- $_ := set $data "redis-password" . -}}{{- end -}}{{- end -}}
{{- with $v.auth.jwt.publicKey.value -}}{{- $_ := set $data "jwt-public-key" . -}}{{- end -}}
{{- with $v.auth.jwt.secret.value -}}{{- $_ := set $data "jwt-secret" . -}}{{- end -}}
{{- with $v.auth.serviceTokens.tokens -}}{{- $_ := set $data "service-tokens" (toJson .) -}}{{- end -}}
{{- toYaml $data -}}
{{- end -}}
