package results_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
)

// results puts bodies into the outbox for a tenant's result queue.
func (r *rig) results(tenant string, bodies ...string) {
	r.t.Helper()
	c := state.Change{}
	for _, body := range bodies {
		c.Posts = append(c.Posts, state.Post{ID: "msg_" + task.NewID(), TaskID: r.task.ID, Kind: state.Result, Target: tenant, Body: body,
			NotBefore: time.Now(), CreatedAt: time.Now()})
	}
	if err := r.store.Apply(context.Background(), []state.Change{c})[0]; err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) declare() {
	r.t.Helper()
	err := r.queue.Declare(context.Background(), queue.Stream{Name: job.StreamResults, Subjects: []string{job.StreamResults + ".*"}, MaxAge: time.Hour, Dedup: 10 * time.Minute})
	if err != nil {
		r.t.Fatal(err)
	}
}

// consumed is all there is in a tenant's result queue.
func (r *rig) consumed(tenant string) (bodies []string) {
	r.t.Helper()
	c, err := r.queue.Consume(context.Background(), job.StreamResults, queue.Durable{Name: "caller-" + strings.ReplaceAll(tenant, ".", "-"), Filter: job.ResultSubject(tenant)})
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		got, err := c.Fetch(ctx, 99)
		cancel()
		if err != nil || len(got) == 0 {
			return bodies
		}
		for _, d := range got {
			bodies = append(bodies, string(d.Data))
			if err := d.Ack(); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// TestResultQueue plays the role twice: every result comes once and in order,
// to the tenant it is for.
func TestResultQueue(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, r *rig) {
		r.declare()
		r.start(nil)
		r.start(nil)
		want := map[string][]string{}
		for i := range 300 { // more than one batch
			for _, tenant := range []string{"a", "b.c"} { // a name that is no part of a subject as it is
				body := fmt.Sprint(tenant, i)
				want[tenant] = append(want[tenant], body)
				r.results(tenant, body)
			}
		}
		time.Sleep(10 * time.Second) // synctest's time
		if r.left() != 0 {
			t.Errorf("%d posts left", r.left())
		}
		for tenant, bodies := range want {
			if got := r.consumed(tenant); fmt.Sprint(got) != fmt.Sprint(bodies) {
				t.Errorf("%s: %d results, want %d: %v", tenant, len(got), len(bodies), got)
			}
		}
	})
}

// TestRelayDies ends the process between storing and settling: another takes
// the duty when it has run out, stores the same again, and the caller sees one.
func TestRelayDies(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, r *rig) {
		r.declare()
		dead := make(chan struct{})
		stopped := r.start(func(point string) {
			if point == "result queued" {
				<-dead
			}
		})
		r.results("a", "1")
		time.Sleep(3 * time.Second) // synctest's time
		r.results("a", "2")
		r.start(nil)
		time.Sleep(3 * time.Second)
		if n := r.left(); n != 2 {
			t.Errorf("%d posts left while the duty is held", n)
		}
		time.Sleep(20 * time.Second)
		if got := r.consumed("a"); fmt.Sprint(got) != "[1 2]" || r.left() != 0 {
			t.Errorf("%v, %d posts left", got, r.left())
		}
		close(dead)
		stopped()
	})
}

// TestResultTooLargeForAMessage keeps the queue going.
func TestResultTooLargeForAMessage(t *testing.T) {
	bubble(t, status(200), func(t *testing.T, r *rig) {
		r.declare()
		r.start(nil)
		r.results("a", `{"msg_id":"1","result":"`+strings.Repeat("x", 1<<20)+`"}`, strings.Repeat("x", 1<<20+1), `{"msg_id":"2"}`)
		time.Sleep(5 * time.Second) // synctest's time
		got := r.consumed("a")
		if len(got) != 2 || !strings.Contains(got[0], `"msg_id":"1"`) || !strings.Contains(got[0], "omitted") || got[1] != `{"msg_id":"2"}` || r.left() != 0 {
			t.Errorf("%q, %d posts left", got, r.left())
		}
	})
}
