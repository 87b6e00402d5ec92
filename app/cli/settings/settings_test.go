package settings

import (
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

type flags struct {
	Listen string `name:"listen" default:"a" env:"TEST_SETTINGS_LISTEN"`
	Data   string `name:"data" default:"d" env:"TEST_SETTINGS_DATA"`
}

// parse reads a file's text and a command line the way the program does.
func parse(t *testing.T, text string, args ...string) (flags, File, error) {
	t.Helper()
	var f flags
	file := File{}
	p, err := kong.New(&f, kong.Name("test"))
	if err != nil {
		t.Fatal(err)
	}
	resolver, err := file.Load(strings.NewReader(text))
	if err != nil {
		return f, file, err
	}
	if err := resolver.Validate(p.Model); err != nil {
		return f, file, err
	}
	if err := kong.Resolvers(resolver).Apply(p); err != nil {
		t.Fatal(err)
	}
	_, err = p.Parse(args)
	return f, file, err
}

func TestPrecedence(t *testing.T) {
	t.Setenv("TEST_SETTINGS_DATA", "environment")
	f, _, err := parse(t, "listen: file\ndata: file\n")
	if err != nil || f.Listen != "file" || f.Data != "environment" {
		t.Errorf("%+v %v", f, err)
	}
	f, _, err = parse(t, `{"listen": "file"}`, "--listen", "flag")
	if err != nil || f.Listen != "flag" {
		t.Errorf("%+v %v", f, err)
	}
}

func TestUnknownKeyIsRefused(t *testing.T) {
	if _, _, err := parse(t, "lissten: x\n"); err == nil || !strings.Contains(err.Error(), "lissten") {
		t.Errorf("error %v", err)
	}
	if _, _, err := parse(t, ": :\n\t-"); err == nil {
		t.Error("what is no YAML was accepted")
	}
}

func TestTenants(t *testing.T) {
	_, file, err := parse(t, "tenants:\n  - name: acme\n    keys: [k]\n    weight: 2\n")
	if err != nil {
		t.Fatal(err)
	}
	all, err := file.Tenants()
	if err != nil || len(all) != 1 || all[0].Name != "acme" || all[0].Weight != 2 || all[0].Keys[0] != "k" {
		t.Errorf("%+v %v", all, err)
	}
	_, file, _ = parse(t, "tenants:\n  - nme: acme\n")
	if _, err := file.Tenants(); err == nil {
		t.Error("an unknown key of a tenant was accepted")
	}
}
