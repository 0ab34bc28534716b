{{- /*
The least rights that the settings need: a map from a namespace, or ALL, to rules. rbac/ of the repository has the same rules, and
`kube-projector check` asks the API server for them.
*/ -}}
{{- define "kube-projector-lib.rights" -}}
{{- $config := include "kube-projector-lib.config" . | fromYaml -}}
{{- $own := include "kube-projector-lib.namespace" . -}}
{{- $namespaces := include "kube-projector-lib.namespaces" . | fromJsonArray -}}
{{- $scopes := $namespaces | default (list "ALL") -}}
{{- $profile := get $config "PROFILE" | toString -}}
{{- $watches := eq (get $config "METHOD" | default "WATCH" | toString | upper) "WATCH" -}}
{{- $finalizers := eq (include "kube-projector-lib.finalizers" .) "true" -}}
{{- $rights := dict -}}
{{- $kinds := list "configmaps" "secrets" -}}
{{- with get $config "RESOURCE" | default (ternary "configmap" "both" (eq $profile "k8s-sidecar")) | lower -}}
  {{- if ne . "both" -}}{{- $kinds = list (printf "%ss" .) -}}{{- end -}}
{{- end -}}
{{- if hasKey $config "SOURCE" | and (ne (get $config "SOURCE" | toString) "cluster") -}}
  {{- $scopes = list -}}
{{- else -}}
{{- if hasKey $config "RESOURCE_NAME" -}}
  {{- range splitList "," (get $config "RESOURCE_NAME") -}}
    {{- $parts := splitList "/" (trim .) -}}
    {{- $places := ternary (list (first $parts)) $scopes (eq (len $parts) 3) -}}
    {{- $named := ternary $kinds (list (printf "%ss" (index $parts (max 0 (sub (len $parts) 2) | int) | lower))) (eq (len $parts) 1) -}}
    {{- range $place := $places -}}
      {{- $rule := dict "apiGroups" (list "") "resources" $named "resourceNames" (list (last $parts)) "verbs" (ternary (list "get" "patch") (list "get") $finalizers) -}}
      {{- $_ := set $rights $place (append (get $rights $place | default list) $rule) -}}
    {{- end -}}
  {{- end -}}
{{- else if hasKey $config "LABEL" -}}
  {{- $verbs := list "get" "list" -}}
  {{- if $watches -}}{{- $verbs = append $verbs "watch" -}}{{- end -}}
  {{- if $finalizers -}}{{- $verbs = append $verbs "patch" -}}{{- end -}}
  {{- range $scopes -}}
    {{- $_ := set $rights . (list (dict "apiGroups" (list "") "resources" $kinds "verbs" $verbs)) -}}
  {{- end -}}
{{- end -}}
{{- range compact (splitList "," (get $config "OBJECT" | toString)) -}}
  {{- $parts := splitList "/" (trim .) -}}
  {{- if ne (len $parts) 3 -}}{{- fail (printf "config.OBJECT: expected KIND/NAMESPACE/NAME with commas between them, not %s" (toJson .)) -}}{{- end -}}
  {{- $verbs := list "get" -}}
  {{- if $watches -}}{{- $verbs = append $verbs "watch" -}}{{- end -}}
  {{- if $finalizers | and (eq (get $config "ON_DELETE" | toString | lower) "remove") -}}{{- $verbs = append $verbs "patch" -}}{{- end -}}
  {{- $rule := dict "apiGroups" (list "") "resources" (list (printf "%ss" (first $parts | lower))) "resourceNames" (list (last $parts)) "verbs" $verbs -}}
  {{- $_ := set $rights (index $parts 1) (append (get $rights (index $parts 1) | default list) $rule) -}}
{{- end -}}
{{- if $finalizers -}}
  {{- /* Whether our own namespace is being deleted. */ -}}
  {{- $rule := dict "apiGroups" (list "") "resources" (list "namespaces") "resourceNames" (list $own) "verbs" (list "get") -}}
  {{- $_ := set $rights $own (append (get $rights $own | default list) $rule) -}}
{{- end -}}
{{- end -}}
{{- $exec := get $config "EXEC_NAMESPACE" | default $own -}}
{{- $director := eq $profile "dovecot-director" -}}
{{- $asks := contains "{pod}" (get $config "REQ_URL" | toString) -}}
{{- $runs := or (hasKey $config "EXEC_COMMAND") (and $director (not $asks)) -}}
{{- $rules := list -}}
{{- if or $runs $asks (hasKey $config "WATCH_PODS_LABELS") -}}
  {{- $verbs := ternary (list "list" "watch") (list "list") (hasKey $config "WATCH_PODS_LABELS") -}}
  {{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "pods") "verbs" $verbs) -}}
{{- end -}}
{{- if $runs -}}
  {{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "pods/exec") "verbs" (list "get" "create")) -}}
{{- end -}}
{{- if or $director (hasKey $config "WATCH_SECRET_TYPE") -}}
  {{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list "secrets") "verbs" (list "list" "watch")) -}}
{{- end -}}
{{- if $rules -}}
  {{- $_ := set $rights $exec (concat (get $rights $exec | default list) $rules) -}}
{{- end -}}
{{- if eq (get $config "EVENT_LOGGING" | toString) "true" -}}
  {{- $rule := dict "apiGroups" (list "events.k8s.io") "resources" (list "events") "verbs" (list "create" "patch") -}}
  {{- $places := ternary (list "ALL") (concat (keys $rights) (list $own) | uniq) (hasKey $rights "ALL") -}}
  {{- range $places -}}
    {{- $_ := set $rights . (append (get $rights . | default list) $rule) -}}
  {{- end -}}
{{- end -}}
{{- toJson $rights -}}
{{- end -}}

{{- /* "true" where objects get a finalizer. */ -}}
{{- define "kube-projector-lib.finalizers" -}}
{{- $config := include "kube-projector-lib.config" . | fromYaml -}}
{{- $others := has (get $config "PROFILE" | toString) (list "k8s-sidecar" "config-controller") -}}
{{- $wanted := get $config "FINALIZERS" | default (ternary "false" "true" $others) -}}
{{- $cluster := eq (get $config "SOURCE" | default "cluster") "cluster" -}}
{{- $projects := or (hasKey $config "LABEL") (hasKey $config "OBJECT") (hasKey $config "RESOURCE_NAME") -}}
{{- $lists := eq (get $config "METHOD" | toString | upper) "LIST" -}}
{{- and (eq $wanted "true") $cluster $projects (not $lists) -}}
{{- end -}}

{{- /*
Roles and bindings of the service account .serviceAccount. With .name they are called that, else after the release; .labels are theirs.
*/ -}}
{{- define "kube-projector-lib.roles" -}}
{{- $own := include "kube-projector-lib.namespace" . -}}
{{- $name := .name | default (printf "%s-kube-projector" .context.Release.Name | trunc 63 | trimSuffix "-") -}}
{{- $labels := .labels | default (dict "app.kubernetes.io/name" "kube-projector" "app.kubernetes.io/instance" .context.Release.Name) -}}
{{- $account := required "serviceAccount: expected the name of the pod's service account" .serviceAccount -}}
{{- range $place, $rules := include "kube-projector-lib.rights" . | fromJson }}
{{- $kind := ternary "ClusterRole" "Role" (eq $place "ALL") }}
{{- $called := ternary (printf "%s-%s" $own $name | trunc 253) $name (eq $place "ALL") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ $called }}
  {{- if ne $place "ALL" }}
  namespace: {{ $place }}
  {{- end }}
  labels:
    {{- toYaml $labels | nindent 4 }}
rules:
  {{- toYaml $rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ $called }}
  {{- if ne $place "ALL" }}
  namespace: {{ $place }}
  {{- end }}
  labels:
    {{- toYaml $labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ $called }}
subjects:
  - kind: ServiceAccount
    name: {{ $account }}
    namespace: {{ $own }}
{{- end }}
{{- end -}}
