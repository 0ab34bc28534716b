{{- /* What the library is asked with, the same in all places. */ -}}
{{- define "web.projector" -}}
{{- $config := merge (dict "NAMESPACE" (.Values.projector.NAMESPACE | default .Release.Namespace)) .Values.projector -}}
{{- dict "config" $config "image" .Values.projectorImage "serviceAccount" .Release.Name | toJson -}}
{{- end -}}
