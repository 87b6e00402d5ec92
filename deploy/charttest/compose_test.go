package charttest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	compose "github.com/compose-spec/compose-go/v2/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// project loads the compose file as docker compose does, with the example of
// its secrets.
func project(t *testing.T) *compose.Project {
	t.Helper()
	dir, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	env, err := dotenv.Read(filepath.Join(dir, "compose.env.example"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := loader.LoadWithContext(t.Context(), compose.ConfigDetails{
		WorkingDir: dir, ConfigFiles: []compose.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml")}}, Environment: env,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func isMediafn(s compose.ServiceConfig) bool { return s.Build != nil }

func TestComposeConfigurations(t *testing.T) {
	p := project(t)
	image := dockerfile(t)
	counts := map[string]int{}
	for name, s := range p.Services {
		if !isMediafn(s) {
			continue
		}
		env := map[string]string{}
		for key, value := range image.env {
			env[key] = value
		}
		for key, value := range s.Environment {
			if value == nil {
				t.Errorf("%s: %s has no value", name, key)
				continue
			}
			env[key] = *value
		}
		accepted(t, name, s.Command, env)
		counts[name] = s.GetScale()

		lease, grace := duration(t, env["MEDIAFN_LEASE"]), duration(t, env["MEDIAFN_GRACE"])
		if s.StopGracePeriod == nil || time.Duration(*s.StopGracePeriod) <= lease+grace+15*time.Second {
			t.Errorf("%s: its stop_grace_period is not longer than grace, lease and a worker's last words", name)
		}
		if !slices.Contains(s.CapDrop, "ALL") || !s.ReadOnly || s.Privileged {
			t.Errorf("%s has rights it does not need", name)
		}
	}
	if counts["gateway"] != 2 || counts["controller"] != 2 || counts["worker"] != 2 || counts["results"] != 1 || len(counts) != 4 {
		t.Errorf("processes: %v", counts)
	}
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Services are asked how they are, start after what they need, and reach what
// their addresses name: workers not the database.
func TestComposeRelations(t *testing.T) {
	p := project(t)
	host := regexp.MustCompile(`(?:@|//)([a-z][-a-z0-9]*)(?::[0-9]+)?(?:[,/?]|$)`)
	for name, s := range p.Services {
		if s.HealthCheck == nil || len(s.HealthCheck.Test) == 0 {
			t.Errorf("%s has no health check", name)
		}
		if s.StopGracePeriod == nil && name != "s3" {
			t.Errorf("%s has no stop_grace_period", name)
		}
		for _, v := range s.Volumes {
			if v.Type == compose.VolumeTypeVolume && v.Source != "" {
				if _, ok := p.Volumes[v.Source]; !ok {
					t.Errorf("%s: no volume %s", name, v.Source)
				}
			}
			if v.Type == compose.VolumeTypeBind {
				if _, err := os.Stat(v.Source); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if !isMediafn(s) {
			continue
		}
		named := map[string]bool{}
		for key, value := range s.Environment {
			if key == "MEDIAFN_PUBLIC_URL" {
				continue
			}
			for _, m := range host.FindAllStringSubmatch(*value, -1) {
				named[m[1]] = true
			}
		}
		if len(named) < 4 || named["postgres"] != (name != "worker") {
			t.Errorf("%s names the servers %v", name, named)
		}
		for other := range named {
			if !shares(s, p.Services[other]) {
				t.Errorf("%s has no network with %s", name, other)
			}
			if d, ok := s.DependsOn[other]; !ok || d.Condition != compose.ServiceConditionHealthy {
				t.Errorf("%s does not wait for %s", name, other)
			}
		}
	}
	if shares(p.Services["worker"], p.Services["postgres"]) {
		t.Error("a network leads from workers to the database")
	}
}

func shares(a, b compose.ServiceConfig) bool {
	for network := range a.Networks {
		if _, ok := b.Networks[network]; ok {
			return true
		}
	}
	return false
}

// No secret has a value in the file itself.
func TestComposeSecrets(t *testing.T) {
	text, err := os.ReadFile("../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	example, err := dotenv.Read("../compose.env.example")
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range example {
		if !strings.Contains(string(text), "${"+name+":?}") {
			t.Errorf("compose.yaml does not insist on %s", name)
		}
		if value == "mediafn" { // the database's user has the same name
			continue
		}
		if strings.Contains(string(text), value) {
			t.Errorf("%s stands in compose.yaml", name)
		}
	}
}

type image struct {
	env     map[string]string
	user    string
	command []string
	stages  []instructions.Stage
}

func dockerfile(t *testing.T) image {
	t.Helper()
	f, err := os.Open("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tree, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(tree.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	i := image{env: map[string]string{}, stages: stages}
	for _, c := range stages[len(stages)-1].Commands {
		switch c := c.(type) {
		case *instructions.EnvCommand:
			for _, e := range c.Env {
				i.env[e.Key] = e.Value
			}
		case *instructions.UserCommand:
			i.user = c.User
		case *instructions.EntrypointCommand:
			i.command = append(slices.Clone(c.CmdLine), i.command...)
		case *instructions.CmdCommand:
			i.command = append(i.command, c.CmdLine...)
		}
	}
	return i
}

func TestDockerfile(t *testing.T) {
	i := dockerfile(t)
	if i.user != "10001:10001" {
		t.Errorf("runs as %q", i.user)
	}
	if !slices.Equal(i.command, []string{"mediafn", "serve"}) {
		t.Errorf("runs %q", i.command)
	}
	accepted(t, "image", i.command[1:], i.env)

	// The Go that builds is the one go.mod asks for, and the packages are those
	// of scripts/setup.sh.
	mod, err := os.ReadFile(root + "/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go ([0-9]+\.[0-9]+)`).FindSubmatch(mod)
	if !strings.Contains(string(text), "ARG GO="+string(version[1])+"\n") {
		t.Errorf("go.mod asks for Go %s", version[1])
	}
	setup, err := os.ReadFile(root + "/scripts/setup.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range strings.Fields(string(regexp.MustCompile(`(?m)^packages="(.*)"`).FindSubmatch(setup)[1])) {
		if p != "gcc" && p != "libc6-dev" && !strings.Contains(string(text), " "+p) { // those two are in the image of Go
			t.Errorf("scripts/setup.sh installs %s, the image does not", p)
		}
	}
}
