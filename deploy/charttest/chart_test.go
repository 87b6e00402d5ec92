package charttest

import (
	"maps"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// each runs a check on every variant of the values.
func each(t *testing.T, check func(t *testing.T, o *objects)) {
	for _, name := range slices.Sorted(maps.Keys(variants)) {
		t.Run(name, func(t *testing.T) { check(t, decode(t, variants[name])) })
	}
}

// selects lists the Deployments whose pods a selector takes.
func (o *objects) selects(t *testing.T, selector *meta.LabelSelector) []string {
	t.Helper()
	s, err := meta.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(o.deployments)) {
		if s.Matches(labels.Set(o.deployments[name].Spec.Template.Labels)) {
			names = append(names, name)
		}
	}
	return names
}

func isWorker(d *apps.Deployment) bool {
	return strings.HasPrefix(d.Labels["app.kubernetes.io/component"], "worker-")
}

// port finds a port of a pod by number or name.
func port(pod core.PodSpec, want intstr.IntOrString) bool {
	for _, c := range pod.Containers {
		for _, p := range c.Ports {
			if p.Name == want.StrVal || want.Type == intstr.Int && p.ContainerPort == want.IntVal {
				return true
			}
		}
	}
	return false
}

func TestPools(t *testing.T) {
	for variant, want := range map[string][]string{
		"least": {"cpu"}, "gpu": {"cpu", "gpu"}, "everything": {"any", "cpu", "small"},
	} {
		var got []string
		for name, d := range decode(t, variants[variant]).deployments {
			if isWorker(d) {
				got = append(got, strings.TrimPrefix(name, "media-mediafn-worker-"))
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: pools %q, not %q", variant, got, want)
		}
	}
	o := decode(t, variants["gpu"])
	if n := o.deployments["media-mediafn-worker-cpu"].Spec.Replicas; n == nil || *n != 0 {
		t.Error("replicas: 0 of a pool was not taken")
	}
	gpu := o.deployments["media-mediafn-worker-gpu"].Spec.Template.Spec
	if n := gpu.Containers[0].Resources.Limits["nvidia.com/gpu"]; n.Value() != 1 {
		t.Errorf("the gpu pool asks for %v cards", n.Value())
	}
	if gpu.NodeSelector["nvidia.com/gpu.present"] != "true" || len(gpu.Tolerations) != 1 || gpu.RuntimeClassName == nil {
		t.Error("the gpu pool's placement is not in its pod")
	}
}

// Selectors take the pods they are for, and no others.
func TestSelectors(t *testing.T) {
	each(t, func(t *testing.T, o *objects) {
		for name, d := range o.deployments {
			if got := o.selects(t, d.Spec.Selector); !slices.Equal(got, []string{name}) {
				t.Errorf("Deployment %s selects %q", name, got)
			}
			for _, c := range d.Spec.Template.Spec.TopologySpreadConstraints {
				if got := o.selects(t, c.LabelSelector); !slices.Equal(got, []string{name}) {
					t.Errorf("the spread of %s counts %q", name, got)
				}
			}
		}
		for name, b := range o.budgets {
			if got := o.selects(t, b.Spec.Selector); !slices.Equal(got, []string{name}) {
				t.Errorf("PodDisruptionBudget %s selects %q", name, got)
			}
		}
		for name, p := range o.policies {
			if got := o.selects(t, &p.Spec.PodSelector); !slices.Equal(got, []string{name}) {
				t.Errorf("NetworkPolicy %s selects %q", name, got)
			}
		}
		all := slices.Sorted(maps.Keys(o.deployments))
		for name, want := range map[string][]string{"media-mediafn-gateway": {"media-mediafn-gateway"}, "media-mediafn-metrics": all} {
			if got := o.selects(t, &meta.LabelSelector{MatchLabels: o.services[name].Spec.Selector}); !slices.Equal(got, want) {
				t.Errorf("Service %s selects %q", name, got)
			}
		}
		for name, m := range o.monitors {
			found := 0
			s, err := meta.LabelSelectorAsSelector(&m.Spec.Selector)
			if err != nil {
				t.Fatal(err)
			}
			for _, service := range o.services {
				if s.Matches(labels.Set(service.Labels)) {
					found++
					for _, e := range m.Spec.Endpoints {
						if !slices.ContainsFunc(service.Spec.Ports, func(p core.ServicePort) bool { return p.Name == e.Port }) {
							t.Errorf("ServiceMonitor %s reads port %s, which %s has not", name, e.Port, service.Name)
						}
					}
				}
			}
			if found != 1 {
				t.Errorf("ServiceMonitor %s selects %d services", name, found)
			}
		}
	})
}

// Every budget, policy and spread there should be is there.
func TestComplete(t *testing.T) {
	o := decode(t, variants["everything"])
	for name := range o.deployments {
		if o.budgets[name] == nil || o.policies[name] == nil {
			t.Errorf("%s has no PodDisruptionBudget or no NetworkPolicy", name)
		}
	}
	if len(o.ingresses) != 1 || len(o.monitors) != 1 || len(o.scaled) != 3 || len(o.accounts) != 1 {
		t.Error("an object that was asked for is missing")
	}
	o = decode(t, variants["existing secret"])
	if len(o.secrets)+len(o.budgets)+len(o.policies)+len(o.accounts) != 0 {
		t.Error("an object that was switched off is there")
	}
}

func TestPorts(t *testing.T) {
	each(t, func(t *testing.T, o *objects) {
		for name, s := range o.services {
			for _, d := range o.selects(t, &meta.LabelSelector{MatchLabels: s.Spec.Selector}) {
				for _, p := range s.Spec.Ports {
					if !port(o.deployments[d].Spec.Template.Spec, p.TargetPort) {
						t.Errorf("Service %s leads to port %s, which %s has not", name, p.TargetPort.String(), d)
					}
				}
			}
		}
		for name, p := range o.policies {
			for _, in := range p.Spec.Ingress {
				for _, q := range in.Ports {
					if q.Port == nil || !port(o.deployments[name].Spec.Template.Spec, *q.Port) {
						t.Errorf("NetworkPolicy %s lets in at a port that is not there", name)
					}
				}
			}
		}
		for name, i := range o.ingresses {
			backend := i.Spec.Rules[0].HTTP.Paths[0].Backend.Service
			s := o.services[backend.Name]
			if s == nil || !slices.ContainsFunc(s.Spec.Ports, func(p core.ServicePort) bool { return p.Name == backend.Port.Name }) {
				t.Errorf("Ingress %s leads nowhere", name)
			}
		}
		for name, d := range o.deployments {
			c := d.Spec.Template.Spec.Containers[0]
			for path, probe := range map[string]*core.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
				if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path || !port(d.Spec.Template.Spec, probe.HTTPGet.Port) {
					t.Errorf("%s: no probe of %s at a port that exists", name, path)
				}
			}
			env := o.env(t, d)
			ops, listen := env["MEDIAFN_OPS"], env["MEDIAFN_LISTEN"]
			for _, p := range c.Ports {
				text := ":" + strconv.Itoa(int(p.ContainerPort))
				if want := map[string]string{"ops": ops, "http": listen}[p.Name]; want != text {
					t.Errorf("%s: port %s is %s, but mediafn listens on %q", name, p.Name, text, want)
				}
			}
		}
	})
}

// What stops has time to finish its grace, and then the lease of what is left.
func TestGrace(t *testing.T) {
	each(t, func(t *testing.T, o *objects) {
		for name, d := range o.deployments {
			env, pod := o.env(t, d), d.Spec.Template.Spec
			lease, err := time.ParseDuration(env["MEDIAFN_LEASE"])
			if err != nil {
				t.Fatal(err)
			}
			grace, err := time.ParseDuration(env["MEDIAFN_GRACE"])
			if err != nil {
				t.Fatal(err)
			}
			got := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
			if l := pod.Containers[0].Lifecycle; l != nil {
				got -= time.Duration(l.PreStop.Sleep.Seconds) * time.Second
			}
			if got <= lease+grace+15*time.Second { // a worker's last words
				t.Errorf("%s: %s to stop, with a grace of %s and leases of %s", name, got, grace, lease)
			}
		}
	})
}

func TestScaling(t *testing.T) {
	o := decode(t, variants["everything"])
	for name, s := range o.scaled {
		d := o.deployments[s.Spec.ScaleTargetRef.Name]
		if d == nil || !isWorker(d) {
			t.Fatalf("%s scales %q", name, s.Spec.ScaleTargetRef.Name)
		}
		if d.Spec.Replicas != nil {
			t.Errorf("%s: the Deployment has replicas too, so that every upgrade undoes the scaling", name)
		}
		if *s.Spec.MinReplicaCount > *s.Spec.MaxReplicaCount {
			t.Errorf("%s: at least %d, at most %d", name, *s.Spec.MinReplicaCount, *s.Spec.MaxReplicaCount)
		}
		query := s.Spec.Triggers[0].Metadata["query"]
		for _, pool := range strings.Split(o.env(t, d)["MEDIAFN_POOLS"], ",") {
			if want := `mediafn_work_ready{namespace="prod",cluster="one",pool="` + pool + `"}`; !strings.Contains(query, want) {
				t.Errorf("%s: %s lacks %s", name, query, want)
			}
		}
		if want := `{namespace="prod",cluster="one",pod=~"` + d.Name + `-.+"}`; !strings.Contains(query, want) {
			t.Errorf("%s: %s does not count what runs in %s", name, query, want)
		}
		for _, metric := range regexp.MustCompile(`mediafn_[a-z_]+`).FindAllString(query, -1) {
			if !metrics(t)[metric] {
				t.Errorf("%s: mediafn has no metric %s", name, metric)
			}
		}
		for key := range s.Spec.Triggers[0].Metadata {
			if !slices.Contains([]string{"serverAddress", "query", "threshold", "activationThreshold"}, key) {
				t.Errorf("%s: KEDA's prometheus trigger is not known to take %s", name, key)
			}
		}
	}
	if small := o.scaled["media-mediafn-worker-small"].Spec; *small.MinReplicaCount != 0 || small.Triggers[0].Metadata["threshold"] != "5" {
		t.Error("what a pool says of its scaling is not taken")
	}
}

// Workers touch hostile media: nothing leads from them to the database.
func TestWorkersAndDatabase(t *testing.T) {
	each(t, func(t *testing.T, o *objects) {
		for name, d := range o.deployments {
			pod := d.Spec.Template.Spec
			_, state := o.env(t, d)["MEDIAFN_STATE"]
			secrets := slices.ContainsFunc(pod.Volumes, func(v core.Volume) bool { return v.Secret != nil })
			if state == isWorker(d) || secrets == isWorker(d) {
				t.Errorf("%s: database address %t, secret files %t", name, state, secrets)
			}
			p := o.policies[name]
			if p == nil {
				continue
			}
			for _, at := range []string{"10.1.2.3", "10.200.0.1", "8.8.8.8"} {
				if isWorker(d) && reaches(t, p, at, 5432) {
					t.Errorf("%s reaches the database port of %s", name, at)
				}
			}
			if !isWorker(d) && !reaches(t, p, "10.1.2.3", 5432) {
				t.Errorf("%s does not reach the database", name)
			}
			if reaches(t, p, "169.254.169.254", 80) || reaches(t, p, "10.1.2.3", 80) {
				t.Errorf("%s reaches the inside of the network by http", name)
			}
			if public := reaches(t, p, "8.8.8.8", 80); public == (name == "media-mediafn-controller") {
				t.Errorf("%s reaches public addresses: %t", name, public)
			}
		}
	})
}

// reaches says whether a policy lets pods connect to an address. Peers that are
// pods are not addresses.
func reaches(t *testing.T, p *networking.NetworkPolicy, address string, port int32) bool {
	t.Helper()
	addr := netip.MustParseAddr(address)
	for _, rule := range p.Spec.Egress {
		ports := len(rule.Ports) == 0
		for _, q := range rule.Ports {
			ports = ports || q.Port == nil || q.Port.IntVal == port && (q.Protocol == nil || *q.Protocol == core.ProtocolTCP)
		}
		peers := len(rule.To) == 0
		for _, peer := range rule.To {
			if peer.IPBlock == nil || !netip.MustParsePrefix(peer.IPBlock.CIDR).Contains(addr) {
				continue
			}
			except := slices.ContainsFunc(peer.IPBlock.Except, func(c string) bool { return netip.MustParsePrefix(c).Contains(addr) })
			peers = peers || !except
		}
		if ports && peers {
			return true
		}
	}
	return false
}

// Pods fit the restricted level of the Pod Security Standards.
func TestRestricted(t *testing.T) {
	each(t, func(t *testing.T, o *objects) {
		for name, d := range o.deployments {
			pod := d.Spec.Template.Spec
			p, c := pod.SecurityContext, pod.Containers[0].SecurityContext
			if !*p.RunAsNonRoot || p.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault || *c.AllowPrivilegeEscalation ||
				!slices.Equal(c.Capabilities.Drop, []core.Capability{"ALL"}) || len(c.Capabilities.Add) > 0 || !*c.ReadOnlyRootFilesystem ||
				c.Privileged != nil || pod.HostNetwork || pod.HostPID || pod.HostIPC {
				t.Errorf("%s is not restricted", name)
			}
			if pod.EnableServiceLinks == nil || *pod.EnableServiceLinks {
				t.Errorf("%s: variables of Services may read as configuration", name)
			}
			if *pod.AutomountServiceAccountToken {
				t.Errorf("%s holds a token of the Kubernetes API, which it does not need", name)
			}
		}
	})
}

// What a pod refers to exists.
func TestReferences(t *testing.T) {
	each(t, func(t *testing.T, o *objects) {
		for name, d := range o.deployments {
			pod := d.Spec.Template.Spec
			if account := pod.ServiceAccountName; account != "default" && o.accounts[account] == nil {
				t.Errorf("%s: no ServiceAccount %s", name, account)
			}
			var volumes, mounts []string
			for _, v := range pod.Volumes {
				volumes = append(volumes, v.Name)
				switch {
				case v.ConfigMap != nil && o.configs[v.ConfigMap.Name] == nil:
					t.Errorf("%s: no ConfigMap %s", name, v.ConfigMap.Name)
				case v.Secret != nil && v.Secret.SecretName != "mine" && o.secrets[v.Secret.SecretName] == nil:
					t.Errorf("%s: no Secret %s", name, v.Secret.SecretName)
				}
			}
			for _, m := range pod.Containers[0].VolumeMounts {
				mounts = append(mounts, m.Name)
			}
			slices.Sort(volumes)
			slices.Sort(mounts)
			if !slices.Equal(volumes, mounts) {
				t.Errorf("%s: volumes %q, mounted %q", name, volumes, mounts)
			}
		}
	})
}

// mediafn itself is asked what it thinks of each pod's configuration.
func TestConfigurations(t *testing.T) {
	each(t, func(t *testing.T, o *objects) {
		for name, d := range o.deployments {
			args := slices.Clone(d.Spec.Template.Spec.Containers[0].Args)
			if i := slices.Index(args, "--config=/etc/mediafn/mediafn.yaml"); i >= 0 {
				args[i] = "--config=" + file(t, o.file())
			}
			env := o.env(t, d)
			if flows := env["MEDIAFN_FLOWS"]; flows != "" {
				env["MEDIAFN_FLOWS"] = t.TempDir()
			}
			accepted(t, name, args, env)
		}
	})
}

// What the schema or the templates must refuse.
func TestRefused(t *testing.T) {
	for name, c := range map[string]struct{ values, want string }{
		"unknown key":        {addresses + "replicas: 3", "replicas"},
		"unknown nested key": {addresses + "gateway: {replica: 3}", "replica"},
		"unknown pool key":   {addresses + "workers: [{name: a, replica: 1}]", "replica"},
		"nameless pool":      {addresses + "workers: [{replicas: 1}]", "name"},
		"unknown pool":       {addresses + "workers: [{name: a, pools: [tpu]}]", "pools"},
		"pool twice":         {addresses + "workers: [{name: a}, {name: a}]", "two pools are called"},
		"long name":          {addresses + "workers: [{name: a-name-far-too-long}]", "name"},
		"text for a number":  {addresses + "gateway: {replicas: three}", "replicas"},
		"short lease":        {addresses + "config: {leaseSeconds: 1}", "leaseSeconds"},
		"unknown level":      {addresses + "config: {logLevel: loud}", "logLevel"},
		"no addresses":       {"{}", "secret.state (or existingSecret) is required"},
		"other database":     {"secret: {state: 'mysql://db/x'}", "state"},
		"both secrets":       {addresses + "existingSecret: mine", "existingSecret is set"},
		"database for all":   {addresses + "  env: {MEDIAFN_STATE: x}", "MEDIAFN_STATE"},
		"ingress, no host":   {addresses + "gateway: {ingress: {enabled: true}}", "host is required"},
	} {
		_, err := render(c.values)
		if err == nil {
			t.Errorf("%s: not refused", name)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v does not say %q", name, err, c.want)
		}
	}
}

func TestNotes(t *testing.T) {
	files, err := render(variants["everything"])
	if err != nil {
		t.Fatal(err)
	}
	notes := files["mediafn/templates/NOTES.txt"]
	for _, want := range []string{"svc/media-mediafn-gateway", "small (cpu): 0–30, by KEDA"} {
		if !strings.Contains(notes, want) {
			t.Errorf("the notes do not say %q:\n%s", want, notes)
		}
	}
}

// The chart's page has a row for every value, with its default.
func TestReadme(t *testing.T) {
	page, err := os.ReadFile(chartDir + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(chartDir + "/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(text, &values); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows("", values) {
		if !strings.Contains(string(page), row) {
			t.Errorf("README.md of the chart lacks the row %s", row)
		}
	}
}

// rows are the beginnings of the table's lines: name and default.
func rows(prefix string, values map[string]any) []string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(values)) {
		name := prefix + key
		inner, isMap := values[key].(map[string]any)
		if isMap && len(inner) > 0 && key != "resources" && key != "podSecurityContext" && !isAddress(inner) {
			all = append(all, rows(name+".", inner)...)
			continue
		}
		text, err := yaml.Marshal(values[key])
		if err != nil {
			panic(err) // it was read from YAML
		}
		short := strings.TrimSpace(string(text))
		if strings.Contains(short, "\n") || strings.HasPrefix(short, "- ") || isMap && len(inner) > 0 {
			all = append(all, "| `"+name+"` | ")
			continue
		}
		all = append(all, "| `"+name+"` | `"+short+"` |")
	}
	return all
}

// isAddress: {port, to} is one row.
func isAddress(m map[string]any) bool { _, ok := m["to"]; return ok }
