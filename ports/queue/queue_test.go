package queue_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/driver"
	"github.com/mediafn/mediafn/ports/queue/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMatchOverlap: a pattern made from a subject covers it, and two patterns that
// cover one subject overlap.
func TestMatchOverlap(t *testing.T) {
	pattern := func(t *rapid.T, subject string, label string) string {
		tokens := strings.Split(subject, ".")
		for i := range tokens {
			if rapid.Bool().Draw(t, label) {
				tokens[i] = "*"
			}
		}
		if cut := rapid.IntRange(0, len(tokens)).Draw(t, label); cut < len(tokens) {
			tokens = append(tokens[:cut], ">")
		}
		return strings.Join(tokens, ".")
	}
	rapid.Check(t, func(t *rapid.T) {
		subject := strings.Join(rapid.SliceOfN(rapid.StringMatching(`[a-c]{1,2}`), 1, 5).Draw(t, "tokens"), ".")
		a, b := pattern(t, subject, "a"), pattern(t, subject, "b")
		if !queue.Match(a, subject) || !queue.Match(b, subject) || !queue.Overlap(a, b) || !queue.Overlap(b, a) {
			t.Fatalf("%q and %q must cover %q and overlap", a, b, subject)
		}
		if queue.Match(a, subject+".more") != strings.HasSuffix(a, ">") {
			t.Fatalf("%q and %q", a, subject+".more")
		}
		other := strings.Join(rapid.SliceOfN(rapid.StringMatching(`[a-c]{1,2}`), 1, 5).Draw(t, "other"), ".")
		if queue.Overlap(subject, other) != (subject == other) {
			t.Fatalf("%q and %q", subject, other)
		}
	})
	for _, c := range []struct{ p, s string }{{"a", "b"}, {"a.*", "a"}, {"a.>", "a"}, {"*", "a.b"}, {"a.*.c", "a.b.d"}, {"a", "a.b"}} {
		if queue.Match(c.p, c.s) {
			t.Errorf("%q covers %q", c.p, c.s)
		}
	}
	for _, c := range []struct{ a, b string }{{"a.*", "b.>"}, {"a.*", "a.b.c"}, {"a.b", "a"}, {"a.>", "a"}} {
		if queue.Overlap(c.a, c.b) || queue.Overlap(c.b, c.a) {
			t.Errorf("%q overlaps %q", c.a, c.b)
		}
	}
}

// shaky is a real driver whose answers to appends get lost n times.
type shaky struct {
	driver.Conn
	lose  atomic.Int32
	kind  errs.Kind
	calls atomic.Int32
}

func (s *shaky) Append(ctx context.Context, stream string, entries []driver.Entry) []error {
	s.calls.Add(1)
	failed := s.Conn.Append(ctx, stream, entries)
	if s.lose.Add(-1) < 0 {
		return failed
	}
	failed = make([]error, len(entries))
	failed[len(entries)-1] = errs.New(s.kind, "shaky", "the answer got lost")
	return failed
}

func TestAppendRetries(t *testing.T) {
	for _, c := range []struct {
		name  string
		lose  int32
		kind  errs.Kind
		dedup string
		calls int32
		fails bool
	}{
		{"passes", 2, errs.Transient, "id", 3, false},
		{"timeout", 9, errs.Timeout, "id", 10, false},
		{"too often", 99, errs.Transient, "id", 10, true},
		{"might be stored twice", 1, errs.Transient, "", 1, true},
		{"will not help", 1, errs.Busy, "id", 1, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &shaky{Conn: mem.New(mem.Options{}), kind: c.kind}
				d.lose.Store(c.lose)
				var seen []error
				cfg := queue.Default()
				cfg.Observe = func(op string, n int, _ time.Duration, err error) {
					if op == "append" {
						seen = append(seen, err)
					}
				}
				q, err := queue.New(d, cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer q.Close(t.Context())
				if err := q.Declare(t.Context(), queue.Stream{Name: "S", Subjects: []string{"s"}, MaxMsgs: 10}); err != nil {
					t.Fatal(err)
				}
				err = q.Append(t.Context(), "S", "s", []byte("x"), c.dedup)
				if (err != nil) != c.fails || c.fails && !errs.Is(err, c.kind) || d.calls.Load() != c.calls {
					t.Fatalf("%v after %d calls, want %d", err, d.calls.Load(), c.calls)
				}
				if len(seen) != 1 || (seen[0] != nil) != c.fails {
					t.Fatalf("observed %v", seen)
				}
				k, err := q.Consume(t.Context(), "S", queue.Durable{Name: "d"})
				if err != nil {
					t.Fatal(err)
				}
				if got, err := k.Fetch(t.Context(), 10); err != nil || len(got) != 1 {
					t.Fatalf("%d are stored, %v", len(got), err)
				}
			})
		})
	}
}

// TestRequestWaitsAMinute: the default patience, in fake time.
func TestRequestWaitsAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := mem.Open(mem.Options{}, queue.Default())
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close(t.Context())
		delay := 59 * time.Second
		_, err = q.Subscribe(t.Context(), "ask", "", func(_ context.Context, m queue.Message) {
			time.AfterFunc(delay, func() { _ = q.Publish(context.Background(), m.Reply, m.Data) })
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := q.Request(t.Context(), "ask", []byte("x")); err != nil || string(got) != "x" {
			t.Fatalf("got %q, %v", got, err)
		}
		delay = 61 * time.Second
		if _, err := q.Request(t.Context(), "ask", nil); !errs.Is(err, errs.Timeout) {
			t.Fatalf("got %v", err)
		}
	})
}

func TestConfig(t *testing.T) {
	if err := queue.Default().Validate(); err != nil {
		t.Fatal(err)
	}
	err := (queue.Config{}).Validate()
	for _, field := range []string{"max_payload", "max_batch", "pending_msgs", "request_timeout", "attempts"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	if _, err := queue.New(mem.New(mem.Options{}), queue.Config{}); !errs.Is(err, errs.Invalid) {
		t.Fatal(err)
	}
}
