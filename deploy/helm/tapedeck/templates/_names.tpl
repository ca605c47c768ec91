{{- /* What things are called, and the labels that they carry. Selectors are for ever: a Deployment's cannot be changed. */ -}}

{{- define "tapedeck.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The components by their keys in the values: those that are switched on. */ -}}
{{- define "tapedeck.components" -}}
{{- $on := list -}}
{{- range list "listen" "pusher" "storageApi" -}}
{{- if (index $.Values .).enabled -}}{{- $on = append $on . -}}{{- end -}}
{{- end -}}
{{- toJson $on -}}
{{- end -}}

{{- /* Of (dict "root" $ "component" "storageApi"): release-tapedeck-storage-api. */ -}}
{{- define "tapedeck.componentName" -}}
{{- include "tapedeck.fullname" .root }}-{{ kebabcase .component -}}
{{- end -}}

{{- define "tapedeck.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ kebabcase . }}
{{- end }}
{{- end -}}

{{- define "tapedeck.labels" -}}
{{ include "tapedeck.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tapedeck
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "tapedeck.serviceAccountName" -}}
{{- $account := (index .root.Values .component).serviceAccount -}}
{{- if $account.create -}}
{{- default (include "tapedeck.componentName" .) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end -}}

{{- /* registry/repository:tag, or @digest. */ -}}
{{- define "tapedeck.image" -}}
{{- $image := (index .root.Values .component).image -}}
{{- $all := .root.Values.image -}}
{{- with $all.registry -}}{{ trimSuffix "/" . }}/{{- end -}}
{{- $image.repository -}}
{{- if $image.digest -}}@{{ $image.digest }}{{- else -}}:{{ $image.tag | default $all.tag | default .root.Chart.AppVersion }}{{- end -}}
{{- end -}}

{{- /* The Secret of the chart's own, for what was given in values. */ -}}
{{- define "tapedeck.ownSecret" -}}
{{- include "tapedeck.fullname" . }}-own
{{- end -}}
