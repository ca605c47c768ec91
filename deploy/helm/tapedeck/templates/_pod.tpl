{{- /* The pod of a component, (dict "root" $ "component" "listen"): restricted pod security, read-only root, no token. */ -}}

{{- define "tapedeck.podSecurityContext" -}}
runAsNonRoot: true
{{- with .runAsUser }}
runAsUser: {{ int64 . }}
{{- end }}
{{- with .runAsGroup }}
runAsGroup: {{ int64 . }}
{{- end }}
{{- with .fsGroup }}
fsGroup: {{ int64 . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "tapedeck.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* Files that a component is given: JSON list of {name, path, secret, key, as}. */ -}}
{{- define "tapedeck.files" -}}
{{- $v := .root.Values -}}
{{- $own := include "tapedeck.ownSecret" .root -}}
{{- $files := list -}}
{{- if $v.redis.tls.existingSecret.name -}}
{{- $files = append $files (dict "name" "redis-ca" "path" "/etc/tapedeck/redis" "secret" $v.redis.tls.existingSecret.name "key" $v.redis.tls.existingSecret.key "as" "ca.crt") -}}
{{- end -}}
{{- with $v.caBundle.existingSecret -}}
{{- if .name -}}
{{- $files = append $files (dict "name" "ca" "path" "/etc/tapedeck/ca" "secret" .name "key" .key "as" "ca.crt") -}}
{{- end -}}
{{- end -}}
{{- if has .component (list "listen" "storageApi") -}}
{{- $jwt := $v.auth.jwt -}}
{{- if $jwt.publicKey.value -}}
{{- $files = append $files (dict "name" "jwt" "path" "/etc/tapedeck/jwt" "secret" $own "key" "jwt-public-key" "as" "key") -}}
{{- else if $jwt.publicKey.existingSecret.name -}}
{{- $files = append $files (dict "name" "jwt" "path" "/etc/tapedeck/jwt" "secret" $jwt.publicKey.existingSecret.name "key" $jwt.publicKey.existingSecret.key "as" "key") -}}
{{- else if $jwt.secret.value -}}
{{- $files = append $files (dict "name" "jwt" "path" "/etc/tapedeck/jwt" "secret" $own "key" "jwt-secret" "as" "key") -}}
{{- else if $jwt.secret.existingSecret.name -}}
{{- $files = append $files (dict "name" "jwt" "path" "/etc/tapedeck/jwt" "secret" $jwt.secret.existingSecret.name "key" $jwt.secret.existingSecret.key "as" "key") -}}
{{- end -}}
{{- end -}}
{{- if eq .component "storageApi" -}}
{{- if $v.auth.serviceTokens.tokens -}}
{{- $files = append $files (dict "name" "service-tokens" "path" "/etc/tapedeck/service-tokens" "secret" $own "key" "service-tokens" "as" "tokens.json") -}}
{{- else if $v.auth.serviceTokens.existingSecret.name -}}
{{- $files = append $files (dict "name" "service-tokens" "path" "/etc/tapedeck/service-tokens" "secret" $v.auth.serviceTokens.existingSecret.name "key" $v.auth.serviceTokens.existingSecret.key "as" "tokens.json") -}}
{{- end -}}
{{- end -}}
{{- if has .component (list "pusher" "storageApi") -}}
{{- if $v.store.googleKey.existingSecret.name -}}
{{- $files = append $files (dict "name" "google" "path" "/etc/tapedeck/google" "secret" $v.store.googleKey.existingSecret.name "key" $v.store.googleKey.existingSecret.key "as" "key.json") -}}
{{- end -}}
{{- if $v.encryption.existingSecret.name -}}
{{- $files = append $files (dict "name" "encryption" "path" "/etc/tapedeck/encryption" "secret" $v.encryption.existingSecret.name "key" $v.encryption.existingSecret.key "as" "keys") -}}
{{- end -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{- /* Whether the component mounts the volume that stands for a bucket. */ -}}
{{- define "tapedeck.hasStore" -}}
{{- if and (has .component (list "pusher" "storageApi")) .root.Values.store.persistence.enabled -}}true{{- end -}}
{{- end -}}

{{- /* The affinity in the values; with a volume that one node alone can mount, pusher and storage-api are kept together, which the scheduler does not do by itself. */ -}}
{{- define "tapedeck.affinity" -}}
{{- $affinity := deepCopy (index .root.Values .component).affinity -}}
{{- if and (include "tapedeck.hasStore" .) (not (has "ReadWriteMany" .root.Values.store.persistence.accessModes)) -}}
{{- $together := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict
  "matchLabels" (include "tapedeck.selectorLabels" (dict "root" .root) | fromYaml)
  "matchExpressions" (list (dict "key" "app.kubernetes.io/component" "operator" "In" "values" (list "pusher" "storage-api")))) -}}
{{- $pods := $affinity.podAffinity | default dict -}}
{{- $required := append ($pods.requiredDuringSchedulingIgnoredDuringExecution | default list) $together -}}
{{- $_ := set $affinity "podAffinity" (merge (dict "requiredDuringSchedulingIgnoredDuringExecution" $required) $pods) -}}
{{- end -}}
{{- toYaml $affinity -}}
{{- end -}}

{{- define "tapedeck.pod" -}}
{{- $v := .root.Values -}}
{{- $own := index $v .component -}}
{{- $files := include "tapedeck.files" . | fromJsonArray -}}
{{- $hasStore := include "tapedeck.hasStore" . -}}
{{- $drain := $v.settings.drainSeconds | default 25 -}}
{{- $module := snakecase .component -}}
metadata:
  # No version: a pod changes where its image or its settings do, not with each version of the chart.
  labels:
    {{- include "tapedeck.selectorLabels" . | nindent 4 }}
    app.kubernetes.io/part-of: tapedeck
    {{- with $own.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    checksum/own: {{ include "tapedeck.fingerprint" (dict "root" .root "text" (include "tapedeck.ownSecretReadOnce" .)) }}
    {{- with $own.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tapedeck.serviceAccountName" . }}
  automountServiceAccountToken: false
  # Services named tapedeck-… would put TAPEDECK_… variables of theirs among the settings.
  enableServiceLinks: false
  {{- with $v.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    {{- include "tapedeck.podSecurityContext" $v.podSecurity | nindent 4 }}
  # preStop, drain, and what comes after it before the kernel ends the process.
  terminationGracePeriodSeconds: {{ add (int $own.preStopSeconds) (ceil $drain | int) 5 }}
  {{- with $own.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- if $v.topologySpread.enabled }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: topology.kubernetes.io/zone
      whenUnsatisfiable: {{ $v.topologySpread.whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "tapedeck.selectorLabels" . | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "tapedeck.selectorLabels" . | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
  {{- end }}
  {{- with $own.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "tapedeck.affinity" . | fromYaml }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: {{ kebabcase .component }}
      image: {{ include "tapedeck.image" . | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      command: [python, -m, {{ $module }}]
      securityContext:
        {{- include "tapedeck.containerSecurityContext" . | nindent 8 }}
      ports:
        {{- if eq .component "listen" }}
        - {name: http, containerPort: 8080, protocol: TCP}
        {{- else if eq .component "storageApi" }}
        - {name: http, containerPort: 8081, protocol: TCP}
        {{- end }}
        - {name: admin, containerPort: 9090, protocol: TCP}
      env:
        {{- include "tapedeck.env" . | nindent 8 }}
      {{- if and (has .component (list "pusher" "storageApi")) $v.store.existingSecret }}
      envFrom:
        - secretRef:
            name: {{ $v.store.existingSecret }}
      {{- end }}
      # Whether it lives asks the process alone, never Redis or the bucket: those are no reason to kill it.
      startupProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 1
        timeoutSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        periodSeconds: 3
        timeoutSeconds: 3
        failureThreshold: 2
      {{- if gt (int $own.preStopSeconds) 0 }}
      lifecycle:
        preStop:
          sleep: {seconds: {{ int $own.preStopSeconds }}}
      {{- end }}
      resources:
        {{- toYaml $own.resources | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        {{- range $files }}
        - {name: {{ .name }}, mountPath: {{ .path }}, readOnly: true}
        {{- end }}
        {{- if $hasStore }}
        - {name: store, mountPath: /var/lib/tapedeck}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {sizeLimit: 1Gi}
    {{- range $files }}
    - name: {{ .name }}
      secret:
        secretName: {{ .secret }}
        defaultMode: 0440
        items:
          - {key: {{ .key | quote }}, path: {{ .as }}}
    {{- end }}
    {{- if $hasStore }}
    - name: store
      persistentVolumeClaim:
        claimName: {{ $v.store.persistence.existingClaim | default (printf "%s-store" (include "tapedeck.fullname" .root)) }}
    {{- end }}
{{- end -}}
