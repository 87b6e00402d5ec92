package statetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

func testSubmit(t *testing.T, b *bench) {
	first := b.submit("a", "m")
	again := NewTask("a", "m")
	again.Request.CreateTime = 99 // when it was sent is not what it asks for
	got, existed, err := b.Submit(t.Context(), again)
	if err != nil || !existed || got.ID != first.ID {
		t.Errorf("the same again: %s, existed %v, %v; want %s", got.ID, existed, err, first.ID)
	}
	if other := b.submit("b", "m"); other.ID == first.ID {
		t.Error("another tenant's msg_id is the same task")
	}
	if _, err := b.Task(t.Context(), "nobody"); !errs.Is(err, errs.NotFound) {
		t.Errorf("no such task: %v", err)
	}
	queued, err := b.Queued(t.Context(), epoch, 10)
	if err != nil || len(queued) != 2 || queued[0] != first.ID {
		t.Errorf("queued: %v, %v", queued, err)
	}
	if queued, err = b.Queued(t.Context(), epoch.Add(-1), 10); err != nil || len(queued) != 0 {
		t.Errorf("queued before: %v, %v", queued, err)
	}
}

func testSubmitConflict(t *testing.T, b *bench) {
	b.submit("a", "m")
	other := NewTask("a", "m")
	other.Request.Priority = 9
	_, _, err := b.Submit(t.Context(), other)
	if !errs.Is(err, errs.Conflict) || errs.FieldOf(err) != "msg_id" {
		t.Errorf("another request under one msg_id: %v", err)
	}
}

// testSubmitConcurrent sends each of many requests several times at once.
func testSubmitConcurrent(t *testing.T, b *bench) {
	const requests, senders = 50, 8
	var created atomic.Int64
	var found sync.Map
	var group sync.WaitGroup
	for sender := range senders {
		group.Go(func() {
			for r := range requests {
				msg := fmt.Sprint("m", (r+sender*7)%requests)
				got, existed, err := b.Submit(context.Background(), NewTask("a", msg))
				if err != nil {
					t.Error(err)
					return
				}
				if !existed {
					created.Add(1)
				}
				if had, loaded := found.LoadOrStore(msg, got.ID); loaded && had != got.ID {
					t.Errorf("%s is task %s and %s", msg, had, got.ID)
				}
			}
		})
	}
	group.Wait()
	if created.Load() != requests {
		t.Errorf("%d tasks created, want %d", created.Load(), requests)
	}
	if all, err := b.Tasks(t.Context(), state.Filter{Tenant: "a", Limit: 1000}); err != nil || len(all) != requests {
		t.Errorf("%d rows: %v", len(all), err)
	}
}

// testRoundTrip holds that every field comes back as it was written.
func testRoundTrip(t *testing.T, b *bench) {
	tk := b.submit("a", "m")
	order := 3
	tk.Generation, tk.State, tk.Status, tk.Ending = 2, task.Running, "merging", task.Canceled
	tk.Call, tk.Ret = tk.Call.Set(70, task.Success), tk.Ret.Set(3, task.Failure)
	tk.Outputs = []media.Object{{Ref: media.Ref{Cloud: "c", Bucket: "b", Key: "k"}, Name: "n", Kind: media.Video, Mime: "m", Size: 5, SHA256: "s"}}
	tk.Report = []byte(`{"a":[1,2]}`)
	tk.Error = &task.Fault{Kind: errs.TooLarge, Message: "m", Field: "f", Component: "c", Segment: &order, Tail: "t"}
	tk.Usage = fn.Usage{CPUSeconds: 1.25, BytesIn: 1 << 40}
	tk.StartedAt, tk.EndedAt = epoch.Add(time.Second), epoch.Add(2*time.Second)
	full := running(work(&tk, "C", 3, task.Ready), epoch.Add(time.Minute))
	full.Failures, full.Losses, full.LostBy = 1, 2, []string{"w0", "w9"}
	full.Outputs, full.Facts, full.Usage, full.Error = tk.Outputs, []byte(`{"x":9007199254740993}`), tk.Usage, tk.Error
	full.NotBefore, full.EndedAt = epoch.Add(3), epoch.Add(4*time.Second)
	full.NotBefore = epoch.Add(3 * time.Second)
	bare := work(&tk, "D", -1, task.Waiting)
	bare.Job, bare.Price = nil, fn.Price{}
	b.apply(state.Change{Task: &tk, Insert: []task.Work{full, bare}})
	tk.Version++
	v, err := b.View(t.Context(), tk.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(tk, v.Task); diff != "" {
		t.Errorf("task (-written +read):\n%s", diff)
	}
	if diff := cmp.Diff(task.RowsOf(full, bare), v.Work); diff != "" {
		t.Errorf("work (-written +read):\n%s", diff)
	}
	full.LostBy, full.Outputs, full.Facts, full.Error = nil, nil, nil, nil
	b.apply(state.Change{Update: []state.Guarded{{Work: full, Was: task.Running, Attempt: 1}}})
	if diff := cmp.Diff(full, b.row(full.ID)); diff != "" {
		t.Errorf("work, emptied (-written +read):\n%s", diff)
	}
}

func testList(t *testing.T, b *bench) {
	var made []string
	for i := range 7 {
		made = append(made, b.submit("a", fmt.Sprint(i)).ID)
	}
	b.submit("b", "other")
	tk, err := b.Task(t.Context(), made[2])
	if err != nil {
		t.Fatal(err)
	}
	tk.State = task.Running
	b.apply(state.Change{Task: &tk})
	var got []string
	after := ""
	for {
		page, err := b.Tasks(t.Context(), state.Filter{Tenant: "a", After: after, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range page {
			got = append([]string{one.ID}, got...)
			after = one.ID
		}
		if len(page) < 3 {
			break
		}
		b.submit("a", "meanwhile "+after) // newer ones do not disturb the pages
	}
	if diff := cmp.Diff(made, got); diff != "" {
		t.Errorf("pages (-made +listed):\n%s", diff)
	}
	for name, c := range map[string]struct {
		filter state.Filter
		want   int
	}{
		"state": {state.Filter{Tenant: "a", State: task.Running, Limit: 9}, 1}, "msg": {state.Filter{Tenant: "a", MsgID: "4", Limit: 9}, 1},
		"cmd": {state.Filter{Tenant: "a", Cmd: "t.other", Limit: 9}, 0}, "tenant": {state.Filter{Tenant: "b", Limit: 9}, 1},
	} {
		if all, err := b.Tasks(t.Context(), c.filter); err != nil || len(all) != c.want {
			t.Errorf("%s: %d tasks, %v; want %d", name, len(all), err, c.want)
		}
	}
	if live, err := b.Live(t.Context(), "", 9); err != nil || len(live) != 1 || live[0] != made[2] {
		t.Errorf("live: %v, %v", live, err)
	}
	if live, err := b.Live(t.Context(), made[2], 9); err != nil || len(live) != 0 {
		t.Errorf("live after the last: %v, %v", live, err)
	}
}

func testReopen(t *testing.T, b *bench) {
	tk := b.submit("a", "m")
	b.insert(work(&tk, "C", -1, task.Ready))
	b.apply(state.Change{Posts: []state.Post{{ID: "p", TaskID: tk.ID, Kind: state.Webhook, CreatedAt: epoch}}})
	b.stop()
	b.start()
	if got, err := b.Task(t.Context(), tk.ID); err != nil || got.Version != 1 {
		t.Errorf("after reopening: %+v, %v", got, err)
	}
	if w := b.row(task.EventID(tk.ID, "C")); w.State != task.Ready {
		t.Errorf("after reopening: %+v", w)
	}
	if posts, err := b.PostsOf(t.Context(), tk.ID); err != nil || len(posts) != 1 {
		t.Errorf("after reopening: %v, %v", posts, err)
	}
}

func testClosed(t *testing.T, b *bench) {
	s := b.Store
	b.stop()
	if _, _, err := s.Submit(t.Context(), NewTask("a", "m")); !errs.Is(err, errs.Transient) {
		t.Errorf("a closed store: %v", err)
	}
}

// testCloseUnderLoad closes the store while many write: each of them hears an
// answer, and what was acknowledged is there.
func testCloseUnderLoad(t *testing.T, b *bench) {
	var group sync.WaitGroup
	var acknowledged sync.Map
	started := make(chan struct{}, 16)
	for i := range 16 {
		group.Go(func() {
			for n := 0; ; n++ {
				got, _, err := b.Store.Submit(context.Background(), NewTask("a", fmt.Sprint(i, "-", n)))
				if err != nil {
					if !errs.Is(err, errs.Transient) {
						t.Errorf("while closing: %v", err)
					}
					return
				}
				acknowledged.Store(got.ID, true)
				if n == 0 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 16 {
		<-started
	}
	s := b.Store
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	group.Wait()
	b.start()
	acknowledged.Range(func(id, _ any) bool {
		if _, err := b.Task(t.Context(), id.(string)); err != nil {
			t.Errorf("acknowledged and lost: %v", err)
			return false
		}
		return true
	})
}

// Bench measures Submit from 64 callers at once.
func Bench(b *testing.B, s *state.Store) {
	b.SetParallelism(64)
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := s.Submit(b.Context(), NewTask("a", fmt.Sprint(n.Add(1)))); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(n.Load())/b.Elapsed().Seconds(), "submits/s")
}
