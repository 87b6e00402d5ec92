package queuetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue"
)

func testAppendFetch(t *testing.T, q *queue.Queue) {
	declare(t, q, nil)
	must(t, q.AppendBatch(within(t), "S", nil))
	fill(t, q, 100)
	must(t, q.Append(within(t), "S", "s.b", nil, ""))
	for i, d := range fetch(t, consume(t, q, queue.Durable{Name: "d"}), 101) {
		want, subject := fmt.Sprint(i), "s.a"
		if i == 100 {
			want, subject = "", "s.b"
		}
		if string(d.Data) != want || d.Subject != subject || d.Seq != uint64(i+1) || d.Attempt != 1 || d.Redelivered {
			t.Fatalf("message %d is %q %q seq %d attempt %d", i, d.Subject, d.Data, d.Seq, d.Attempt)
		}
		must(t, d.Ack())
	}
}

func testDurable(t *testing.T, q *queue.Queue) {
	declare(t, q, nil)
	fill(t, q, 10)
	c := consume(t, q, queue.Durable{Name: "one"})
	for _, d := range fetch(t, c, 4) {
		must(t, d.Ack())
	}
	must(t, c.Close())
	must(t, c.Close())
	_, err := c.Fetch(within(t), 1)
	wantKind(t, err, errs.Canceled)
	if d := fetch(t, consume(t, q, queue.Durable{Name: "one"}), 1)[0]; d.Seq != 5 {
		t.Fatalf("the durable goes on at %d, want 5", d.Seq)
	}
	if d := fetch(t, consume(t, q, queue.Durable{Name: "two"}), 1)[0]; d.Seq != 1 {
		t.Fatalf("another durable begins at %d, want 1", d.Seq)
	}
}

func testFilter(t *testing.T, q *queue.Queue) {
	declare(t, q, nil)
	for _, s := range []string{"s.a", "s.b", "s.a.x", "s.b"} {
		must(t, q.Append(within(t), "S", s, []byte(s), ""))
	}
	got := fetch(t, consume(t, q, queue.Durable{Name: "b", Filter: "s.b"}), 2)
	if got[0].Seq != 2 || got[1].Seq != 4 {
		t.Fatalf("got %d and %d, want 2 and 4", got[0].Seq, got[1].Seq)
	}
}

func testRedelivery(t *testing.T, q *queue.Queue) {
	declare(t, q, nil)
	fill(t, q, 3)
	c := consume(t, q, queue.Durable{Name: "d", AckWait: 200 * time.Millisecond})
	first := fetch(t, c, 3)
	must(t, first[1].Ack())
	must(t, c.Close())
	c = consume(t, q, queue.Durable{Name: "d", AckWait: 200 * time.Millisecond})
	again := fetch(t, c, 2)
	seen := map[uint64]bool{again[0].Seq: true, again[1].Seq: true}
	if !seen[1] || !seen[3] {
		t.Fatalf("messages %v came again, want 1 and 3", seen)
	}
	for _, d := range again {
		if d.Attempt < 2 || !d.Redelivered {
			t.Fatalf("message %d: attempt %d, redelivered %v", d.Seq, d.Attempt, d.Redelivered)
		}
		must(t, d.Ack())
		must(t, d.Ack()) // twice is harmless
	}
	nothing(t, q, c)
}

func testNak(t *testing.T, q *queue.Queue) {
	declare(t, q, nil)
	fill(t, q, 2)
	c := consume(t, q, queue.Durable{Name: "d"})
	got := fetch(t, c, 2)
	must(t, got[0].Nak(0))
	again := fetch(t, c, 1)[0]
	if again.Seq != 1 || again.Attempt != 2 {
		t.Fatalf("seq %d attempt %d, want 1 and 2", again.Seq, again.Attempt)
	}
	must(t, again.Ack())
	start := time.Now()
	must(t, got[1].Nak(150*time.Millisecond))
	again = fetch(t, c, 1)[0]
	if again.Seq != 2 || time.Since(start) < 100*time.Millisecond {
		t.Fatalf("seq %d came back at once in spite of the delay", again.Seq)
	}
	must(t, again.Ack())
	nothing(t, q, c)
}

func testExtend(t *testing.T, q *queue.Queue) {
	declare(t, q, nil)
	fill(t, q, 1)
	c := consume(t, q, queue.Durable{Name: "d", AckWait: 2 * time.Second})
	d := fetch(t, c, 1)[0]
	// Two and a half times AckWait, in steps of a quarter.
	for range 10 {
		ctx, cancel := context.WithTimeout(within(t), 500*time.Millisecond)
		_, err := c.Fetch(ctx, 1)
		cancel()
		wantKind(t, err, errs.Timeout)
		must(t, d.Extend())
	}
	must(t, d.Ack())
	nothing(t, q, c)
}

func testMaxUnacked(t *testing.T, q *queue.Queue) {
	declare(t, q, nil)
	fill(t, q, 10)
	c := consume(t, q, queue.Durable{Name: "d", MaxUnacked: 3})
	got, err := c.Fetch(within(t), 10)
	must(t, err)
	if len(got) != 3 {
		t.Fatalf("%d messages are out, at most 3 may be", len(got))
	}
	next := make(chan queue.Delivery)
	go func() {
		defer close(next)
		if got, err := c.Fetch(within(t), 1); err == nil {
			next <- got[0]
		} else {
			t.Error(err)
		}
	}()
	must(t, got[0].Ack())
	if d := <-next; d.Seq != 4 {
		t.Fatalf("got %d, want 4", d.Seq)
	}
}

func testDedup(t *testing.T, q *queue.Queue) {
	declare(t, q, nil)
	ctx := within(t)
	for range 3 {
		must(t, q.Append(ctx, "S", "s.a", []byte("one"), "id-1"))
	}
	must(t, q.AppendBatch(ctx, "S", []queue.Entry{
		{Subject: "s.a", Data: []byte("again"), DedupID: "id-1"},
		{Subject: "s.a", Data: []byte("two"), DedupID: "id-2"},
		{Subject: "s.a", Data: []byte("again"), DedupID: "id-2"},
		{Subject: "s.a", Data: []byte("three")},
		{Subject: "s.a", Data: []byte("three")},
	}))
	c := consume(t, q, queue.Durable{Name: "d"})
	for i, want := range []string{"one", "two", "three", "three"} {
		if d := fetch(t, c, 1)[0]; string(d.Data) != want {
			t.Fatalf("message %d is %q, want %q", i, d.Data, want)
		}
	}
	nothing(t, q, c)
}

func testReject(t *testing.T, q *queue.Queue) {
	declare(t, q, func(s *queue.Stream) { s.MaxMsgs, s.Reject, s.UntilAcked = 5, true, true })
	fill(t, q, 5)
	wantKind(t, q.Append(within(t), "S", "s.a", nil, "id"), errs.Busy)
	c := consume(t, q, queue.Durable{Name: "d"})
	d := fetch(t, c, 1)[0]
	must(t, d.Ack())
	// The ack makes room, as soon as the store has it.
	for ctx := within(t); ; {
		err := q.Append(ctx, "S", "s.a", []byte("5"), "id")
		if err == nil {
			break
		}
		wantKind(t, err, errs.Busy)
	}
	for i, d := range fetch(t, c, 5) {
		if string(d.Data) != fmt.Sprint(i+1) {
			t.Fatalf("message %d is %q", i+1, d.Data)
		}
	}
}

func testDiscardOld(t *testing.T, q *queue.Queue) {
	declare(t, q, func(s *queue.Stream) { s.MaxMsgs = 5 })
	fill(t, q, 12)
	for i, d := range fetch(t, consume(t, q, queue.Durable{Name: "d"}), 5) {
		if string(d.Data) != fmt.Sprint(7+i) {
			t.Fatalf("message %d is %q", i, d.Data)
		}
	}
	declare(t, q, func(s *queue.Stream) { s.MaxMsgs, s.MaxBytes = 0, 4096 })
	for i := range 20 {
		must(t, q.Append(within(t), "S", "s.a", make([]byte, 1000+i), ""))
	}
	first := fetch(t, consume(t, q, queue.Durable{Name: "e"}), 1)[0]
	if len(first.Data) < 1016 {
		t.Fatalf("the oldest kept has %d bytes: more than max_bytes is kept", len(first.Data))
	}
}

func testUntilAcked(t *testing.T, q *queue.Queue) {
	declare(t, q, func(s *queue.Stream) { s.UntilAcked = true })
	fill(t, q, 3)
	for _, d := range fetch(t, consume(t, q, queue.Durable{Name: "d"}), 3) {
		must(t, d.Ack())
	}
	_, err := q.Consume(within(t), "S", queue.Durable{Name: "other"})
	wantKind(t, err, errs.Conflict)
	err = q.Declare(within(t), queue.Stream{Name: "S", Subjects: []string{"s.>"}, MaxMsgs: 10})
	wantKind(t, err, errs.Conflict)
}

func testMaxAge(t *testing.T, q *queue.Queue) {
	declare(t, q, func(s *queue.Stream) { s.MaxAge = 200 * time.Millisecond })
	fill(t, q, 3)
	stop := time.After(patience)
	// What is too old goes without anybody's help: a durable opened later begins
	// at the message appended after that.
	for try := 0; ; try++ {
		must(t, q.Append(within(t), "S", "s.a", []byte("new"), ""))
		c := consume(t, q, queue.Durable{Name: fmt.Sprint("d", try)})
		if d := fetch(t, c, 1)[0]; string(d.Data) == "new" {
			return
		}
		select {
		case <-stop:
			t.Fatal("messages older than max_age are still there")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func testDeclare(t *testing.T, q *queue.Queue) {
	declare(t, q, nil)
	fill(t, q, 10)
	declare(t, q, nil)
	declare(t, q, func(s *queue.Stream) { s.MaxMsgs = 4 }) // keeps the newest
	if d := fetch(t, consume(t, q, queue.Durable{Name: "d"}), 1)[0]; d.Seq != 7 {
		t.Fatalf("the oldest is %d, want 7", d.Seq)
	}
	err := q.Declare(within(t), queue.Stream{Name: "T", Subjects: []string{"s.x"}, MaxMsgs: 1})
	wantKind(t, err, errs.Conflict)
}

func testNotFound(t *testing.T, q *queue.Queue) {
	ctx := within(t)
	wantKind(t, q.Append(ctx, "S", "s.a", nil, ""), errs.NotFound)
	_, err := q.Consume(ctx, "S", queue.Durable{Name: "d"})
	wantKind(t, err, errs.NotFound)
	declare(t, q, nil)
	must(t, q.Declare(ctx, queue.Stream{Name: "T", Subjects: []string{"t"}, MaxMsgs: 1}))
	wantKind(t, q.Append(ctx, "S", "t", nil, ""), errs.Invalid)
	wantKind(t, q.Append(ctx, "S", "u", nil, ""), errs.Invalid)
	wantKind(t, q.Append(ctx, "U", "s.a", nil, ""), errs.NotFound)
}

func testProducersConsumers(t *testing.T, q *queue.Queue) {
	const producers, consumers, batches, size = 4, 3, 10, 50
	declare(t, q, func(s *queue.Stream) { s.UntilAcked = true })
	ctx, done := context.WithCancel(within(t))
	defer done()
	var mu sync.Mutex
	seen := map[string]int{}
	var total atomic.Int64
	var wg sync.WaitGroup
	for range consumers {
		c := consume(t, q, queue.Durable{Name: "d"})
		wg.Go(func() {
			for {
				got, err := c.Fetch(ctx, 64)
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				for _, d := range got {
					mu.Lock()
					seen[string(d.Data)]++
					mu.Unlock()
					if err := d.Ack(); err != nil {
						t.Error(err)
					}
				}
				if total.Add(int64(len(got))) >= producers*batches*size {
					done()
				}
			}
		})
	}
	for p := range producers {
		wg.Go(func() {
			for b := range batches {
				entries := make([]queue.Entry, size)
				for i := range entries {
					id := fmt.Sprint(p, "-", b, "-", i)
					entries[i] = queue.Entry{Subject: "s." + fmt.Sprint(p), Data: []byte(id), DedupID: id}
				}
				if err := q.AppendBatch(context.WithoutCancel(ctx), "S", entries); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if len(seen) != producers*batches*size {
		t.Fatalf("%d different messages came, want %d", len(seen), producers*batches*size)
	}
}

func testFetchBlocks(t *testing.T, q *queue.Queue) {
	declare(t, q, nil)
	c := consume(t, q, queue.Durable{Name: "d"})
	got := make(chan int)
	for range 3 { // several wait on one consumer
		go func() {
			d, err := c.Fetch(within(t), 10)
			if err != nil {
				t.Error(err)
			}
			got <- len(d)
		}()
	}
	for range 3 {
		must(t, q.Append(within(t), "S", "s.a", nil, ""))
		if n := <-got; n != 1 {
			t.Fatalf("%d messages, want 1", n)
		}
	}
}

func testFetchEnds(t *testing.T, q *queue.Queue) {
	declare(t, q, nil)
	c := consume(t, q, queue.Durable{Name: "d"})
	ctx, cancel := context.WithTimeout(within(t), 20*time.Millisecond)
	defer cancel()
	_, err := c.Fetch(ctx, 1)
	wantKind(t, err, errs.Timeout)
	ctx, cancel = context.WithCancel(within(t))
	cancel()
	_, err = c.Fetch(ctx, 1)
	wantKind(t, err, errs.Canceled)
	fetching(t, c, func() { c.Close() })
	fill(t, q, 1) // a Fetch that was given up takes nothing with it
	fetch(t, consume(t, q, queue.Durable{Name: "d"}), 1)
}

// fetching runs end while a Fetch waits (or is about to) and expects Canceled.
func fetching(t *testing.T, c *queue.Consumer, end func()) {
	t.Helper()
	started, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		close(started)
		_, err := c.Fetch(within(t), 1)
		failed <- err
	}()
	<-started
	end()
	wantKind(t, <-failed, errs.Canceled)
}

func testClosed(t *testing.T, q *queue.Queue) {
	declare(t, q, nil)
	c := consume(t, q, queue.Durable{Name: "d"})
	listen(t, q, "ask", "") // never answers
	asked := make(chan error, 1)
	go func() { _, err := q.Request(within(t), "ask", nil); asked <- err }()
	ctx := within(t)
	fetching(t, c, func() { must(t, q.Close(ctx)) })
	wantKind(t, <-asked, errs.Canceled)
	must(t, q.Close(ctx))
	wantKind(t, q.Publish(ctx, "a", nil), errs.Canceled)
	wantKind(t, q.Append(ctx, "S", "s.a", nil, ""), errs.Canceled)
	wantKind(t, q.Ping(ctx), errs.Canceled)
	_, err := q.Subscribe(ctx, "a", "", func(context.Context, queue.Message) {})
	wantKind(t, err, errs.Canceled)
	_, err = q.Request(ctx, "a", nil)
	wantKind(t, err, errs.Canceled)
	_, err = q.Consume(ctx, "S", queue.Durable{Name: "e"})
	wantKind(t, err, errs.Canceled)
}
