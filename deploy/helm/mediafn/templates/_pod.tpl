{{- /*
The pod of one role. Takes root, component (label), role, settings (the role's
values); and from workers env and limits.
*/ -}}
{{- define "mediafn.pod" -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
{{- $s := .settings -}}
{{- $worker := eq .role "worker" -}}
metadata:
  labels:
    {{- include "mediafn.release" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
  annotations:
    {{- /* Settings are read at the start: a change of them is a rollout. */}}
    checksum/config: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
    checksum/secret: {{ include (print $root.Template.BasePath "/secret.yaml") $root | sha256sum }}
    {{- with $s.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "mediafn.serviceAccountName" $root }}
  automountServiceAccountToken: false
  {{- /* Services' variables are called MEDIAFN_… too when the release is. */}}
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ include "mediafn.terminationSeconds" $root }}
  {{- with $v.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with get $s "runtimeClassName" }}
  runtimeClassName: {{ . }}
  {{- end }}
  securityContext:
    {{- toYaml $v.podSecurityContext | nindent 4 }}
  containers:
    - name: mediafn
      image: {{ include "mediafn.image" $root | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args:
        - serve
        {{- if not $worker }}
        - --config=/etc/mediafn/mediafn.yaml
        {{- end }}
      env:
        - {name: MEDIAFN_ROLES, value: {{ .role }}}
        - {name: MEDIAFN_DATA, value: /var/lib/mediafn}
        - {name: MEDIAFN_OPS, value: ":9090"}
        {{- if eq .role "gateway" }}
        - {name: MEDIAFN_LISTEN, value: ":8080"}
        {{- end }}
        {{- if not $worker }}
        - name: MEDIAFN_STATE
          valueFrom: {secretKeyRef: {name: {{ include "mediafn.secretName" $root }}, key: state}}
        {{- end }}
        - name: MEDIAFN_QUEUE
          valueFrom: {secretKeyRef: {name: {{ include "mediafn.secretName" $root }}, key: queue}}
        - name: MEDIAFN_BLOBS
          valueFrom: {secretKeyRef: {name: {{ include "mediafn.secretName" $root }}, key: blobs}}
        {{- if and $v.flows (not $worker) }}
        - {name: MEDIAFN_FLOWS, value: /etc/mediafn-flows}
        {{- end }}
        {{- if eq .role "results" }}
        - name: MEDIAFN_WEBHOOK_SECRET
          valueFrom: {secretKeyRef: {name: {{ include "mediafn.secretName" $root }}, key: webhook-secret, optional: true}}
        {{- end }}
        {{- with get . "env" }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- range $name, $_ := $v.secret.env }}
        - name: {{ $name }}
          valueFrom: {secretKeyRef: {name: {{ include "mediafn.fullname" $root }}-env, key: {{ $name }}}}
        {{- end }}
        {{- with $s.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      envFrom:
        - configMapRef: {name: {{ include "mediafn.fullname" $root }}}
      ports:
        {{- if eq .role "gateway" }}
        - {name: http, containerPort: 8080}
        {{- end }}
        - {name: ops, containerPort: 9090}
      {{- /* Migrations may take their time at a first start: the startup probe waits for them. */}}
      startupProbe:
        httpGet: {path: /readyz, port: ops}
        periodSeconds: 2
        failureThreshold: 150
      livenessProbe:
        httpGet: {path: /healthz, port: ops}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: ops}
        periodSeconds: 5
        timeoutSeconds: 5
        failureThreshold: 2
      {{- if and (eq .role "gateway") $s.preStopSeconds }}
      lifecycle:
        preStop: {sleep: {seconds: {{ $s.preStopSeconds }}}}
      {{- end }}
      {{- with $s.resources }}
      resources:
        {{- $resources := deepCopy . }}
        {{- if and $worker $s.gpu }}
        {{- $_ := set $resources "limits" (merge (dict $s.gpuResource $s.gpu) (default (dict) (get $resources "limits"))) }}
        {{- end }}
        {{- toYaml $resources | nindent 8 }}
      {{- end }}
      securityContext:
        {{- /* The sandbox of decoders (Landlock, seccomp) needs no privilege; Landlock even asks for no_new_privs. */}}
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: data, mountPath: /var/lib/mediafn}
        - {name: tmp, mountPath: /tmp}
        {{- if not $worker }}
        - {name: config, mountPath: /etc/mediafn, readOnly: true}
        {{- end }}
        {{- if and $v.flows (not $worker) }}
        - {name: flows, mountPath: /etc/mediafn-flows, readOnly: true}
        {{- end }}
  volumes:
    - name: data
      emptyDir: {{ with get $s "scratch" }}{sizeLimit: {{ . }}}{{ else }}{}{{ end }}
    - name: tmp
      emptyDir: {}
    {{- if not $worker }}
    - name: config
      secret:
        secretName: {{ include "mediafn.secretName" $root }}
        items: [{key: mediafn.yaml, path: mediafn.yaml}]
    {{- end }}
    {{- if and $v.flows (not $worker) }}
    - name: flows
      configMap: {name: {{ include "mediafn.fullname" $root }}-flows}
    {{- end }}
  {{- if $v.topologySpread.enabled }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: {{ $v.topologySpread.topologyKey }}
      whenUnsatisfiable: {{ $v.topologySpread.whenUnsatisfiable }}
      labelSelector:
        matchLabels:
          {{- include "mediafn.release" $root | nindent 10 }}
          app.kubernetes.io/component: {{ .component }}
  {{- end }}
  {{- with $s.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $s.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $s.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
