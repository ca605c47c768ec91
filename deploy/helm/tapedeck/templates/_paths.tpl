{{- /* What of a host belongs to whom: both may share one. Tickets are listen's, all else under /v1 is not. */ -}}
{{- define "tapedeck.paths" -}}
{{- if eq . "listen" -}}
[{"path": "/v4", "type": "Prefix"}, {"path": "/v1/tickets", "type": "Exact"}]
{{- else -}}
[{"path": "/", "type": "Prefix"}]
{{- end -}}
{{- end -}}
