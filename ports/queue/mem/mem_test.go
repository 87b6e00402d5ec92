package mem_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/mem"
	"github.com/mediafn/mediafn/ports/queue/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB) *queue.Queue {
	q, err := mem.Open(mem.Options{}, queue.Default())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestSuite(t *testing.T) { queuetest.Run(t, func(t *testing.T) *queue.Queue { return open(t) }) }

func BenchmarkStored(b *testing.B) { queuetest.Bench(b, open) }

func TestStoreIsBounded(t *testing.T) {
	q, err := mem.Open(mem.Options{MaxBytes: 10_000}, queue.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close(t.Context())
	if err := q.Declare(t.Context(), queue.Stream{Name: "S", Subjects: []string{"s"}, MaxMsgs: 1000}); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; n++ {
		if err := q.Append(t.Context(), "S", "s", make([]byte, 1000), ""); err != nil {
			if !errs.Is(err, errs.Busy) || n < 5 {
				t.Fatalf("after %d messages: %v", n, err)
			}
			return
		}
		if n > 10 {
			t.Fatal("more is stored than max_bytes")
		}
	}
}
