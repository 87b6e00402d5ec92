package queuetest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue"
)

func testPublishSubscribe(t *testing.T, q *queue.Queue) {
	must(t, q.Ping(within(t)))
	must(t, q.Publish(within(t), "a.b", []byte("lost"))) // nobody listens: no error
	one, _ := listen(t, q, "a.b", "")
	two, _ := listen(t, q, "a.b", "")
	must(t, q.Publish(within(t), "a.b", []byte("hello")))
	must(t, q.Publish(within(t), "a.b", nil))
	for _, c := range []<-chan queue.Message{one, two} {
		if m := receive(t, c); string(m.Data) != "hello" || m.Subject != "a.b" || m.Reply != "" {
			t.Fatalf("got %+v", m)
		}
		if m := receive(t, c); len(m.Data) != 0 {
			t.Fatalf("got %+v", m)
		}
	}
}

func testWildcards(t *testing.T, q *queue.Queue) {
	star, _ := listen(t, q, "a.*.c", "")
	rest, _ := listen(t, q, "a.>", "")
	for _, s := range []string{"a", "a.b", "a.b.c", "a.b.d", "a.b.c.d", "b.b.c", "a.end.c"} {
		must(t, q.Publish(within(t), s, nil))
	}
	for _, c := range []struct {
		from <-chan queue.Message
		want []string
	}{{star, []string{"a.b.c", "a.end.c"}}, {rest, []string{"a.b", "a.b.c", "a.b.d", "a.b.c.d", "a.end.c"}}} {
		for _, want := range c.want {
			if m := receive(t, c.from); m.Subject != want {
				t.Fatalf("got %q, want %q", m.Subject, want)
			}
		}
	}
}

func testGroups(t *testing.T, q *queue.Queue) {
	const n = 200
	shared := make(chan string, 2*n)
	for range 3 {
		_, err := q.Subscribe(within(t), "work", "pool", func(_ context.Context, m queue.Message) { shared <- string(m.Data) })
		must(t, err)
	}
	other, _ := listen(t, q, "work", "audit")
	all, _ := listen(t, q, "work", "")
	for i := range n {
		must(t, q.Publish(within(t), "work", fmt.Append(nil, i)))
	}
	seen := map[string]bool{}
	for range n {
		select {
		case s := <-shared:
			if seen[s] {
				t.Fatalf("%s came to the group twice", s)
			}
			seen[s] = true
		case <-time.After(patience):
			t.Fatalf("the group got %d of %d", len(seen), n)
		}
		receive(t, other)
		receive(t, all)
	}
}

func testOrder(t *testing.T, q *queue.Queue) {
	c, _ := listen(t, q, "o", "")
	for i := range 500 {
		must(t, q.Publish(within(t), "o", fmt.Append(nil, i)))
	}
	for i := range 500 {
		if m := receive(t, c); string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m.Data)
		}
	}
}

func testSubscriptionClose(t *testing.T, q *queue.Queue) {
	var s *queue.Subscription
	var mu sync.Mutex
	calls := 0
	mu.Lock()
	s, err := q.Subscribe(within(t), "x", "", func(ctx context.Context, _ queue.Message) {
		mu.Lock()
		defer mu.Unlock()
		calls++
		s.Close() // from inside the handler
		s.Close()
		if ctx.Err() == nil {
			t.Error("the handler's context goes on after Close")
		}
	})
	must(t, err)
	mu.Unlock()
	for range 10 {
		must(t, q.Publish(within(t), "x", nil))
	}
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatal("Done is not closed")
	}
	if calls != 1 {
		t.Fatalf("%d calls after Close in the first", calls)
	}
}

func testSlowSubscriber(t *testing.T, q *queue.Queue) {
	limit := queue.Default().PendingMsgs
	release, entered := make(chan struct{}), make(chan struct{}, 1)
	s, err := q.Subscribe(within(t), "slow", "", func(context.Context, queue.Message) {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-release
	})
	must(t, err)
	defer close(release)
	fast := make(chan struct{})
	n := 0
	_, err = q.Subscribe(within(t), "*", "", func(context.Context, queue.Message) {
		if n++; n == 1 || n == 1+limit+100 {
			fast <- struct{}{}
		}
	})
	must(t, err)
	must(t, q.Publish(within(t), "slow", nil))
	<-entered
	<-fast
	for i := range limit + 100 {
		must(t, q.Publish(within(t), "slow", nil))
		if i%1000 == 999 {
			must(t, q.Ping(within(t))) // keeps the second one from falling behind
		}
	}
	select {
	case <-fast:
	case <-time.After(patience):
		t.Fatal("a slow subscriber holds up another one")
	}
	for end := time.Now().Add(patience); s.Dropped() != 100; {
		if time.Now().After(end) {
			t.Fatalf("dropped %d, want 100", s.Dropped())
		}
		must(t, q.Ping(within(t)))
	}
}

func testBufferOwnership(t *testing.T, q *queue.Queue) {
	a, _ := listen(t, q, "own", "")
	b, _ := listen(t, q, "own", "")
	buf := []byte("first")
	must(t, q.Publish(within(t), "own", buf))
	copy(buf, "XXXXX")
	ma := receive(t, a)
	copy(ma.Data, "YYYYY")
	if mb := receive(t, b); string(mb.Data) != "first" {
		t.Fatalf("got %q: a buffer is shared", mb.Data)
	}
	declare(t, q, nil)
	copy(buf, "first")
	must(t, q.Append(within(t), "S", "s.a", buf, ""))
	copy(buf, "XXXXX")
	if d := fetch(t, consume(t, q, queue.Durable{Name: "d"}), 1)[0]; string(d.Data) != "first" {
		t.Fatalf("got %q: a buffer is shared", d.Data)
	}
}

func testInvalid(t *testing.T, q *queue.Queue) {
	ctx := within(t)
	nop := func(context.Context, queue.Message) {}
	for _, s := range []string{"", ".", "a.", ".a", "a..b", "a b", "a\n", "ä", "a.*", ">", "$JS.API", strings.Repeat("a", 256)} {
		wantKind(t, q.Publish(ctx, s, nil), errs.Invalid)
		_, err := q.Request(ctx, s, nil)
		wantKind(t, err, errs.Invalid)
		wantKind(t, q.Append(ctx, "S", s, nil, ""), errs.Invalid)
	}
	for _, s := range []string{"", "a.>.b", "a*", "a.b>", "$SYS.>"} {
		_, err := q.Subscribe(ctx, s, "", nop)
		wantKind(t, err, errs.Invalid)
	}
	_, err := q.Subscribe(ctx, "a", "bad group", nop)
	wantKind(t, err, errs.Invalid)
	if errs.FieldOf(err) != "group" {
		t.Fatalf("the error blames %q", errs.FieldOf(err))
	}
	big := make([]byte, queue.Default().MaxPayload+1)
	wantKind(t, q.Publish(ctx, "a", big), errs.TooLarge)
	wantKind(t, q.Append(ctx, "S", "s.a", big, ""), errs.TooLarge)
	declare(t, q, nil)
	must(t, q.Append(ctx, "S", "s.a", big[1:], strings.Repeat("i", 256))) // the largest there may be
	wantKind(t, q.Append(ctx, "S", "s.a", nil, "a\r\nb"), errs.Invalid)
	wantKind(t, q.AppendBatch(ctx, "S", make([]queue.Entry, queue.Default().MaxBatch+1)), errs.TooLarge)
	wantKind(t, q.Declare(ctx, queue.Stream{Name: "N", Subjects: []string{"n"}}), errs.Invalid)
	wantKind(t, q.Declare(ctx, queue.Stream{Name: "n.n", Subjects: []string{"n"}, MaxMsgs: 1}), errs.Invalid)
	wantKind(t, q.Declare(ctx, queue.Stream{Name: "N", Subjects: []string{"n.*", "*.n"}, MaxMsgs: 1}), errs.Invalid)
	_, err = q.Consume(ctx, "S", queue.Durable{Name: "a.b"})
	wantKind(t, err, errs.Invalid)
	c := consume(t, q, queue.Durable{Name: "d"})
	_, err = c.Fetch(ctx, 0)
	wantKind(t, err, errs.Invalid)
}

func testRequest(t *testing.T, q *queue.Queue) {
	later := make(chan queue.Message, 1)
	_, err := q.Subscribe(within(t), "ask", "", func(_ context.Context, m queue.Message) { later <- m })
	must(t, err)
	go func() { // not the handler's goroutine, and after the handler has returned
		m := <-later
		for range 2 { // the second answer finds nobody
			if err := q.Publish(context.Background(), m.Reply, append(m.Data, '!')); err != nil {
				t.Error(err)
			}
		}
	}()
	got, err := q.Request(within(t), "ask", []byte("now"))
	must(t, err)
	if string(got) != "now!" {
		t.Fatalf("got %q", got)
	}
}

func testRequestNobody(t *testing.T, q *queue.Queue) {
	_, err := q.Request(within(t), "ask", nil)
	wantKind(t, err, errs.Busy)
	_, s := listen(t, q, "ask", "g")
	s.Close()
	must(t, q.Ping(within(t)))
	_, err = q.Request(within(t), "ask", nil)
	wantKind(t, err, errs.Busy)
}

func testRequestTimeout(t *testing.T, q *queue.Queue) {
	c, _ := listen(t, q, "ask", "")
	ctx, cancel := context.WithTimeout(within(t), 20*time.Millisecond)
	defer cancel()
	_, err := q.Request(ctx, "ask", nil)
	wantKind(t, err, errs.Timeout)
	late := receive(t, c)
	ctx, cancel = context.WithCancel(within(t))
	go func() { receive(t, c); cancel() }()
	_, err = q.Request(ctx, "ask", nil)
	wantKind(t, err, errs.Canceled)
	must(t, q.Publish(within(t), late.Reply, []byte("too late"))) // harmless
}

func testRequestsConcurrent(t *testing.T, q *queue.Queue) {
	for range 2 {
		_, err := q.Subscribe(within(t), "echo", "g", func(ctx context.Context, m queue.Message) {
			if err := q.Publish(ctx, m.Reply, m.Data); err != nil {
				t.Error(err)
			}
		})
		must(t, err)
	}
	ctx := within(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				want := fmt.Sprint(i, ".", j)
				got, err := q.Request(ctx, "echo", []byte(want))
				if err != nil || string(got) != want {
					t.Errorf("got %q, %v; want %q", got, err, want)
					return
				}
			}
		})
	}
	wg.Wait()
}
