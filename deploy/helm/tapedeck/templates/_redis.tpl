{{- /* Where Redis is: its address, what kind, its hosts and ports as far as values tell them. */ -}}

{{- define "tapedeck.redisName" -}}{{ include "tapedeck.fullname" . }}-redis{{- end -}}

{{- /* JSON of the Secret of the operator's that holds the embedded one's password: name and key; empty where there is none. */ -}}
{{- define "tapedeck.redisPasswordSecret" -}}
{{- $embedded := .Values.redis.embedded -}}
{{- if and $embedded.enabled $embedded.existingSecret.name -}}{{ toJson $embedded.existingSecret }}{{- else -}}{}{{- end -}}
{{- end -}}

{{- /* The address as services get it; empty where a Secret holds it. Without the password that `tapedeck.redisPasswordSecret` has. */ -}}
{{- define "tapedeck.redisUrl" -}}
{{- $redis := .Values.redis -}}
{{- if $redis.embedded.enabled -}}
redis://{{ with $redis.embedded.password }}:{{ . }}@{{ end }}{{ include "tapedeck.redisName" . }}:6379
{{- else if $redis.url -}}
{{- $redis.url -}}
{{- if and $redis.tls.existingSecret.name (not (contains "ssl_ca_certs=" $redis.url)) -}}
{{- ternary "&" "?" (contains "?" $redis.url) }}ssl_ca_certs=/etc/tapedeck/redis/ca.crt
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* `single`, `cluster` or `sentinel`. */ -}}
{{- define "tapedeck.redisKind" -}}
{{- $url := include "tapedeck.redisUrl" . -}}
{{- if regexMatch "^rediss?\\+cluster:" $url -}}cluster
{{- else if regexMatch "^rediss?\\+sentinel:" $url -}}sentinel
{{- else -}}single
{{- end -}}
{{- end -}}

{{- /* host:port,host:port of the address, without user and password; empty where a Secret holds it. */ -}}
{{- define "tapedeck.redisHosts" -}}
{{- $rest := regexReplaceAll "^[a-z+]+://" (include "tapedeck.redisUrl" .) "" -}}
{{- $rest = regexReplaceAll "[/?].*$" $rest "" | splitList "@" | last -}}
{{- $default := eq (include "tapedeck.redisKind" .) "sentinel" | ternary "26379" "6379" -}}
{{- $hosts := list -}}
{{- range splitList "," $rest -}}
{{- if . -}}{{- $hosts = append $hosts (regexMatch ":[0-9]+$" . | ternary . (printf "%s:%s" . $default)) -}}{{- end -}}
{{- end -}}
{{- join "," $hosts -}}
{{- end -}}

{{- /* JSON list of the ports that services must reach. */ -}}
{{- define "tapedeck.redisPorts" -}}
{{- $ports := list -}}
{{- if .Values.redis.ports -}}
{{- range .Values.redis.ports -}}{{- $ports = append $ports (int .) -}}{{- end -}}
{{- else -}}
{{- range splitList "," (include "tapedeck.redisHosts" .) -}}
{{- if . -}}{{- $ports = append $ports (splitList ":" . | last | int) -}}{{- end -}}
{{- end -}}
{{- if or (not $ports) (eq (include "tapedeck.redisKind" .) "sentinel") -}}
{{- $ports = append $ports 6379 -}}
{{- end -}}
{{- if .Values.redis.existingSecret.name -}}{{- $ports = append $ports 26379 -}}{{- end -}}
{{- end -}}
{{- toJson (uniq $ports) -}}
{{- end -}}

{{- /* Partitions of the hints, as audiobus counts them: 1, on a cluster 16. */ -}}
{{- define "tapedeck.redisPartitions" -}}
{{- $kind := .Values.pusher.autoscaling.keda.redisStreams.kind | default (include "tapedeck.redisKind" .) -}}
{{- .Values.settings.redisPartitions | default (eq $kind "cluster" | ternary 16 1) | int -}}
{{- end -}}

{{- /* JSON of who the services are to Redis, as far as the address tells: username, password, and the number of the database. */ -}}
{{- define "tapedeck.redisUser" -}}
{{- $rest := regexReplaceAll "^[a-z+]+://" (include "tapedeck.redisUrl" .) "" -}}
{{- $user := regexFind "^[^/?]*@" $rest | trimSuffix "@" -}}
{{- $found := dict -}}
{{- /* urlParse decodes a path, and nothing else does. */ -}}
{{- range $name, $text := dict "username" (splitList ":" $user | first) "password" (regexReplaceAll "^[^:]*:?" $user "") -}}
{{- with $text -}}{{- $_ := set $found $name (get (urlParse (printf "redis://host/%s" .)) "path" | trimPrefix "/") -}}{{- end -}}
{{- end -}}
{{- $path := splitList "/" (regexReplaceAll "[?].*$" $rest "") | rest -}}
{{- if eq (include "tapedeck.redisKind" .) "sentinel" -}}{{- $path = rest $path -}}{{- end -}}
{{- with first $path -}}{{- $_ := set $found "database" . -}}{{- end -}}
{{- toJson $found -}}
{{- end -}}
