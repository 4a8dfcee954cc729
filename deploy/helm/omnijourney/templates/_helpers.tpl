{{- define "omnijourney.name" -}}
{{- if contains "omnijourney" .Release.Name -}}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{- else -}}{{ printf "%s-omnijourney" .Release.Name | trunc 40 | trimSuffix "-" }}{{- end -}}
{{- end -}}

{{- /* Name of a service's objects, from a list of the root and the service. */ -}}
{{- define "omnijourney.of" -}}
{{ include "omnijourney.name" (index . 0) }}-{{ index . 1 | replace "_" "-" }}
{{- end -}}

{{- define "omnijourney.selector" -}}
app.kubernetes.io/name: omnijourney
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "omnijourney.labels" -}}
{{ include "omnijourney.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "omnijourney.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end -}}

{{- /* gRPC ports; metrics are at the port and 100. */ -}}
{{- define "omnijourney.ports" -}}
journey: 7401
points: 7402
channel_gateway: 7403
segment: 7404
stats: 7405
{{- end -}}

{{- define "omnijourney.podSecurity" -}}
automountServiceAccountToken: false
# Variables that Kubernetes makes of the names of services, such as OMNIJOURNEY_JOURNEY_PORT=tcp://…, would be taken for settings.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "omnijourney.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: { drop: [ALL] }
{{- end -}}

{{- /* The container of `omnijourney migrate`: it alone holds the owner's address and the first token. */ -}}
{{- define "omnijourney.migrate" -}}
name: migrate
image: {{ include "omnijourney.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
command: [python, -m]
args: [libs.cli.main, migrate, --credentials-dir, /credentials/files]
env:
  - name: OMNIJOURNEY_POSTGRES_DSN
    valueFrom: { secretKeyRef: { name: {{ .Values.owner.existingSecret }}, key: dsn } }
  - name: OMNIJOURNEY_POSTGRES_PASSWORD
    valueFrom: { secretKeyRef: { name: {{ .Values.owner.existingSecret }}, key: password, optional: true } }
  - name: OMNIJOURNEY_TOKEN
    valueFrom: { secretKeyRef: { name: {{ .Values.owner.existingSecret }}, key: token } }
resources: {{- toYaml .Values.migrate.resources | nindent 2 }}
{{ include "omnijourney.containerSecurity" . }}
volumeMounts:
  # The files go into a folder that is made there and closed to others, which root's volume itself could not be.
  - { name: credentials, mountPath: /credentials }
  - { name: tmp, mountPath: /tmp }
{{- end -}}
