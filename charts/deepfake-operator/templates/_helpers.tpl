{{- define "deepfake-operator.labels" -}}
app.kubernetes.io/name: deepfake-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "deepfake-operator.selector" -}}
app.kubernetes.io/name: deepfake-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "deepfake-operator.serviceAccountName" -}}
{{ default .Release.Name .Values.serviceAccount.name }}
{{- end }}
