// Package matrix_test runs every kind of source through every kind of
// function, sliced and whole, and compares: make matrix. What comes of it is
// the table of docs/slicing.md.
package matrix_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/tools/sandbox"
)

var (
	full = flag.Bool("matrix.full", false, "every cell instead of a sample, and the table into docs/slicing.md")
	only = flag.String("matrix.only", "", "with -matrix.full: only cells SOURCE/FUNCTION that match this")
)

func TestMain(m *testing.M) {
	sandbox.MaybeExec()
	flag.Parse()
	dir, err := os.MkdirTemp("", "mediafn-matrix-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	folder.path, folder.made = dir, map[string]*sync.Once{}
	for name, text := range texts {
		err = os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)
	}
	code := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// cores are what mediafn is told it has, so that slices are as many everywhere.
const cores = 4

// open starts a mediafn of the test's own.
func open(t *testing.T) *app.Local {
	t.Helper()
	l, err := app.OpenLocal(t.Context(), app.LocalConfig{Temp: t.TempDir(), Cores: cores}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}
