package app

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/blob"
)

var silent = slog.New(slog.DiscardHandler)

func TestLocal(t *testing.T) {
	temp := t.TempDir()
	l, err := OpenLocal(t.Context(), LocalConfig{Temp: temp, Cores: 2}, silent)
	if err != nil {
		t.Fatal(err)
	}
	// Many at once take the same path as on a server.
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			a, err := l.Client.Submit(t.Context(), &api.Submit{Cmd: "noop"}, 0)
			if err != nil {
				t.Error(err)
				return
			}
			for e, err := range l.Client.Events(t.Context(), a.TaskID) {
				if err != nil || e.Type == "end" && e.Task.State != task.Succeeded {
					t.Error(e.Task, err)
				}
			}
		})
	}
	all.Wait()
	if l.app.Address() != "local" {
		t.Errorf("it listens on %s", l.app.Address())
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
	if _, err := l.Client.Submit(t.Context(), &api.Submit{Cmd: "noop"}, 0); !errs.Is(err, errs.Transient) {
		t.Errorf("after the end: %v", err)
	}
}

// A local run that can't start leaves nothing either, and one that is stopped
// before it began ends.
func TestLocalEndsEarly(t *testing.T) {
	temp := t.TempDir()
	for _, c := range []LocalConfig{{Temp: temp, Memory: "lots"}, {Temp: temp, Cores: -1}, {Temp: temp, EgressAllow: []string{"not an address/99"}}} {
		if _, err := OpenLocal(t.Context(), c, silent); !errs.Is(err, errs.Invalid) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if l, err := OpenLocal(ctx, LocalConfig{Temp: temp}, silent); err == nil {
		_ = l.Close() // it may say that it was stopped
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
	if _, err := OpenLocal(t.Context(), LocalConfig{Temp: filepath.Join(temp, "none")}, silent); err == nil {
		t.Error("a folder that is not there")
	}
}

func TestGivenFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a\nfile\xff with "+strings.Repeat("é", 100)+".bin")
	body := bytes.Repeat([]byte("0123456789"), 1000)
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	g := newGivenFiles()
	store, err := blob.New(g, blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	first, err := g.add(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := g.add(path)
	if err != nil || key == first {
		t.Fatalf("%q %v", key, err)
	}
	r, a, err := store.Get(t.Context(), givenBucket, key, 10, 5)
	if err != nil || a.Size != int64(len(body)) {
		t.Fatalf("%+v %v", a, err)
	}
	if got, err := io.ReadAll(r); string(got) != "01234" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	at, err := store.Reader(t.Context(), givenBucket, key)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 3)
	if _, err := at.ReadAt(got, 9995); string(got) != "567" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if err := at.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := store.Get(t.Context(), givenBucket, key, 1<<40, 1); !errs.Is(err, errs.Invalid) {
		t.Errorf("beyond the end: %v", err)
	}
	for _, name := range [][2]string{{givenBucket, "9/x"}, {"other", key}, {givenBucket, "etc/passwd"}} {
		if _, err := store.Stat(t.Context(), name[0], name[1]); !errs.Is(err, errs.NotFound) {
			t.Errorf("%v: %v", name, err)
		}
	}
	if _, err := store.Put(t.Context(), givenBucket, key, strings.NewReader("x"), blob.PutOptions{Size: 1}); !errs.Is(err, errs.Denied) {
		t.Errorf("writing: %v", err)
	}
	if err := store.Delete(t.Context(), givenBucket, key); !errs.Is(err, errs.Denied) {
		t.Errorf("removing: %v", err)
	}
	if items, err := store.List(t.Context(), givenBucket, "", "", 10); err != nil || len(items) > 0 {
		t.Errorf("listing: %v %v", items, err)
	}
	for path, kind := range map[string]errs.Kind{dir: errs.Invalid, filepath.Join(dir, "none"): errs.NotFound, "/dev/null": errs.Invalid} {
		if _, err := g.add(path); !errs.Is(err, kind) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, body) {
		t.Errorf("the file changed: %v", err)
	}
}

func TestPipeListener(t *testing.T) {
	l := newPipeListener()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) }}}
	r, err := c.Get("http://local/")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(r.Body); string(text) != "hello" || err != nil {
		t.Errorf("%q %v", text, err)
	}
	if err := r.Body.Close(); err != nil {
		t.Error(err)
	}
	c.CloseIdleConnections()
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	<-ended
	if _, err := l.dial(t.Context()); !errs.Is(err, errs.Transient) {
		t.Errorf("a closed listener: %v", err)
	}
	nobody, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := newPipeListener().dial(nobody); !errs.Is(err, errs.Timeout) {
		t.Errorf("nobody accepts: %v", err)
	}
}

func TestCompute(t *testing.T) {
	temp, file := t.TempDir(), filepath.Join(t.TempDir(), "a.gif")
	// One transparent pixel.
	gif := "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
	if err := os.WriteFile(file, []byte(gif), 0o600); err != nil {
		t.Fatal(err)
	}
	c := LocalConfig{Temp: temp, Cores: 1}
	for _, x := range []struct {
		name, input, params string
		kind                errs.Kind
	}{
		{"inspect.probe", file + ".none", "{}", errs.NotFound},
		{"inspect.probe", file, `{"level":"deep"}`, errs.Invalid},
		{"noop", file, "{}", errs.Invalid},
		{"none", file, "{}", errs.Invalid},
		{"inspect.probe", "http://127.0.0.1:9/x", "{}", errs.Denied},
	} {
		if _, err := Compute(t.Context(), c, x.name, x.input, []byte(x.params), silent); !errs.Is(err, x.kind) {
			t.Errorf("%s %s: %v", x.name, x.input, err)
		}
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left: %v %v", left, err)
	}
}

func TestMigrate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	for range 2 {
		which, err := Migrate(t.Context(), Config{Data: dir})
		if err != nil || which != "sqlite:"+filepath.Join(dir, "state.db") {
			t.Fatal(which, err)
		}
	}
	if _, err := Migrate(t.Context(), Config{Data: dir, State: "oracle:x"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("%v", err)
	}
}

// What this build offers is the same with and without tools; only what can run
// here differs.
func TestOffer(t *testing.T) {
	functions, book, err := Offer()
	if err != nil || len(book.Names()) < 2 {
		t.Fatal(err)
	}
	menu, err := Menu("", silent)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := strings.Join(functions.Names(), " "), strings.Join(menu.Names(), " "); a != b {
		t.Errorf("%s\n%s", a, b)
	}
	for _, name := range menu.Names() {
		f, err := menu.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fnSchema(f); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fnSchema renders a function the way every reader of declarations does.
func fnSchema(f fn.Function) (map[string]any, error) {
	_, err := f.Spec().Params.ParseTexts(nil)
	return f.Spec().Params.JSONSchema(), err
}
