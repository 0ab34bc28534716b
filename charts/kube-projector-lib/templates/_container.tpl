{{- /*
What goes into a pod. All of these take

  (dict "context" $ "config" (dict "LABEL" "…" "FOLDER" "/…"))

and where it matters "image", "name", "native", "resources", "securityContext", "volume", "volumeMounts".
*/ -}}

{{- /*
Under `containers:`. Nothing where the sidecar is a native one, which `init` puts before the application.
*/ -}}
{{- define "kube-projector-lib.container" -}}
{{- include "kube-projector-lib.guarded" . -}}
{{- if ne (include "kube-projector-lib.isNative" .) "true" -}}
- {{ include "kube-projector-lib.spec" (merge (dict "defaults" (dict "FINALIZERS" "false")) .) | nindent 2 | trim }}
{{- end -}}
{{- end -}}

{{- /*
Under `initContainers:`. A native sidecar, which is there before the application and ends after it, or where there is none (before
Kubernetes 1.29) one that writes the files and ends.
*/ -}}
{{- define "kube-projector-lib.init" -}}
{{- include "kube-projector-lib.guarded" . -}}
{{- $native := eq (include "kube-projector-lib.isNative" .) "true" -}}
{{- $config := .config | default dict -}}
{{- if not $native -}}{{- $config = merge (dict "METHOD" "LIST") $config -}}{{- end -}}
{{- $name := .name | default "kube-projector" -}}
{{- $own := dict "config" $config "name" (ternary $name (printf "%s-init" $name) $native) "defaults" (dict "FINALIZERS" "false") -}}
- {{ include "kube-projector-lib.spec" (merge $own (dict "starts" $native) .) | nindent 2 | trim }}
{{- if $native }}
  restartPolicy: Always
{{- end }}
{{- end -}}

{{- /* A document of its own: roles and bindings of .serviceAccount, the least that the settings need. */ -}}
{{- define "kube-projector-lib.rbac" -}}
{{- include "kube-projector-lib.guarded" . -}}
{{- include "kube-projector-lib.roles" (merge (dict "defaults" (dict "FINALIZERS" "false")) .) -}}
{{- end -}}

{{- /* Fails where a sidecar may not do what is asked for. */ -}}
{{- define "kube-projector-lib.guarded" -}}
{{- $config := include "kube-projector-lib.config" . | fromYaml -}}
{{- if eq (get $config "FINALIZERS" | toString) "true" -}}
{{- fail "config.FINALIZERS: expected false: a pod that comes and goes with an application cannot promise to release objects" -}}
{{- end -}}
{{- if hasKey $config "LEASE" -}}
{{- fail "config.LEASE: expected nothing: each pod needs files of its own, a sidecar that waits for another would leave it without" -}}
{{- end -}}
{{- end -}}

{{- /* "true" where the sidecar is to be a native one. */ -}}
{{- define "kube-projector-lib.isNative" -}}
{{- $native := .native | default "auto" | toString -}}
{{- if not (has $native (list "auto" "true" "false")) -}}
{{- fail (printf "native: expected auto, true or false, not %s" $native) -}}
{{- end -}}
{{- if eq $native "auto" -}}
{{- semverCompare ">=1.29.0-0" .context.Capabilities.KubeVersion.Version -}}
{{- else -}}
{{- $native -}}
{{- end -}}
{{- end -}}

{{- /* The image: a text, or a map with registry, repository, tag, digest. */ -}}
{{- define "kube-projector-lib.image" -}}
{{- $image := .image | default dict -}}
{{- if kindIs "string" $image -}}
{{- $image -}}
{{- else -}}
{{- $registry := ((.context.Values.global).imageRegistry) | default $image.registry | default "ghcr.io" -}}
{{- $repository := $image.repository | default "OWNER/kube-projector" -}}
{{- $version := printf ":%s" ($image.tag | default (include "kube-projector-lib.version" .)) -}}
{{- with $image.digest -}}{{- $version = printf "@%s" . -}}{{- end -}}
{{- printf "%s/%s%s" $registry $repository $version -}}
{{- end -}}
{{- end -}}

{{- define "kube-projector-lib.version" -}}0.1.0{{- end -}}

{{- /* A container, without the dash of its list. */ -}}
{{- define "kube-projector-lib.spec" -}}
{{- $config := include "kube-projector-lib.config" . | fromYaml -}}
{{- $ends := or .ends (eq (get $config "METHOD" | toString | upper) "LIST") -}}
{{- $port := get $config "HEALTH_PORT" | default (get $config "HEALTHCHECK_PORT") | default "8080" -}}
{{- $probed := and (ne (get $config "LIVENESS" | toString) "false") (not $ends) -}}
name: {{ .name | default "kube-projector" }}
image: {{ include "kube-projector-lib.image" . }}
{{- with (.image | default dict) }}{{ if kindIs "map" . }}{{ with .pullPolicy }}
imagePullPolicy: {{ . }}
{{- end }}{{ end }}{{ end }}
{{- with .args }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
env:
  {{- include "kube-projector-lib.env" . | nindent 2 }}
  {{- with .extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- if $probed }}
ports:
  - name: kp-health
    containerPort: {{ $port }}
livenessProbe:
  httpGet: {path: /healthz, port: kp-health}
  periodSeconds: 10
  failureThreshold: 3
{{- if .starts }}
# The application begins when its files are there.
startupProbe:
  httpGet: {path: /readyz, port: kp-health}
  periodSeconds: 1
  failureThreshold: 600
{{- end }}
readinessProbe:
  httpGet: {path: /readyz, port: kp-health}
  periodSeconds: 2
{{- end }}
{{- with mergeOverwrite (dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "runAsNonRoot" true "capabilities" (dict "drop" (list "ALL")) "seccompProfile" (dict "type" "RuntimeDefault")) (.securityContext | default dict) }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml (.resources | default (dict "requests" (dict "cpu" "5m" "memory" "12Mi") "limits" (dict "memory" "64Mi"))) | nindent 2 }}
{{- with include "kube-projector-lib.mounts" . | fromYamlArray }}
volumeMounts:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* What a container mounts: the folder, keys of Secrets, and .volumeMounts. */ -}}
{{- define "kube-projector-lib.mounts" -}}
{{- $config := include "kube-projector-lib.config" . | fromYaml -}}
{{- $mounts := list -}}
{{- if hasKey $config "FOLDER" -}}
{{- $mounts = append $mounts (dict "name" (.volumeName | default "kube-projector") "mountPath" $config.FOLDER) -}}
{{- end -}}
{{- if include "kube-projector-lib.secretFiles" . | fromYaml -}}
{{- $mounts = append $mounts (dict "name" "kube-projector-secrets" "mountPath" (include "kube-projector-lib.secretsFolder" .) "readOnly" true) -}}
{{- end -}}
{{- concat $mounts (.volumeMounts | default list) | toYaml -}}
{{- end -}}

{{- /* Under `volumes:`. The folder, unless .volume says otherwise an emptyDir, and keys of Secrets. */ -}}
{{- define "kube-projector-lib.volume" -}}
{{- $config := include "kube-projector-lib.config" . | fromYaml -}}
{{- if hasKey $config "FOLDER" -}}
- name: {{ .volumeName | default "kube-projector" }}
  {{- toYaml (.volume | default (dict "emptyDir" dict)) | nindent 2 }}
{{- end }}
{{- with include "kube-projector-lib.secretFiles" . | fromYaml }}
- name: kube-projector-secrets
  projected:
    sources:
      {{- range $file, $ref := . }}
      - secret:
          name: {{ $ref.name }}
          items:
            - key: {{ $ref.key }}
              path: {{ $file }}
      {{- end }}
{{- end }}
{{- end -}}
