package charttest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

const (
	chartDir  = "../helm/mediafn"
	release   = "media"
	namespace = "prod"
)

// variants are values the chart is rendered with. Each must stand on its own.
var variants = map[string]string{
	"least": addresses,
	"gpu": addresses + `
workers:
  - name: cpu
    replicas: 0
  - name: gpu
    pools: [gpu]
    sizes: [medium, large]
    gpu: 1
    replicas: 1
    runtimeClassName: nvidia
    resources: {requests: {cpu: "4", memory: 16Gi}, limits: {cpu: "8", memory: 32Gi}}
    nodeSelector: {nvidia.com/gpu.present: "true"}
    tolerations: [{key: nvidia.com/gpu, operator: Exists, effect: NoSchedule}]
`,
	"existing secret": `
existingSecret: mine
serviceAccount: {create: false}
networkPolicy: {enabled: false}
podDisruptionBudget: {enabled: false}
topologySpread: {enabled: false}
gateway: {preStopSeconds: 0}
`,
	"everything": addresses + `
  webhookSecret: whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=
  env: {AWS_ACCESS_KEY_ID: key, AWS_SECRET_ACCESS_KEY: secret}
  file:
    tenants: [{name: acme, keys: [a-key-of-16-or-more-characters], weight: 2}]
image: {repository: registry.example.com/mediafn, tag: "1", pullSecrets: [{name: registry}]}
config:
  publicURL: https://media.example.com
  leaseSeconds: 30
  graceSeconds: 600
  egressAllow: [10.0.0.0/8, "hooks.internal:8443"]
  corsOrigins: [https://app.example.com, "http://127.0.0.1:3000"]
  webhookSchedule: [5s, 5m]
  otlp: http://otel:4318
  logLevel: debug
flows: {thumbs.yaml: "name: thumbs\n"}
gateway:
  service: {type: LoadBalancer, annotations: {a.b/c: d}}
  ingress: {enabled: true, className: nginx, host: media.example.com, tlsSecret: media-tls, annotations: {a: b}}
  extraEnv: [{name: GODEBUG, value: madvdontneed=1}]
controller: {affinity: {nodeAffinity: {}}, podAnnotations: {a: b}}
workers:
  - {name: cpu, scaling: {enabled: true}}
  - {name: small, sizes: [small], scaling: {enabled: true, min: 0, max: 30, perReplica: 5}}
  - {name: any, pools: [cpu, gpu], gpu: 2, scaling: {enabled: true, max: 3}}
keda: {labels: {cluster: one}}
serviceAccount: {annotations: {a: b}}
serviceMonitor: {enabled: true, labels: {release: prometheus}}
networkPolicy:
  database: {port: 5432, to: [{ipBlock: {cidr: 10.1.2.3/32}}]}
  nats: {port: 4222, to: [{podSelector: {matchLabels: {app: nats}}}]}
  metricsFrom: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]
  egress: {also: [{to: [{ipBlock: {cidr: 10.9.0.0/16}}], ports: [{port: 8443}]}]}
`,
}

const addresses = `
secret:
  state: postgres://mediafn:secret@db/mediafn
  queue: nats://nats-0:4222,nats://nats-1:4222,nats://nats-2:4222
  blobs: main=s3://s3.example.com?region=eu-1
`

// render gives the chart's files with values.
func render(values string) (map[string]string, error) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		return nil, err
	}
	if err := chart.Validate(); err != nil {
		return nil, err
	}
	given, err := chartutil.ReadValues([]byte(values))
	if err != nil {
		return nil, err
	}
	options := chartutil.ReleaseOptions{Name: release, Namespace: namespace, Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, given, options, chartutil.DefaultCapabilities) // checks the schema
	if err != nil {
		return nil, err
	}
	return (engine.Engine{Strict: true}).Render(chart, all)
}

// objects is all a rendered chart asks of a cluster, by name.
type objects struct {
	deployments map[string]*apps.Deployment
	services    map[string]*core.Service
	configs     map[string]*core.ConfigMap
	secrets     map[string]*core.Secret
	accounts    map[string]*core.ServiceAccount
	budgets     map[string]*policy.PodDisruptionBudget
	policies    map[string]*networking.NetworkPolicy
	ingresses   map[string]*networking.Ingress
	scaled      map[string]*keda.ScaledObject
	monitors    map[string]*monitoring.ServiceMonitor
}

// decode renders the chart and reads every document as exactly the type it
// claims to be: an unknown field, or a key that is there twice, is an error.
func decode(t *testing.T, values string) *objects {
	t.Helper()
	files, err := render(values)
	if err != nil {
		t.Fatal(err)
	}
	o := &objects{
		map[string]*apps.Deployment{}, map[string]*core.Service{}, map[string]*core.ConfigMap{}, map[string]*core.Secret{},
		map[string]*core.ServiceAccount{}, map[string]*policy.PodDisruptionBudget{}, map[string]*networking.NetworkPolicy{},
		map[string]*networking.Ingress{}, map[string]*keda.ScaledObject{}, map[string]*monitoring.ServiceMonitor{},
	}
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(file, ".yaml") {
			continue
		}
		for _, doc := range strings.Split("\n"+files[file], "\n---\n") {
			if strings.TrimSpace(doc) == "" {
				continue
			}
			if err := o.add([]byte(doc)); err != nil {
				t.Fatalf("%s: %v\n%s", file, err, doc)
			}
		}
	}
	return o
}

func (o *objects) add(doc []byte) error {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal(doc, &head); err != nil {
		return err
	}
	switch head.APIVersion + " " + head.Kind {
	case "apps/v1 Deployment":
		return keep(o.deployments, doc)
	case "v1 Service":
		return keep(o.services, doc)
	case "v1 ConfigMap":
		return keep(o.configs, doc)
	case "v1 Secret":
		return keep(o.secrets, doc)
	case "v1 ServiceAccount":
		return keep(o.accounts, doc)
	case "policy/v1 PodDisruptionBudget":
		return keep(o.budgets, doc)
	case "networking.k8s.io/v1 NetworkPolicy":
		return keep(o.policies, doc)
	case "networking.k8s.io/v1 Ingress":
		return keep(o.ingresses, doc)
	case "keda.sh/v1alpha1 ScaledObject":
		return keep(o.scaled, doc)
	case "monitoring.coreos.com/v1 ServiceMonitor":
		return keep(o.monitors, doc)
	}
	return fmt.Errorf("%s %s is no kind this chart should make", head.APIVersion, head.Kind)
}

func keep[T any, P interface {
	*T
	GetName() string
}](into map[string]P, doc []byte) error {
	object := P(new(T))
	if err := yaml.UnmarshalStrict(doc, object); err != nil {
		return err
	}
	name := object.GetName()
	if name == "" || len(name) > 63 || into[name] != nil {
		return fmt.Errorf("name %q is empty, too long or there twice", name)
	}
	into[name] = object
	return nil
}
