{{- /* The environment of a component. Every name is one that its settings know (docs/settings.md): a test compares. */ -}}

{{- /* Which shared settings each component knows. */ -}}
{{- define "tapedeck.sharedSettings" -}}
{{- $all := list "logLevel" "drainSeconds" "redisPrefix" "redisPartitions" "redisWaitReplicas" -}}
{{- $of := dict
  "listen" (concat $all (list "batchSeconds" "idleSeconds" "redisHighWater" "dailyLimitMs" "opusBitrate" "opusComplexity"))
  "pusher" (concat $all (list "batchSeconds" "idleSeconds" "redisHighWater"))
  "storageApi" (concat $all (list "dailyLimitMs" "opusBitrate" "opusComplexity"))
-}}
{{- index $of .component | toJson -}}
{{- end -}}

{{- /* A value as text: whole numbers without the exponent that Helm gives large ones. */ -}}
{{- define "tapedeck.text" -}}
{{- if kindIs "slice" . -}}{{ join "," . }}
{{- else if and (kindIs "float64" .) (eq . (floor .)) -}}{{ int64 . }}
{{- else -}}{{ . }}
{{- end -}}
{{- end -}}

{{- define "tapedeck.env" -}}
{{- $v := .root.Values -}}
{{- $component := .component -}}
{{- $own := index $v $component -}}
{{- $secret := include "tapedeck.ownSecret" .root -}}
{{- $needsStore := has $component (list "pusher" "storageApi") -}}
{{- $needsAuth := has $component (list "listen" "storageApi") -}}
{{- with include "tapedeck.redisPasswordSecret" .root | fromJson }}
- name: EMBEDDED_REDIS_PASSWORD
  valueFrom:
    secretKeyRef: {name: {{ .name }}, key: {{ .key }}}
- name: TAPEDECK_REDIS_URL
  value: redis://:$(EMBEDDED_REDIS_PASSWORD)@{{ include "tapedeck.redisName" $.root }}:6379
{{- else }}
- name: TAPEDECK_REDIS_URL
  valueFrom:
    secretKeyRef:
      {{- if $v.redis.existingSecret.name }}
      name: {{ $v.redis.existingSecret.name }}
      key: {{ $v.redis.existingSecret.key }}
      {{- else }}
      name: {{ $secret }}
      key: redis-url
      {{- end }}
{{- end }}
- name: TAPEDECK_ADMIN_BIND
  value: {{ printf "%s:9090" $v.bindAddress | quote }}
{{- if eq $component "listen" }}
- name: TAPEDECK_LISTEN_BIND
  value: {{ printf "%s:8080" $v.bindAddress | quote }}
{{- end }}
{{- if eq $component "storageApi" }}
- name: TAPEDECK_STORAGE_BIND
  value: {{ printf "%s:8081" $v.bindAddress | quote }}
{{- end }}
{{- if $needsAuth }}
{{- $jwt := $v.auth.jwt }}
- name: TAPEDECK_AUTH
  value: jwt
{{- if $jwt.jwksUrl }}
- name: TAPEDECK_JWT_JWKS_URL
  value: {{ $jwt.jwksUrl | quote }}
{{- else if or $jwt.publicKey.value $jwt.publicKey.existingSecret.name }}
- name: TAPEDECK_JWT_PUBLIC_KEY_FILE
  value: /etc/tapedeck/jwt/key
{{- else }}
- name: TAPEDECK_JWT_SECRET_FILE
  value: /etc/tapedeck/jwt/key
{{- end }}
{{- with $jwt.issuer }}
- name: TAPEDECK_JWT_ISSUER
  value: {{ . | quote }}
{{- end }}
{{- with $jwt.audience }}
- name: TAPEDECK_JWT_AUDIENCE
  value: {{ . | quote }}
{{- end }}
{{- with $jwt.uidClaim }}
- name: TAPEDECK_JWT_UID_CLAIM
  value: {{ . | quote }}
{{- end }}
{{- if not (kindIs "invalid" $jwt.leewaySeconds) }}
- name: TAPEDECK_JWT_LEEWAY_SECONDS
  value: {{ include "tapedeck.text" $jwt.leewaySeconds | quote }}
{{- end }}
{{- end }}
{{- if and (eq $component "storageApi") (or $v.auth.serviceTokens.tokens $v.auth.serviceTokens.existingSecret.name) }}
- name: TAPEDECK_SERVICE_TOKENS_FILE
  value: /etc/tapedeck/service-tokens/tokens.json
{{- end }}
{{- if $needsStore }}
- name: TAPEDECK_STORE_URL
  value: {{ $v.store.url | default "file:///var/lib/tapedeck/store" | quote }}
{{- with $v.store.fallbackUrl }}
- name: TAPEDECK_FALLBACK_STORE_URL
  value: {{ . | quote }}
{{- end }}
{{- if $v.store.googleKey.existingSecret.name }}
- name: GOOGLE_APPLICATION_CREDENTIALS
  value: /etc/tapedeck/google/key.json
{{- end }}
{{- range $name, $value := $v.store.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- if $v.encryption.existingSecret.name }}
- name: TAPEDECK_ENCRYPTION_KEYS_FILE
  value: /etc/tapedeck/encryption/keys
{{- end }}
{{- if $v.encryption.legacy.existingSecret.name }}
- name: TAPEDECK_LEGACY_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ $v.encryption.legacy.existingSecret.name }}
      key: {{ $v.encryption.legacy.existingSecret.key }}
{{- end }}
{{- end }}
{{- $known := include "tapedeck.sharedSettings" . | fromJsonArray }}
{{- range $name, $value := $v.settings }}
{{- if and (has $name $known) (not (kindIs "invalid" $value)) }}
- name: TAPEDECK_{{ snakecase $name | upper }}
  value: {{ include "tapedeck.text" $value | quote }}
{{- end }}
{{- end }}
{{- range $name, $value := $own.settings }}
{{- if not (kindIs "invalid" $value) }}
- name: TAPEDECK_{{ snakecase $name | upper }}
  value: {{ include "tapedeck.text" $value | quote }}
{{- end }}
{{- end }}
{{- with $v.otlpEndpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- if $v.caBundle.existingSecret.name }}
{{- /* OpenSSL, httpx and obstore read the one; requests, with which Google's library and the exporter of spans speak, the other. */}}
{{- range list "SSL_CERT_FILE" "REQUESTS_CA_BUNDLE" }}
- name: {{ . }}
  value: /etc/tapedeck/ca/ca.crt
{{- end }}
{{- end }}
{{- with $own.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
