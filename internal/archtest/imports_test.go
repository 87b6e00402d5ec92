// Package archtest holds the tree to its own rules: which packages may import
// which, and how large files, packages and interfaces may grow.
package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mediafn/mediafn/"

// lattice says what each part of the tree may import, by path prefix. The most
// specific prefix counts. Imports go one way:
//
//	core ← tools, ports ← functions ← exec ← roles ← app ← cmd
var lattice = []struct {
	from string
	may  []string
}{
	{"core/", []string{"core/"}},
	{"tools/", []string{"core/", "tools/", "internal/span"}},
	{"ports/", []string{"core/", "ports/"}},
	{"functions/", []string{"core/", "tools/", "functions/", "ports/infer/"}},
	{"flows", []string{"core/"}},
	{"exec", []string{"core/", "tools/", "ports/blob", "exec/", "internal/span"}},
	{"api", []string{"core/", "api"}},
	{"roles", []string{"core/", "api", "ports/", "exec", "roles/", "internal/span"}}, // tests of several roles together
	{"roles/worker", []string{"core/", "api", "ports/queue", "exec", "internal/span", "roles/worker/load"}},
	{"roles/worker/load", []string{"core/"}},
	{"roles/gateway", []string{"core/", "api", "ports/", "exec", "roles/gateway", "internal/span"}},
	{"roles/gateway/tus", []string{"core/", "api", "ports/", "tools/container/front"}},
	{"roles/controller", []string{"core/", "api", "ports/", "roles/controller", "internal/span"}},
	{"roles/results", []string{"core/", "api", "ports/", "roles/results", "internal/span"}},
	{"app", []string{"core/", "tools/", "ports/", "functions/", "flows", "exec", "roles/", "api", "app/", "internal/failpoint", "internal/span"}},
	{"cmd/mediafn-engine", []string{"core/", "tools/engine/"}},
	{"cmd/mediafn", []string{"app/", "tools/sandbox"}},
	{"internal/", []string{}},
	{"internal/span", []string{"core/errs"}},
	{"e2e", []string{"core/", "api", "tools/", "ports/", "app", "internal/"}},
}

// plain packages hold to the standard library and a YAML parser.
var coreMay = []string{"github.com/goccy/go-yaml", "github.com/google/uuid"}

type pkg struct {
	ImportPath string
	Dir        string
	Standard   bool
	Imports    []string
	GoFiles    []string
	CgoFiles   []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Standard,Imports,GoFiles,CgoFiles", module+"...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func rule(path string) (may []string, found bool) {
	best := ""
	for _, l := range lattice {
		if (strings.HasPrefix(path, l.from) || path+"/" == l.from) && len(l.from) > len(best) {
			best, may, found = l.from, l.may, true
		}
	}
	return may, found
}

func allowed(path string, may []string) bool {
	return slices.ContainsFunc(may, func(m string) bool {
		return path == m || path == strings.TrimSuffix(m, "/") || strings.HasPrefix(path, strings.TrimSuffix(m, "/")+"/")
	})
}

func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		may, found := rule(path)
		if !found {
			t.Errorf("%s stands nowhere in the lattice", path)
			continue
		}
		for _, imp := range p.Imports {
			if target, ours := strings.CutPrefix(imp, module); ours && target != path && !allowed(target, may) {
				t.Errorf("%s imports %s; it may import %s", path, target, strings.Join(may, ", "))
			}
		}
	}
}

// tests of core/fn/fntest and the like are core too, but may use more.
func TestCoreIsPlain(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if !strings.HasPrefix(path, "core/") || path == "core/fn/fntest" {
			continue
		}
		for _, imp := range p.Imports {
			outside := strings.Contains(strings.Split(imp, "/")[0], ".") && !strings.HasPrefix(imp, module)
			if outside && !slices.Contains(coreMay, imp) {
				t.Errorf("%s imports %s: core holds to the standard library and a YAML parser", path, imp)
			}
			if imp == "net/http" || imp == "os" || imp == "os/exec" || imp == "net" {
				t.Errorf("%s imports %s: core does no I/O", path, imp)
			}
		}
	}
}

// roles never import one another; workers never see the database.
func TestRolesAreApart(t *testing.T) {
	for _, p := range packages(t) {
		path := strings.TrimPrefix(p.ImportPath, module)
		if !strings.HasPrefix(path, "roles/") {
			continue
		}
		role := strings.Join(strings.Split(path, "/")[:2], "/")
		for _, imp := range p.Imports {
			target, ours := strings.CutPrefix(imp, module)
			if ours && strings.HasPrefix(target, "roles/") && target != role && !strings.HasPrefix(target, role+"/") {
				t.Errorf("%s imports %s", path, target)
			}
			if role == "roles/worker" && strings.HasPrefix(target, "ports/state") {
				t.Errorf("%s imports %s: workers never touch the database", path, target)
			}
		}
	}
}
