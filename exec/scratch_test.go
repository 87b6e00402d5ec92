package exec

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/mem"
)

// crash is the child of TestCrash: an executor in the middle of a job. It says
// so and waits to be killed.
func crash(dir string) {
	stores := blob.NewStores()
	s, err := mem.Open(0, blob.Default())
	if err == nil {
		err = stores.Add("main", s)
	}
	if err == nil {
		_, err = s.Put(context.Background(), "in", "a.png", strings.NewReader(string(picture(2, 2))), blob.PutOptions{Size: -1})
	}
	var e *Executor
	if err == nil {
		e, err = New(Config{
			Functions: fn.NewRegistry(define("test.run", []media.Kind{media.Image}, func(ctx context.Context, call *fn.Call) (*fn.Result, error) {
				write(call, "half", []byte("half done"))
				_ = os.Chmod(call.Dir, 0o500)
				fmt.Println("running")
				select {}
			})),
			Stores: stores, ScratchDir: dir,
		})
	}
	if err == nil {
		_, err = e.Run(context.Background(), jobFor(media.Ref{Bucket: "in", Key: "a.png"}), nil)
	}
	fmt.Println(err)
	os.Exit(1)
}

func TestCrash(t *testing.T) {
	dir := t.TempDir()
	child := osexec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "EXEC_TEST_CRASH="+dir)
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "running\n" {
		t.Fatal(line, err)
	}
	half := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "x-*", "t1", "work", "half"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	open := func() *scratch {
		s, err := openScratch(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	if len(half()) != 1 {
		t.Error("the scratch of a living executor was touched")
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait()
	other := open()
	if left := half(); len(left) != 0 {
		t.Error("the scratch of a dead executor stays:", left)
	}
	if _, err := os.Stat(s.dir); err != nil {
		t.Error("the scratch of a living executor was removed:", err)
	}
	if err := errors.Join(s.close(), other.close()); err != nil {
		t.Error(err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Error(left)
	}
}

func TestSweepLeavesStrangersAlone(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"keep", "x-orphan/deep"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "x-alone.lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openScratch(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != "keep" {
		t.Errorf("%v %v", left, err)
	}
}
