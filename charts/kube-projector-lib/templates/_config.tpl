{{- /*
The settings of an instance, checked: a YAML map from a setting's name to its text, or to a secretKeyRef.
What is said in .config beats .context.Values.global.config, and that beats .defaults.
*/ -}}
{{- define "kube-projector-lib.config" -}}
{{- $settings := include "kube-projector-lib.settings" . | fromYaml -}}
{{- $global := ((.context.Values.global).config) | default dict -}}
{{- $config := mergeOverwrite dict (deepCopy (.defaults | default dict)) (deepCopy $global) (.config | default dict) -}}
{{- $checked := dict -}}
{{- range $name, $value := $config -}}
{{- $setting := get $settings $name -}}
{{- if not $setting -}}
{{- fail (printf "config.%s: there is no such setting" $name) -}}
{{- end -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $_ := set $checked $name (include "kube-projector-lib.checked" (dict "name" $name "value" $value "setting" $setting) | fromJson).value -}}
{{- end -}}
{{- end -}}
{{- toYaml $checked -}}
{{- end -}}

{{- /* {"value": …}: the text of one value, or what names the key of a Secret. */ -}}
{{- define "kube-projector-lib.checked" -}}
{{- $type := .setting.type -}}
{{- $is := kindOf .value -}}
{{- $number := has $is (list "int" "int64" "float64") -}}
{{- $text := "" -}}
{{- if and (has $type (list "secret" "textOrSecret" "fileOrSecret")) (eq $is "map") -}}
  {{- $ref := get .value "secretKeyRef" -}}
  {{- if not (and (kindIs "map" $ref) (eq (len .value) 1) (kindIs "string" (get $ref "name")) (kindIs "string" (get $ref "key"))) -}}
    {{- fail (printf "config.%s: expected {secretKeyRef: {name: NAME, key: KEY}}" .name) -}}
  {{- end -}}
  {{- $text = dict "secretKeyRef" (pick $ref "name" "key") -}}
{{- else if eq $type "secret" -}}
  {{- fail (printf "config.%s: expected {secretKeyRef: {name: NAME, key: KEY}}: what stands in values is no secret" .name) -}}
{{- else if and (eq $type "boolean") (has (toString .value) (list "true" "false")) -}}
  {{- $text = toString .value -}}
{{- else if eq $type "boolean" -}}
  {{- fail (printf "config.%s: expected true or false, not %s" .name (toJson .value)) -}}
{{- else if and (eq $type "integer") $number -}}
  {{- if ne (floor .value) (float64 .value) -}}
    {{- fail (printf "config.%s: expected a whole number, not %s" .name (toJson .value)) -}}
  {{- end -}}
  {{- /* Helm has 1000000 as 1e+06. */ -}}
  {{- $text = int64 .value | toString -}}
{{- else if and (eq $type "number") $number -}}
  {{- $text = eq (floor .value) (float64 .value) | ternary (int64 .value | toString) (toString .value) -}}
{{- else if ne $is "string" -}}
  {{- fail (printf "config.%s: expected a text in quotes, because YAML and Helm make other things of texts such as 0644, yes and 1e6, not %s" .name (toJson .value)) -}}
{{- else if and (eq $type "words") (not (has (lower .value) .setting.words)) -}}
  {{- fail (printf "config.%s: expected one of %s, not %s" .name (join ", " .setting.words) (toJson .value)) -}}
{{- else -}}
  {{- $text = .value -}}
{{- end -}}
{{- dict "value" $text | toJson -}}
{{- end -}}

{{- /* Where keys of Secrets are mounted, and the volume that has them. */ -}}
{{- define "kube-projector-lib.secretsFolder" -}}/etc/kube-projector{{- end -}}

{{- /* The names of the files with keys of Secrets: a map from a setting that names a file to its secretKeyRef. */ -}}
{{- define "kube-projector-lib.secretFiles" -}}
{{- $settings := include "kube-projector-lib.settings" . | fromYaml -}}
{{- $files := dict -}}
{{- range $name, $value := include "kube-projector-lib.config" . | fromYaml -}}
{{- if kindIs "map" $value -}}
  {{- $type := (get $settings $name).type -}}
  {{- if eq $type "secret" -}}
    {{- $_ := set $files (printf "%s_FILE" $name) $value.secretKeyRef -}}
  {{- else if eq $type "fileOrSecret" -}}
    {{- $_ := set $files $name $value.secretKeyRef -}}
  {{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $files -}}
{{- end -}}

{{- /* The list of environment variables. */ -}}
{{- define "kube-projector-lib.env" -}}
{{- $files := include "kube-projector-lib.secretFiles" . | fromYaml -}}
{{- $env := list -}}
{{- range $name, $value := include "kube-projector-lib.config" . | fromYaml -}}
  {{- if not (kindIs "map" $value) -}}
    {{- $env = append $env (dict "name" $name "value" $value) -}}
  {{- else if not (or (hasKey $files $name) (hasKey $files (printf "%s_FILE" $name))) -}}
    {{- $env = append $env (dict "name" $name "valueFrom" $value) -}}
  {{- end -}}
{{- end -}}
{{- range $name, $_ := $files -}}
  {{- $env = append $env (dict "name" $name "value" (printf "%s/%s" (include "kube-projector-lib.secretsFolder" .) $name)) -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}

{{- /* Namespaces that are watched, as a list; empty for all. With no NAMESPACE in the profile of k8s-sidecar it is the pod's own. */ -}}
{{- define "kube-projector-lib.namespaces" -}}
{{- $config := include "kube-projector-lib.config" . | fromYaml -}}
{{- $own := include "kube-projector-lib.namespace" . -}}
{{- $text := get $config "NAMESPACE" | toString -}}
{{- $namespaces := list -}}
{{- if not $text -}}
  {{- if eq (get $config "PROFILE" | toString) "k8s-sidecar" -}}{{- $namespaces = list $own -}}{{- end -}}
{{- else if ne $text "ALL" -}}
  {{- range splitList "," $text -}}{{- $namespaces = append $namespaces (trim .) -}}{{- end -}}
{{- end -}}
{{- toJson ($namespaces | uniq) -}}
{{- end -}}

{{- define "kube-projector-lib.namespace" -}}
{{- .context.Values.namespaceOverride | default .context.Release.Namespace -}}
{{- end -}}
