// Package queuetest is the suite every driver of package queue passes.
package queuetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/queue"
)

// patience bounds a wait that should end by itself; no test measures it.
const patience = 30 * time.Second

// Run proves that what open returns keeps the contract of package queue. open is
// called once a test and gives a Queue with queue.Default's limits and no
// streams; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) *queue.Queue) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *queue.Queue)
	}{
		{"PublishSubscribe", testPublishSubscribe},
		{"Wildcards", testWildcards},
		{"Groups", testGroups},
		{"Order", testOrder},
		{"SubscriptionClose", testSubscriptionClose},
		{"SlowSubscriber", testSlowSubscriber},
		{"BufferOwnership", testBufferOwnership},
		{"Invalid", testInvalid},
		{"Request", testRequest},
		{"RequestNobody", testRequestNobody},
		{"RequestTimeout", testRequestTimeout},
		{"RequestsConcurrent", testRequestsConcurrent},
		{"AppendFetch", testAppendFetch},
		{"Durable", testDurable},
		{"Filter", testFilter},
		{"Redelivery", testRedelivery},
		{"Nak", testNak},
		{"Extend", testExtend},
		{"MaxUnacked", testMaxUnacked},
		{"Dedup", testDedup},
		{"Reject", testReject},
		{"DiscardOld", testDiscardOld},
		{"UntilAcked", testUntilAcked},
		{"MaxAge", testMaxAge},
		{"Declare", testDeclare},
		{"NotFound", testNotFound},
		{"ProducersConsumers", testProducersConsumers},
		{"FetchBlocks", testFetchBlocks},
		{"FetchEnds", testFetchEnds},
		{"Closed", testClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := open(t)
			t.Cleanup(func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if err := q.Close(ctx); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			c.test(t, q)
		})
	}
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, k errs.Kind) {
	t.Helper()
	if !errs.Is(err, k) {
		t.Fatalf("error %v is of kind %v, want %v", err, errs.KindOf(err), k)
	}
}

func receive(t *testing.T, c <-chan queue.Message) queue.Message {
	t.Helper()
	select {
	case m := <-c:
		return m
	case <-time.After(patience):
		t.Fatal("no message came")
		return queue.Message{}
	}
}

// listen collects what a subscription is given.
func listen(t *testing.T, q *queue.Queue, pattern, group string) (<-chan queue.Message, *queue.Subscription) {
	t.Helper()
	c := make(chan queue.Message, 1000)
	s, err := q.Subscribe(within(t), pattern, group, func(_ context.Context, m queue.Message) { c <- m })
	must(t, err)
	return c, s
}

func declare(t *testing.T, q *queue.Queue, change func(*queue.Stream)) {
	t.Helper()
	s := queue.Stream{Name: "S", Subjects: []string{"s.>"}, MaxMsgs: 100_000, MaxBytes: 64 << 20}
	if change != nil {
		change(&s)
	}
	must(t, q.Declare(within(t), s))
}

func consume(t *testing.T, q *queue.Queue, d queue.Durable) *queue.Consumer {
	t.Helper()
	c, err := q.Consume(within(t), "S", d)
	must(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// fetch reads until it has n messages; it does not ack.
func fetch(t *testing.T, c *queue.Consumer, n int) []queue.Delivery {
	t.Helper()
	var all []queue.Delivery
	for len(all) < n {
		got, err := c.Fetch(within(t), n-len(all))
		must(t, err)
		if len(got) == 0 {
			t.Fatal("Fetch returned nothing and no error")
		}
		all = append(all, got...)
	}
	return all
}

func fill(t *testing.T, q *queue.Queue, n int) {
	t.Helper()
	entries := make([]queue.Entry, n)
	for i := range entries {
		entries[i] = queue.Entry{Subject: "s.a", Data: fmt.Appendf(nil, "%d", i)}
	}
	must(t, q.AppendBatch(within(t), "S", entries))
}

// nothing proves that no message is due: what is appended now comes first.
func nothing(t *testing.T, q *queue.Queue, c *queue.Consumer) {
	t.Helper()
	must(t, q.Append(within(t), "S", "s.marker", []byte("marker"), ""))
	d := fetch(t, c, 1)[0]
	if string(d.Data) != "marker" {
		t.Fatalf("unexpected message %q (seq %d, attempt %d)", d.Data, d.Seq, d.Attempt)
	}
	must(t, d.Ack())
}
