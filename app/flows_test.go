package app

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/functions/all"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/mem"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/ports/state/sqlite"
)

func openLibrary(t *testing.T, folder string) *library {
	t.Helper()
	d, err := sqlite.Open(filepath.Join(t.TempDir(), "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := state.New(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return newLibrary(all.Menu(all.Tools{}), store, folder, slog.New(slog.DiscardHandler))
}

const nothing = `name: %NAME
summary: %SUMMARY
modules:
  - {module_name: M, status: m, next_status: done, components: [{component_name: A, fn: noop, depends: []}]}
`

func flowText(name, summary string) string {
	return strings.NewReplacer("%NAME", name, "%SUMMARY", summary).Replace(nothing)
}

func TestFolderOfFlows(t *testing.T) {
	folder := t.TempDir()
	l := openLibrary(t, folder)
	write := func(file, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	summary := func(name, want string) {
		t.Helper()
		p := l.book.Get(name)
		if p == nil || p.Summary != want {
			t.Errorf("%s is %+v, want %q", name, p, want)
			return
		}
		if _, err := l.store.Flow(t.Context(), name, p.Version); err != nil {
			t.Errorf("%s is offered, but its version is not kept: %v", name, err)
		}
	}
	write("one.yaml", flowText("one", "first"))
	write("two.json", `{"name": "two", "modules": [{"module_name": "M", "status": "m", "components": [{"component_name": "A", "fn": "noop"}]}]} // JSON too`)
	write("notes.txt", "{")
	if err := l.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	summary("one", "first")
	summary("two", "")
	summary(flow.SingleName, "Run one function.")
	old := l.book.Get("one").Version
	for file, c := range map[string]struct{ text, says string }{
		"bad.yaml":   {"name: bad", "there are no modules"},
		"fn.yaml":    {strings.Replace(flowText("three", ""), "noop", "nop", 1), "did you mean noop"},
		"again.yaml": {flowText("one", "again"), "both have flow one"},
		"name.yaml":  {flowText("noop", ""), "name of a function"},
	} {
		write(file, c.text)
		if err := l.read(t.Context()); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", file, err, c.says)
		}
		summary("one", "first") // nothing was taken in
		if err := os.Remove(filepath.Join(folder, file)); err != nil {
			t.Fatal(err)
		}
	}
	write("one.yaml", flowText("one", "second"))
	if err := os.Remove(filepath.Join(folder, "two.json")); err != nil {
		t.Fatal(err)
	}
	if err := l.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	summary("one", "second")
	if l.book.Get("two") != nil {
		t.Error("a flow whose file is gone is still offered")
	}
	if body, err := l.store.Flow(t.Context(), "one", old); err != nil || body != flowText("one", "first") {
		t.Errorf("the version before, which tasks may run: %q, %v", body, err)
	}
	l.folder = filepath.Join(folder, "none")
	if err := l.read(t.Context()); !errs.Is(err, errs.Invalid) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// TestFlowsOfTheDatabase activates flows while roles would run: they are taken
// in when it is announced, and go back when they are retired.
func TestFlowsOfTheDatabase(t *testing.T) {
	l := openLibrary(t, "")
	q, err := mem.Open(mem.Options{}, queue.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := l.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	single := l.book.Get(flow.SingleName)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.run(ctx, q) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	activate := func(name, text string) {
		t.Helper()
		version := "x"
		if p, err := flow.Load([]byte(text)); err == nil {
			version = p.Version
		}
		if err := l.store.ActivateFlow(t.Context(), name, version, text, "ann", time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	// announced tells until the book has changed: the library may not listen yet.
	announced := func(what string, holds func() bool) {
		t.Helper()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for limit := time.After(30 * time.Second); !holds(); {
			if err := q.Publish(t.Context(), job.SubjectControl, []byte("flow/x")); err != nil {
				t.Fatal(err)
			}
			select {
			case <-tick.C:
			case <-limit:
				t.Fatal(what)
			}
		}
	}
	activate("faulty", "name: faulty")
	activate("later", strings.Replace(flowText("later", ""), "noop", "of.a.later.build", 1))
	activate("one", flowText("one", "first"))
	activate(flow.SingleName, flowText(flow.SingleName, "mine"))
	announced("activated", func() bool { return l.book.Get("one") != nil })
	if p := l.book.Get(flow.SingleName); p.Summary != "mine" {
		t.Errorf("the build's flow counts more than the activated one: %+v", p)
	}
	if l.book.Get("faulty") != nil || l.book.Get("later") != nil {
		t.Error("flows that can't run here are offered")
	}
	activate("one", flowText("one", "second"))
	announced("a later version", func() bool { return l.book.Get("one").Summary == "second" })
	activate("one", flowText("one", "first"))
	announced("back to the first", func() bool { return l.book.Get("one").Summary == "first" })
	for _, name := range []string{"one", flow.SingleName} {
		if err := l.store.RetireFlow(t.Context(), name, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	announced("retired", func() bool { return l.book.Get("one") == nil })
	if l.book.Get(flow.SingleName) != single {
		t.Error("the build's own flow did not come back")
	}
}
