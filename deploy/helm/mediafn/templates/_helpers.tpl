{{- define "mediafn.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* At most 40 characters, so that the longest name made of it, with -worker-NAME, stays below 63. */ -}}
{{- define "mediafn.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "mediafn.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "mediafn.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "mediafn.chartLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- /* Labels every pod of this release has. */ -}}
{{- define "mediafn.release" -}}
app.kubernetes.io/name: {{ include "mediafn.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "mediafn.labels" -}}
{{ include "mediafn.chartLabels" . }}
{{ include "mediafn.release" . }}
{{- end -}}

{{- define "mediafn.secretName" -}}
{{- default (include "mediafn.fullname" .) .Values.existingSecret -}}
{{- end -}}

{{- define "mediafn.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "mediafn.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "mediafn.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- /*
A worker that is told to stop finishes what it can for grace, then hands back
the rest and tells the controllers, which may take 15 s. One lease more, so that
the kubelet never kills work whose lease still runs; 10 s for closing.
*/ -}}
{{- define "mediafn.terminationSeconds" -}}
{{- add (int .Values.config.graceSeconds) (int .Values.config.leaseSeconds) 25 -}}
{{- end -}}

{{- /* The pools of workers, each completed from workerDefaults. As {"pools": [...]}, since a template gives text. */ -}}
{{- define "mediafn.pools" -}}
{{- $pools := list -}}
{{- $names := dict -}}
{{- range .Values.workers -}}
{{- if hasKey $names .name -}}{{- fail (printf "workers: two pools are called %q" .name) -}}{{- end -}}
{{- $_ := set $names .name true -}}
{{- $pool := deepCopy $.Values.workerDefaults -}}
{{- /* By hand, since mergeOverwrite takes a 0 for nothing said. */ -}}
{{- range $key, $value := . -}}
{{- if eq $key "scaling" -}}
{{- range $k, $v := $value -}}{{- $_ := set $pool.scaling $k $v -}}{{- end -}}
{{- else -}}
{{- $_ := set $pool $key $value -}}
{{- end -}}
{{- end -}}
{{- $pools = append $pools $pool -}}
{{- end -}}
{{- dict "pools" $pools | toJson -}}
{{- end -}}
