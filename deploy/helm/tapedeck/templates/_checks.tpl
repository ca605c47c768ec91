{{- /* What the schema cannot say in words that help: what is missing, and what excludes each other. */ -}}

{{- define "tapedeck.checks" -}}
{{- $v := .Values -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" (include "tapedeck.fullname" .)) -}}
{{- fail (printf "%q cannot name Services: they begin with a letter and have no dots; choose another release name, or set fullnameOverride" (include "tapedeck.fullname" .)) -}}
{{- end -}}
{{- $redis := list -}}
{{- if $v.redis.url }}{{ $redis = append $redis "redis.url" }}{{ end -}}
{{- if $v.redis.existingSecret.name }}{{ $redis = append $redis "redis.existingSecret.name" }}{{ end -}}
{{- if $v.redis.embedded.enabled }}{{ $redis = append $redis "redis.embedded.enabled" }}{{ end -}}
{{- if not $redis -}}
{{- fail "Redis is missing: set redis.url, as redis://host:6379, or redis.existingSecret.name (or redis.embedded.enabled, to try it out)" -}}
{{- end -}}
{{- if gt (len $redis) 1 -}}
{{- fail (printf "Redis is named more than once: keep one of %s" (join ", " $redis)) -}}
{{- end -}}
{{- if and $v.redis.tls.existingSecret.name (not $v.redis.existingSecret.name) (not (hasPrefix "rediss" (include "tapedeck.redisUrl" .))) -}}
{{- fail "redis.tls is for an address that begins with rediss: this Redis is asked without TLS" -}}
{{- end -}}
{{- if and $v.caBundle.existingSecret.name (hasKey $v.store.env "SSL_CERT_FILE") -}}
{{- fail "caBundle and store.env.SSL_CERT_FILE both say whom to trust: keep caBundle" -}}
{{- end -}}
{{- if and $v.redis.embedded.password $v.redis.embedded.existingSecret.name -}}
{{- fail "the embedded Redis has one password: keep redis.embedded.password or redis.embedded.existingSecret.name" -}}
{{- end -}}
{{- if and $v.redis.embedded.enabled (gt (int $v.settings.redisWaitReplicas) 0) -}}
{{- fail "settings.redisWaitReplicas: the embedded Redis has no replica, and nothing would ever be confirmed" -}}
{{- end -}}
{{- range $network := $v.listen.settings.trustedProxies -}}
{{- with include "tapedeck.networkMistake" $network -}}
{{- fail (printf "listen.settings.trustedProxies: %s %s" $network .) -}}
{{- end -}}
{{- end -}}
{{- if or $v.pusher.enabled $v.storageApi.enabled -}}
{{- if not (or $v.store.url $v.store.persistence.enabled) -}}
{{- fail "the bucket is missing: set store.url, as gs://bucket (or store.persistence.enabled, to try it out)" -}}
{{- end -}}
{{- range $name := list "url" "fallbackUrl" -}}
{{- $url := index $v.store $name -}}
{{- if and (hasPrefix "file:" $url) (not (and $v.store.persistence.enabled (hasPrefix "file:///var/lib/tapedeck/" $url))) -}}
{{- fail (printf "store.%s lies in the pod, and would be lost with it: name a bucket (or, to try it out, a folder below file:///var/lib/tapedeck/ with store.persistence.enabled)" $name) -}}
{{- end -}}
{{- end -}}
{{- if and $v.store.fallbackUrl (eq (trimSuffix "/" $v.store.fallbackUrl) (trimSuffix "/" $v.store.url)) -}}
{{- fail "store.fallbackUrl is store.url: the second bucket must be another one" -}}
{{- end -}}
{{- end -}}
{{- if or $v.listen.enabled $v.storageApi.enabled -}}
{{- $jwt := $v.auth.jwt -}}
{{- $keys := list -}}
{{- if $jwt.jwksUrl }}{{ $keys = append $keys "auth.jwt.jwksUrl" }}{{ end -}}
{{- if $jwt.publicKey.value }}{{ $keys = append $keys "auth.jwt.publicKey.value" }}{{ end -}}
{{- if $jwt.publicKey.existingSecret.name }}{{ $keys = append $keys "auth.jwt.publicKey.existingSecret.name" }}{{ end -}}
{{- if $jwt.secret.value }}{{ $keys = append $keys "auth.jwt.secret.value" }}{{ end -}}
{{- if $jwt.secret.existingSecret.name }}{{ $keys = append $keys "auth.jwt.secret.existingSecret.name" }}{{ end -}}
{{- if not $keys -}}
{{- fail "the keys of user tokens are missing: set auth.jwt.jwksUrl, auth.jwt.publicKey or auth.jwt.secret (value or existingSecret.name)" -}}
{{- end -}}
{{- if gt (len $keys) 1 -}}
{{- fail (printf "user tokens have one source of keys: keep one of %s" (join ", " $keys)) -}}
{{- end -}}
{{- end -}}
{{- if and $v.auth.serviceTokens.tokens $v.auth.serviceTokens.existingSecret.name -}}
{{- fail "service tokens have one source: keep auth.serviceTokens.tokens or auth.serviceTokens.existingSecret.name" -}}
{{- end -}}
{{- $accounts := dict -}}
{{- range $component := include "tapedeck.components" . | fromJsonArray -}}
{{- if (index $v $component).serviceAccount.create -}}
{{- $account := include "tapedeck.serviceAccountName" (dict "root" $ "component" $component) -}}
{{- if hasKey $accounts $account -}}
{{- fail (printf "%s and %s both create the service account %s: let one of them have create: false" (get $accounts $account) $component $account) -}}
{{- end -}}
{{- $_ := set $accounts $account $component -}}
{{- end -}}
{{- $given := keys $v.store.env -}}
{{- if $v.otlpEndpoint }}{{ $given = append $given "OTEL_EXPORTER_OTLP_ENDPOINT" }}{{ end -}}
{{- if $v.caBundle.existingSecret.name }}{{ $given = concat $given (list "SSL_CERT_FILE" "REQUESTS_CA_BUNDLE") }}{{ end -}}
{{- if $v.store.googleKey.existingSecret.name }}{{ $given = append $given "GOOGLE_APPLICATION_CREDENTIALS" }}{{ end -}}
{{- range (index $v $component).extraEnv -}}
{{- if has .name $given -}}
{{- fail (printf "%s.extraEnv: %s is given by another value already" $component .name) -}}
{{- end -}}
{{- if and (hasPrefix "TAPEDECK_" .name) (ne .name "TAPEDECK_LIBOPUS") -}}
{{- fail (printf "%s.extraEnv: %s is a setting: give it under settings or %s.settings, by its name in docs/settings.md" $component .name $component) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $component := list "listen" "pusher" "storageApi" -}}
{{- $scaling := (index $v .).autoscaling -}}
{{- if and $scaling.hpa.enabled $scaling.keda.enabled -}}
{{- fail (printf "%s.autoscaling: hpa and keda exclude each other, as KEDA makes an HPA of its own: enable one of them" .) -}}
{{- end -}}
{{- range $how := list "hpa" "keda" -}}
{{- $one := index $scaling $how -}}
{{- if gt (int $one.minReplicas) (int $one.maxReplicas) -}}
{{- fail (printf "%s.autoscaling.%s: minReplicas is above maxReplicas" $component $how) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if $v.pusher.enabled -}}
{{- $keda := $v.pusher.autoscaling.keda -}}
{{- if and $keda.enabled (eq $keda.trigger "redisStreams") (not $keda.redisStreams.addresses) $v.redis.existingSecret.name -}}
{{- fail "pusher.autoscaling.keda.redisStreams.addresses is missing: the chart cannot read them from redis.existingSecret" -}}
{{- end -}}
{{- end -}}
{{- /* Who scrapes refuses a time-out that is longer than the interval, and then nothing is scraped. */ -}}
{{- range $name := list "serviceMonitor" "podMonitoring" -}}
{{- $interval := (index $v.monitoring $name).interval -}}
{{- $unit := get (dict "ms" 1 "s" 1000 "m" 60000) (regexFind "[a-z]+$" $interval) -}}
{{- if lt (mul $unit (regexFind "^[0-9]+" $interval | atoi)) 5000 -}}
{{- fail (printf "monitoring.%s.interval: %s is less than the 5s that a scrape may take" $name $interval) -}}
{{- end -}}
{{- end -}}
{{- if and $v.gateway.enabled (not $v.gateway.parentRefs) -}}
{{- fail "gateway.parentRefs is missing: which Gateway do the routes belong to?" -}}
{{- end -}}
{{- if and $v.gateway.enabled (not (or $v.gateway.listenHosts $v.gateway.storageApiHosts)) -}}
{{- fail "gateway.listenHosts and gateway.storageApiHosts are both missing: a route without hosts would answer for all of the Gateway's" -}}
{{- end -}}
{{- if and $v.ingress.enabled (not (or $v.ingress.listenHost $v.ingress.storageApiHost)) -}}
{{- fail "ingress.listenHost and ingress.storageApiHost are both missing: an Ingress needs a host" -}}
{{- end -}}
{{- end -}}
