package cli

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/tools/sandbox"
)

var update = flag.Bool("update", false, "rewrite goldens and docs/functions.md")

func TestMain(m *testing.M) {
	sandbox.MaybeExec()
	testscript.Main(leakChecked{m}, map[string]func(){
		"mediafn": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// leakChecked fails tests that leave goroutines.
type leakChecked struct{ m *testing.M }

func (l leakChecked) Run() int {
	code := l.m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = io.WriteString(os.Stderr, err.Error()+"\n")
		return 1
	}
	return code
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script", UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("TMPDIR", filepath.Join(e.WorkDir, ".tmp"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "clip": clip, "server": startServer, "clean": clean, "waitworker": waitWorker, "waiting": waiting,
		},
	})
}

// exits runs mediafn and compares the exit code: exits 2 run nonsense
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits CODE ARGUMENT…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec("mediafn", args[1:]...)
	got := 0
	if err != nil {
		got = -1
		if _, text, ok := strings.Cut(err.Error(), "exit status "); ok {
			got, err = strconv.Atoi(text)
			ts.Check(err)
		}
	}
	if got != want {
		ts.Fatalf("mediafn %s: exit code %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// clip makes a short film: clip NAME SECONDS
func clip(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(makeClip(ts.MkAbs(args[0]), args[1]))
}

func makeClip(path, seconds string) error {
	return exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=160x90:r=25:d="+seconds, "-f", "lavfi", "-i", "sine=d="+seconds,
		"-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-c:a", "aac", "-shortest", path).Run()
}

// server starts all roles in this process and names it in MEDIAFN_SERVER.
func startServer(ts *testscript.TestScript, _ bool, _ []string) {
	ctx, stop := context.WithCancel(context.Background())
	a, err := app.Open(ctx, app.Config{
		Data: ts.MkAbs(".server"), Listen: "127.0.0.1:0", Roles: []string{"gateway", "controller", "worker", "results"}, Queue: "mem",
		Cores: 2, Most: 8, Lease: 15 * time.Second, Tick: 50 * time.Millisecond,
	}, slog.New(slog.DiscardHandler))
	ts.Check(err)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	ts.Defer(func() {
		stop()
		if err := <-ended; err != nil {
			ts.Logf("server: %v", err)
		}
		ts.Check(a.Close())
	})
	ts.Setenv("MEDIAFN_SERVER", "http://"+a.Address())
}

// polled asks the server until it says what a test waits for.
func polled(ts *testscript.TestScript, what string, ask func(context.Context, *client.Client) (bool, error)) {
	c, err := client.New(ts.Getenv("MEDIAFN_SERVER"), "", nil)
	ts.Check(err)
	defer c.Close()
	ctx, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := ask(ctx, c)
		if done {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("%s did not happen: %v", what, err)
		}
	}
}

// waitworker waits until the server's worker has offered itself.
func waitWorker(ts *testscript.TestScript, _ bool, _ []string) {
	polled(ts, "an offer", func(ctx context.Context, c *client.Client) (bool, error) {
		all, err := c.Workers(ctx)
		return err == nil && len(all.Workers) == 1, err
	})
}

// waiting waits until the work of a task is ready, and names the task in TASK:
// waiting MSGID
func waiting(ts *testscript.TestScript, _ bool, args []string) {
	polled(ts, "ready work", func(ctx context.Context, c *client.Client) (bool, error) {
		page, err := c.Tasks(ctx, client.Filter{MsgID: args[0]})
		if err != nil || len(page.Tasks) == 0 {
			return false, err
		}
		ts.Setenv("TASK", page.Tasks[0].TaskID)
		t, err := c.Task(ctx, page.Tasks[0].TaskID)
		return err == nil && len(t.Work) > 0 && t.Work[0].State == task.Ready, err
	})
}

// clean checks that the temporary folder is empty and that a folder holds what
// is named, no more: clean DIR NAME…
func clean(ts *testscript.TestScript, _ bool, args []string) {
	for dir, want := range map[string][]string{ts.Getenv("TMPDIR"): nil, ts.MkAbs(args[0]): args[1:]} {
		got, err := listing(dir)
		ts.Check(err)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			ts.Fatalf("%s holds %q, want %q", dir, got, want)
		}
	}
}

func listing(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
