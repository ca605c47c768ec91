{{- /* The port of an http or https address. */ -}}
{{- define "tapedeck.urlPort" -}}
{{- $parsed := urlParse . -}}
{{- if regexMatch ":[0-9]+$" $parsed.host -}}
{{- splitList ":" $parsed.host | last -}}
{{- else -}}
{{- eq $parsed.scheme "https" | ternary "443" "80" -}}
{{- end -}}
{{- end -}}
