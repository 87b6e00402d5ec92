package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/ports/state/driver"
	"github.com/mediafn/mediafn/ports/state/sqlite"
	"github.com/mediafn/mediafn/ports/state/statetest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv("STATE_TEST_WRITE_TO"); path != "" {
		write(path)
		return
	}
	goleak.VerifyTestMain(m)
}

func open(t testing.TB, path string) driver.Driver {
	t.Helper()
	d, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSuite(t *testing.T) {
	var paths sync.Map
	statetest.Run(t, func(t *testing.T) driver.Driver {
		path, _ := paths.LoadOrStore(t.Name(), filepath.Join(t.TempDir(), "a ?#%.db"))
		return open(t, path.(string))
	})
}

// write submits tasks from many goroutines, as fast as it goes, and prints each
// that was acknowledged, until it is killed.
func write(path string) {
	d, err := sqlite.Open(path)
	if err != nil {
		panic(err)
	}
	s, err := state.New(context.Background(), d)
	if err != nil {
		panic(err)
	}
	var n atomic.Int64
	for range 16 {
		go func() {
			for {
				got, _, err := s.Submit(context.Background(), statetest.NewTask("a", fmt.Sprint(n.Add(1))))
				if err != nil {
					panic(err)
				}
				_, _ = os.Stdout.WriteString(got.ID + "\n") // one call a line: never torn
			}
		}()
	}
	select {}
}

// TestKilled kills a process that writes, several times: what it acknowledged
// is there.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	var acknowledged []string
	for round := range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "STATE_TEST_WRITE_TO="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		killAt := len(acknowledged) + 150 + 37*round
		for lines.Scan() {
			acknowledged = append(acknowledged, lines.Text())
			if len(acknowledged) == killAt {
				_ = child.Process.Kill()
			}
		}
		_ = child.Wait()
	}
	s, err := state.New(t.Context(), open(t, path))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	for _, id := range acknowledged {
		if _, err := s.Task(t.Context(), id); err != nil {
			t.Fatalf("acknowledged and lost: %s: %v", id, err)
		}
	}
}

func BenchmarkSubmit(b *testing.B) {
	s, err := state.New(b.Context(), open(b, filepath.Join(b.TempDir(), "state.db")))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	statetest.Bench(b, s)
}
