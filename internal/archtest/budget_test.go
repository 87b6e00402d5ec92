package archtest

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Budgets of lines and methods.
const (
	maxFile      = 600 // of a file; tables and suites have 900
	maxTable     = 900
	maxMedian    = 150
	maxPackage   = 2500
	maxInterface = 6
)

// wide lists interfaces over the budget, with the reason.
var wide = map[string]string{}

func TestSizes(t *testing.T) {
	var sizes []int
	for _, p := range packages(t) {
		total := 0
		for _, name := range append(slices.Clone(p.GoFiles), p.CgoFiles...) {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			n := bytes.Count(text, []byte("\n"))
			total += n
			sizes = append(sizes, n)
			limit := maxFile
			if strings.HasSuffix(p.ImportPath, "test") {
				limit = maxTable
			}
			if n > limit {
				t.Errorf("%s/%s has %d lines, over %d", p.ImportPath, name, n, limit)
			}
		}
		if total > maxPackage {
			t.Errorf("%s has %d lines, over %d", p.ImportPath, total, maxPackage)
		}
	}
	slices.Sort(sizes)
	if median := sizes[len(sizes)/2]; median > maxMedian {
		t.Errorf("the median file has %d lines, over %d", median, maxMedian)
	}
}

func TestInterfaces(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				spec, ok := n.(*ast.TypeSpec)
				if !ok {
					return true
				}
				i, ok := spec.Type.(*ast.InterfaceType)
				full := strings.TrimPrefix(p.ImportPath, module) + "." + spec.Name.Name
				if ok && i.Methods.NumFields() > maxInterface && wide[full] == "" {
					t.Errorf("interface %s has %d methods, over %d", full, i.Methods.NumFields(), maxInterface)
				}
				return true
			})
		}
	}
}

// Names that say nothing stay out of the tree.
func TestNames(t *testing.T) {
	for _, p := range packages(t) {
		for _, part := range strings.Split(strings.TrimPrefix(p.ImportPath, module), "/") {
			switch part {
			case "common", "util", "utils", "helpers", "types", "models", "manager", "pkg", "base", "misc":
				t.Errorf("package %s: %s says nothing", p.ImportPath, part)
			}
		}
	}
}

// init runs before main chose anything; registries made by it hide the list.
func TestNoInit(t *testing.T) {
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
					t.Errorf("%s/%s has an init function", p.ImportPath, name)
				}
			}
		}
	}
}
