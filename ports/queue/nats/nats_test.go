package nats_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/nats"
	"github.com/mediafn/mediafn/ports/queue/queuetest"
)

// victimDir makes this test binary play the process that gets killed.
const victimDir = "MEDIAFN_TEST_VICTIM_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victimDir); dir != "" {
		os.Exit(victim(dir))
	}
	goleak.VerifyTestMain(m)
}

func embed(t testing.TB, o nats.Options) *queue.Queue {
	t.Helper()
	conn, err := nats.Embed(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.New(conn, queue.Default())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestEmbedded(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) *queue.Queue {
		return embed(t, nats.Options{Dir: t.TempDir(), Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	})
}

func TestRemote(t *testing.T) {
	queuetest.Run(t, func(t *testing.T) *queue.Queue {
		conn, err := nats.Embed(t.Context(), nats.Options{Dir: t.TempDir(), Host: "127.0.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close(context.Background()) })
		remote, err := nats.Open(t.Context(), conn.Address(), nil)
		if err != nil {
			t.Fatal(err)
		}
		q, err := queue.New(remote, queue.Default())
		if err != nil {
			t.Fatal(err)
		}
		return q
	})
}

func BenchmarkStored(b *testing.B) {
	for name, sync := range map[string]time.Duration{"sync=always": nats.SyncAlways, "sync=1s": 0} {
		b.Run(name, func(b *testing.B) {
			queuetest.Bench(b, func(t testing.TB) *queue.Queue {
				return embed(t, nats.Options{Dir: t.TempDir(), Sync: sync})
			})
		})
	}
}

func TestOneProcessADirectory(t *testing.T) {
	dir := t.TempDir()
	q := embed(t, nats.Options{Dir: dir})
	if _, err := nats.Embed(t.Context(), nats.Options{Dir: dir}); !errs.Is(err, errs.Conflict) {
		t.Fatalf("a second server on the same files: %v", err)
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := embed(t, nats.Options{Dir: dir}).Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestOpenUnreachable(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if _, err := nats.Open(ctx, "nats://127.0.0.1:1", nil); !errs.KindOf(err).Retryable() {
		t.Fatalf("got %v of kind %v", err, errs.KindOf(err))
	}
}

func TestToken(t *testing.T) {
	conn, err := nats.Embed(t.Context(), nats.Options{Dir: t.TempDir(), Host: "127.0.0.1", Token: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := nats.Open(t.Context(), conn.Address(), nil); !errs.Is(err, errs.Denied) {
		t.Fatalf("without the token: %v of kind %v", err, errs.KindOf(err))
	}
	remote, err := nats.Open(t.Context(), strings.Replace(conn.Address(), "//", "//s3cret@", 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := remote.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// victim appends for ever and prints each number once it is acknowledged.
func victim(dir string) int {
	ctx := context.Background()
	conn, err := nats.Embed(ctx, nats.Options{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	q, err := queue.New(conn, queue.Default())
	if err == nil {
		err = q.Declare(ctx, queue.Stream{Name: "S", Subjects: []string{"s"}, MaxBytes: 64 << 20})
	}
	for i := 1; err == nil; i++ {
		if err = q.Append(ctx, "S", "s", fmt.Append(nil, i), ""); err == nil {
			fmt.Println(i)
		}
	}
	fmt.Println(err)
	return 1
}

func TestKilledAndRestarted(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), victimDir+"="+dir)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if _, err := fmt.Sscan(lines.Text(), &acknowledged); err != nil {
			t.Fatalf("the other process says %q", lines.Text())
		}
		if acknowledged == 300 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	if acknowledged < 300 {
		t.Fatalf("the other process died after %d messages", acknowledged)
	}
	q := embed(t, nats.Options{Dir: dir, Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))})
	defer q.Close(context.Background())
	c, err := q.Consume(t.Context(), "S", queue.Durable{Name: "d"})
	if err != nil {
		t.Fatal(err)
	}
	for next := 1; next <= acknowledged; {
		got, err := c.Fetch(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range got {
			if string(d.Data) != fmt.Sprint(next) {
				t.Fatalf("message %d is %q: an acknowledged one is lost", next, d.Data)
			}
			next++
		}
	}
	if err := q.Append(t.Context(), "S", "s", nil, ""); err != nil {
		t.Fatalf("after recovery: %v", err)
	}
}
