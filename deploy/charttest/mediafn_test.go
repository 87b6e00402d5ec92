package charttest

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	apps "k8s.io/api/apps/v1"
)

const root = "../.."

// build makes the mediafn of this tree, once.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mediafn-charttest-")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", dir+"/mediafn", "./cmd/mediafn")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return dir, fmt.Errorf("%w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, _ := build(); dir != "" {
		_ = os.RemoveAll(dir)
	}
	os.Exit(code)
}

func binary(t *testing.T) string {
	t.Helper()
	dir, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return dir + "/mediafn"
}

var variable = regexp.MustCompile(`\$(MEDIAFN_[A-Z_]+)`)

// variables are those mediafn reads, from its own help.
var variables = sync.OnceValues(func() (map[string]bool, error) {
	dir, err := build()
	if err != nil {
		return nil, err
	}
	help, err := exec.Command(dir+"/mediafn", "serve", "--help").Output()
	known := map[string]bool{}
	for _, m := range variable.FindAllStringSubmatch(string(help), -1) {
		known[m[1]] = true
	}
	if err == nil && len(known) < 20 {
		err = fmt.Errorf("serve --help names %d variables only", len(known))
	}
	return known, err
})

// accepted has mediafn check a configuration. A variable it does not read would
// be without effect, so that is a failure too.
func accepted(t *testing.T, who string, args []string, env map[string]string) {
	t.Helper()
	known, err := variables()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary(t), append(args, "--check")...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range env {
		if strings.HasPrefix(name, "MEDIAFN_") && !known[name] {
			t.Errorf("%s: mediafn reads no %s", who, name)
		}
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: mediafn %s: %v\n%s", who, strings.Join(args, " "), err, out)
	}
}

// env is what a pod's container would find in its environment.
func (o *objects) env(t *testing.T, d *apps.Deployment) map[string]string {
	t.Helper()
	env := map[string]string{}
	c := d.Spec.Template.Spec.Containers[0]
	for _, from := range c.EnvFrom {
		config := o.configs[from.ConfigMapRef.Name]
		if config == nil {
			t.Fatalf("%s: no ConfigMap %s", d.Name, from.ConfigMapRef.Name)
		}
		for name, value := range config.Data {
			env[name] = value
		}
	}
	for _, e := range c.Env {
		switch {
		case e.ValueFrom == nil:
			env[e.Name] = e.Value
		case e.ValueFrom.ResourceFieldRef != nil:
			env[e.Name] = "4"
		case e.ValueFrom.SecretKeyRef != nil:
			ref := e.ValueFrom.SecretKeyRef
			data := existing
			if ref.Name != "mine" {
				if o.secrets[ref.Name] == nil {
					t.Fatalf("%s: no Secret %s", d.Name, ref.Name)
				}
				data = o.secrets[ref.Name].StringData
			}
			value, ok := data[ref.Key]
			if !ok && (ref.Optional == nil || !*ref.Optional) {
				t.Fatalf("%s: Secret %s has no key %s", d.Name, ref.Name, ref.Key)
			}
			if ok {
				env[e.Name] = value
			}
		}
	}
	return env
}

// existing is the Secret that the variant "existing secret" names.
var existing = map[string]string{
	"state": "postgres://mediafn:secret@db/mediafn", "queue": "nats://nats:4222", "blobs": "main=s3://s3.example.com?region=eu-1", "mediafn.yaml": "{}",
}

// file is the configuration file of this release.
func (o *objects) file() string {
	if s := o.secrets["media-mediafn"]; s != nil {
		return s.StringData["mediafn.yaml"]
	}
	return existing["mediafn.yaml"]
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mediafn.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// metrics are the names in mediafn's code.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	quoted := regexp.MustCompile(`"(mediafn_[a-z_]+)"`)
	names := map[string]bool{}
	for _, dir := range []string{"roles", "app", "exec", "internal"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range quoted.FindAllStringSubmatch(string(text), -1) {
				names[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return names
}
