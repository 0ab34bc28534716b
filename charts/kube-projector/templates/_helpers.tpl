{{- define "kube-projector.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "kube-projector.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "kube-projector.labels" -}}
{{ include "kube-projector.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "kube-projector.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "kube-projector.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- /*
What the library is asked with. Where namespaces are named there are no finalizers: the RoleBinding that lets us take them off goes
with its namespace, mostly before the objects, and nobody may release these any more.
*/ -}}
{{- define "kube-projector.asked" -}}
{{- $asked := dict "context" . "config" .Values.config -}}
{{- $namespaces := include "kube-projector-lib.namespaces" $asked | fromJsonArray -}}
{{- $config := include "kube-projector-lib.config" $asked | fromYaml -}}
{{- $defaults := dict -}}
{{- if $namespaces -}}
  {{- if and (eq (get $config "FINALIZERS" | toString) "true") (not (hasKey $config "OBJECT")) -}}
    {{- fail "config.FINALIZERS: expected false where NAMESPACE names namespaces: a RoleBinding goes with its namespace, mostly before the objects, and nobody could take the finalizers off any more" -}}
  {{- end -}}
  {{- $_ := set $defaults "FINALIZERS" "false" -}}
{{- end -}}
{{- if eq (include "kube-projector-lib.finalizers" (dict "context" . "config" .Values.config "defaults" $defaults)) "true" -}}
  {{- $name := printf "%s.%s" (include "kube-projector-lib.namespace" $asked) .Release.Name -}}
  {{- if gt (len $name) 63 -}}{{- $name = printf "%s.%s" (trunc 52 $name | trimSuffix "-" | trimSuffix ".") (sha256sum $name | trunc 10) -}}{{- end -}}
  {{- $_ := set $defaults "FINALIZER_NAME" (printf "kube-projector.dev/%s" $name) -}}
{{- end -}}
{{- toJson $defaults -}}
{{- end -}}

{{- define "kube-projector.isOpenShift" -}}
{{- if eq .Values.openshift "auto" -}}
{{- .Capabilities.APIVersions.Has "security.openshift.io/v1" -}}
{{- else -}}
{{- eq .Values.openshift "force" -}}
{{- end -}}
{{- end -}}

{{- define "kube-projector.podSpec" -}}
{{- $defaults := include "kube-projector.asked" . | fromJson -}}
{{- $asked := dict "context" . "config" .Values.config "defaults" $defaults "image" .Values.image "volume" .Values.volume -}}
{{- $container := dict "resources" .Values.resources "securityContext" .Values.securityContext "extraEnv" .Values.extraEnv "args" .Values.args "volumeMounts" .Values.extraVolumeMounts -}}
serviceAccountName: {{ include "kube-projector.serviceAccount" . }}
enableServiceLinks: false
{{- with concat (.Values.imagePullSecrets | default list) (.Values.global.imagePullSecrets | default list) | uniq }}
imagePullSecrets:
  {{- range . }}
  - name: {{ kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") . }}
  {{- end }}
{{- end }}
{{- $pod := .Values.podSecurityContext -}}
{{- if eq (include "kube-projector.isOpenShift" .) "true" -}}{{- $pod = omit $pod "runAsUser" "runAsGroup" "fsGroup" -}}{{- end }}
securityContext:
  {{- toYaml $pod | nindent 2 }}
containers:
  - {{ include "kube-projector-lib.spec" (merge $container $asked) | nindent 4 | trim }}
  {{- with .Values.extraContainers }}
  {{- tpl (toYaml .) $ | nindent 2 }}
  {{- end }}
volumes:
  {{- include "kube-projector-lib.volume" $asked | nindent 2 }}
  {{- with .Values.extraVolumes }}
  {{- tpl (toYaml .) $ | nindent 2 }}
  {{- end }}
{{- end -}}
