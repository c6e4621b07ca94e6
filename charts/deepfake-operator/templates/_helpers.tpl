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

{{- /* Objects without a namespace: releases of one name in two namespaces must not share them. */ -}}
{{- define "deepfake-operator.clusterName" -}}
{{- if eq .Release.Name .Release.Namespace -}}
{{ .Release.Name }}
{{- else -}}
{{ .Release.Namespace }}-{{ .Release.Name }}
{{- end -}}
{{- end }}

{{- /* Of (dict "image" values "tag" the default tag): REPOSITORY@DIGEST, or else REPOSITORY:TAG. */ -}}
{{- define "deepfake-operator.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .tag .image.tag }}
{{- end -}}
{{- end }}

{{- /* Values that a schema cannot judge by themselves. */ -}}
{{- define "deepfake-operator.check" -}}
{{- $own := list "INFERENCE_IMAGE" "INFERENCE_IMAGE_CUDA" "INFERENCE_IMAGE_TENSORRT" "INFERENCE_IMAGE_PULL_POLICY" "INFERENCE_IMAGE_PULL_SECRETS" "WATCH_NAMESPACES" "LEADER_ELECTION" "LEASE_NAME" "LEASE_NAMESPACE" "LOG_LEVEL" "METRICS_PORT" "POD_NAME" "POD_NAMESPACE" }}
{{- range .Values.extraEnv }}
{{- if has .name $own }}
{{- fail (printf "extraEnv: %s is the chart's own: leave it out, or use the value that sets it" .name) }}
{{- end }}
{{- end }}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) }}
{{- fail "serviceAccount.create is false: name the account to use in serviceAccount.name" }}
{{- end }}
{{- if and (has "Deny" .Values.admission.actions) (has "Warn" .Values.admission.actions) }}
{{- fail "admission.actions: Deny and Warn exclude each other, a refusal is told anyway" }}
{{- end }}
{{- end }}
