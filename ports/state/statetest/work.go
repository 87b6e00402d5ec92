package statetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
)

func testGuards(t *testing.T, b *bench) {
	tk := b.submit("a", "m")
	w := work(&tk, "C", -1, task.Ready)
	b.insert(w)
	leased := running(w, epoch.Add(time.Minute))
	b.apply(state.Change{Update: []state.Guarded{{Work: leased, Was: task.Ready, Attempt: 0}}})
	done := leased.Done(epoch)
	for name, g := range map[string]state.Guarded{
		"another attempt": {Work: done, Was: task.Running, Attempt: 2},
		"an old attempt":  {Work: done, Was: task.Running, Attempt: 0},
		"another state":   {Work: done, Was: task.Waiting, Attempt: 1},
	} {
		if err := b.Apply(t.Context(), []state.Change{{Update: []state.Guarded{g}}})[0]; !errs.Is(err, errs.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := b.row(w.ID); got.State != task.Running {
		t.Errorf("a refused write changed the row: %+v", got)
	}
	b.apply(state.Change{Update: []state.Guarded{{Work: done, Was: task.Running, Attempt: 1}}})
	again := done
	again.State, again.Job = task.Ready, []byte(`{"fn":"t","fresh":["720p"]}`) // a retry may change what is to be done
	b.apply(state.Change{Update: []state.Guarded{{Work: again, Was: task.Succeeded, Attempt: 1}}})
	if got := b.row(w.ID); string(got.Job) != string(again.Job) {
		t.Errorf("the job of a retry is %s", got.Job)
	}
	next := tk
	next.State = task.Running
	b.apply(state.Change{Task: &next})
	if err := b.Apply(t.Context(), []state.Change{{Task: &next}})[0]; !errs.Is(err, errs.Conflict) {
		t.Errorf("a task by its old version: %v", err)
	}
	if err := b.Apply(t.Context(), []state.Change{{Insert: []task.Work{w}}})[0]; !errs.Is(err, errs.Conflict) {
		t.Errorf("a row twice: %v", err)
	}
}

// testAllOrNothing breaks a change at its last part: no part of it stays.
func testAllOrNothing(t *testing.T, b *bench) {
	tk := b.submit("a", "m")
	w := work(&tk, "C", -1, task.Ready)
	b.insert(w)
	next := tk
	next.State = task.Running
	err := b.Apply(t.Context(), []state.Change{{
		Task: &next, Insert: []task.Work{work(&tk, "D", -1, task.Ready)},
		Update: []state.Guarded{{Work: running(w, epoch), Was: task.Ready}},
		Traces: []state.Trace{{ID: "t", TaskID: tk.ID, WorkID: w.ID}}, History: []state.Note{{TaskID: tk.ID, Kind: "k"}},
		Posts: []state.Post{{ID: "p", TaskID: tk.ID, Kind: state.Sweep}, {ID: "p", TaskID: tk.ID, Kind: state.Sweep}},
	}})[0]
	if !errs.Is(err, errs.Conflict) {
		t.Fatalf("a post twice: %v", err)
	}
	v, err := b.View(t.Context(), tk.ID)
	if err != nil || v.Task.State != task.Queued || v.Task.Version != 1 || len(v.Work) != 1 || v.Work[w.ID].State != task.Ready {
		t.Errorf("part of it stayed: %+v, %v", v, err)
	}
	traces, _ := b.Traces(t.Context(), tk.ID)
	notes, _ := b.History(t.Context(), tk.ID)
	posts, _ := b.PostsOf(t.Context(), tk.ID)
	if len(traces)+len(notes)+len(posts) > 0 {
		t.Errorf("part of it stayed: %v %v %v", traces, notes, posts)
	}
}

// testNeighbours commits good and bad changes together: the bad ones fail
// alone.
func testNeighbours(t *testing.T, b *bench) {
	var changes []state.Change
	for i := range 60 {
		tk := b.submit("a", fmt.Sprint(i))
		tk.State = task.Running
		c := state.Change{Task: &tk, Insert: []task.Work{work(&tk, "C", -1, task.Ready)}}
		switch i % 3 {
		case 1:
			c.Update = []state.Guarded{{Work: work(&tk, "X", -1, task.Ready), Was: task.Ready}} // is not there
		case 2:
			c.Insert = append(c.Insert, c.Insert[0])
		}
		changes = append(changes, c)
	}
	for i, err := range b.Apply(t.Context(), changes) {
		if good := i%3 == 0; good != (err == nil) {
			t.Errorf("change %d: %v", i, err)
		}
		v, verr := b.View(t.Context(), changes[i].Task.ID)
		if verr != nil || (len(v.Work) == 1) != (err == nil) || (v.Task.State == task.Running) != (err == nil) {
			t.Errorf("change %d, %v: %d rows, %s, %v", i, err, len(v.Work), v.Task.State, verr)
		}
	}
}

// testOneAttemptWins has many writers end one attempt at once.
func testOneAttemptWins(t *testing.T, b *bench) {
	tk := b.submit("a", "m")
	w := running(work(&tk, "C", -1, task.Ready), epoch)
	b.insert(w)
	var won atomic.Int64
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			done := w.Done(epoch.Add(time.Duration(i) * time.Second))
			err := b.Apply(t.Context(), []state.Change{{Update: []state.Guarded{{Work: done, Was: task.Running, Attempt: 1}}}})[0]
			if err == nil {
				won.Add(1)
			} else if !errs.Is(err, errs.Conflict) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d writers ended one attempt", won.Load())
	}
}

func testRenew(t *testing.T, b *bench) {
	tk := b.submit("a", "m")
	live, ended := running(work(&tk, "A", -1, task.Ready), epoch), running(work(&tk, "B", -1, task.Ready), epoch).Done(epoch)
	b.insert(live, ended)
	refused, err := b.Renew(t.Context(), map[string]string{
		live.Trace: live.ID, ended.Trace: ended.ID, "other": live.ID,
	}, epoch.Add(time.Hour))
	if err != nil || len(refused) != 2 {
		t.Errorf("refused %v, %v", refused, err)
	}
	for _, trace := range refused {
		if trace == live.Trace {
			t.Error("the living attempt is refused")
		}
	}
	if got := b.row(live.ID); !got.LeaseTill.Equal(epoch.Add(time.Hour)) {
		t.Errorf("lease till %s", got.LeaseTill)
	}
}

func testExpired(t *testing.T, b *bench) {
	tk := b.submit("a", "m")
	lease, deadline := running(work(&tk, "lease", -1, task.Ready), epoch), running(work(&tk, "deadline", -1, task.Ready), epoch.Add(time.Hour))
	deadline.Deadline = epoch
	fine := running(work(&tk, "fine", -1, task.Ready), epoch.Add(time.Hour))
	b.insert(lease, deadline, fine, work(&tk, "ready", -1, task.Ready))
	got, err := ids(b.Expired(t.Context(), epoch.Add(time.Second), 10))
	if err != nil || len(got) != 2 || got[0]+got[1] != "leasedeadline" && got[0]+got[1] != "deadlinelease" {
		t.Errorf("expired: %v, %v", got, err)
	}
	if got, err = ids(b.Expired(t.Context(), epoch, 10)); err != nil || len(got) != 0 {
		t.Errorf("expired on the moment: %v, %v", got, err)
	}
	if counts, err := b.CountRunning(t.Context()); err != nil || len(counts) != 1 || counts[0].Tenant != "a" || counts[0].N != 3 {
		t.Errorf("running: %v, %v", counts, err)
	}
}

func testReadyAndDue(t *testing.T, b *bench) {
	tk := b.submit("a", "m")
	urgent, gpu, waits, due := work(&tk, "urgent", -1, task.Ready), work(&tk, "gpu", -1, task.Ready),
		work(&tk, "waits", -1, task.Waiting), work(&tk, "due", -1, task.Waiting)
	urgent.Priority, gpu.Pool = 9, fn.GPU
	waits.NotBefore, due.NotBefore = epoch.Add(time.Second), epoch
	fanned := work(&tk, "fanned", -1, task.Waiting)
	fanned.Job = nil
	b.insert(work(&tk, "normal", -1, task.Ready), urgent, gpu, waits, due, fanned)
	for _, c := range []struct {
		name string
		want []string
		rows func() ([]task.Work, error)
	}{
		{"cpu", []string{"urgent", "normal"}, func() ([]task.Work, error) { all, _, err := b.ReadyWork(t.Context(), fn.CPU, 10); return all, err }},
		{"cpu, one", []string{"urgent"}, func() ([]task.Work, error) { all, _, err := b.ReadyWork(t.Context(), fn.CPU, 1); return all, err }},
		{"gpu", []string{"gpu"}, func() ([]task.Work, error) { all, _, err := b.ReadyWork(t.Context(), fn.GPU, 10); return all, err }},
		{"due", []string{"due"}, func() ([]task.Work, error) { return b.Due(t.Context(), epoch, 10) }},
	} {
		got, err := ids(c.rows())
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
}

func testOutbox(t *testing.T, b *bench) {
	tk := b.submit("a", "m")
	post := func(id string, kind state.PostKind, due time.Duration) state.Post {
		return state.Post{ID: id, TaskID: tk.ID, Kind: kind, Target: "http://x", Body: `{"a":1}`, NotBefore: epoch.Add(due), CreatedAt: epoch}
	}
	first := post("first", state.Webhook, 0)
	b.apply(state.Change{Posts: []state.Post{post("later", state.Webhook, time.Hour), post("second", state.Webhook, time.Second), first, post("s", state.Sweep, 0)}})
	posts, err := b.Posts(t.Context(), state.Webhook, epoch.Add(time.Minute), 10)
	if err != nil || len(posts) != 2 || posts[1].ID != "second" {
		t.Fatalf("due: %+v, %v", posts, err)
	}
	if diff := cmp.Diff(first, posts[0]); diff != "" {
		t.Errorf("post (-written +read):\n%s", diff)
	}
	log := &state.Delivery{TaskID: tk.ID, WebhookID: "first", URL: "http://x", Attempt: 1, Status: 500, Error: "e", At: epoch, Took: time.Second}
	if err := b.Settle(t.Context(), first, epoch.Add(2*time.Hour), log); err != nil {
		t.Fatal(err)
	}
	posts, err = b.Posts(t.Context(), state.Webhook, epoch.Add(3*time.Hour), 10)
	if err != nil || len(posts) != 3 || posts[2].ID != "first" || posts[2].Attempt != 1 || posts[2].Body != first.Body {
		t.Errorf("after a try: %+v, %v", posts, err)
	}
	if err := b.Settle(t.Context(), posts[2], time.Time{}, nil); err != nil {
		t.Fatal(err)
	}
	if posts, err = b.PostsOf(t.Context(), tk.ID); err != nil || len(posts) != 3 {
		t.Errorf("after the end of one: %+v, %v", posts, err)
	}
	deliveries, err := b.Deliveries(t.Context(), tk.ID)
	if diff := cmp.Diff([]state.Delivery{*log}, deliveries); diff != "" || err != nil {
		t.Errorf("log: %v\n%s", err, diff)
	}
}

// testClaim has many take one post: one gets it, and nobody else until its
// claim is over.
func testClaim(t *testing.T, b *bench) {
	tk := b.submit("a", "m")
	p := state.Post{ID: "p", TaskID: tk.ID, Kind: state.Webhook, NotBefore: epoch, CreatedAt: epoch}
	b.apply(state.Change{Posts: []state.Post{p}})
	var won atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			mine, err := b.Claim(t.Context(), p, epoch.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			if mine {
				won.Add(1)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d claims of one post", won.Load())
	}
	if posts, err := b.Posts(t.Context(), state.Webhook, epoch, 9); err != nil || len(posts) != 0 {
		t.Errorf("claimed and shown: %v, %v", posts, err)
	}
	if posts, err := b.Posts(t.Context(), state.Webhook, epoch.Add(time.Minute), 9); err != nil || len(posts) != 1 || posts[0].Attempt != 0 {
		t.Errorf("its taker died: %v, %v", posts, err)
	}
}

func testRecord(t *testing.T, b *bench) {
	tk := b.submit("a", "m")
	traces := []state.Trace{
		{ID: "1", WorkID: "w", TaskID: tk.ID, Attempt: 1, Worker: "x", Outcome: "failed", Error: &task.Fault{Kind: errs.Timeout, Message: "m"}, StartedAt: epoch, EndedAt: epoch},
		{ID: "2", WorkID: "w", TaskID: tk.ID, Attempt: 2, Worker: "x", Outcome: "succeeded", Usage: fn.Usage{CPUSeconds: 1}, StartedAt: epoch, EndedAt: epoch.Add(time.Second)},
	}
	notes := []state.Note{{TaskID: tk.ID, WorkID: "w", Kind: "retry", Detail: "d", At: epoch}, {TaskID: tk.ID, Kind: "cancel", Detail: "e", At: epoch}}
	b.apply(state.Change{Traces: traces, History: notes})
	b.apply(state.Change{Traces: traces[:1]}) // the same again is harmless
	gotTraces, err := b.Traces(t.Context(), tk.ID)
	if diff := cmp.Diff(traces, gotTraces); diff != "" || err != nil {
		t.Errorf("traces: %v\n%s", err, diff)
	}
	gotNotes, err := b.History(t.Context(), tk.ID)
	if diff := cmp.Diff(notes, gotNotes); diff != "" || err != nil {
		t.Errorf("history: %v\n%s", err, diff)
	}
}

// testHostileText: what a tool or a receiver said is kept, whatever bytes it
// has.
func testHostileText(t *testing.T, b *bench) {
	tk := b.submit("a", "m")
	said := "a\x00b\xffc 日本"
	w := work(&tk, "C", -1, task.Ready)
	w.Error = &task.Fault{Kind: errs.Internal, Message: said, Tail: said}
	w.Facts = []byte("{\"x\":\"a\xffb\"}")
	b.apply(state.Change{Insert: []task.Work{w}, History: []state.Note{{TaskID: tk.ID, Kind: "k", Detail: said, At: epoch}}})
	notes, err := b.History(t.Context(), tk.ID)
	if err != nil || len(notes) != 1 || notes[0].Detail != "ab\uFFFDc 日本" {
		t.Errorf("%q, %v", notes, err)
	}
	if got := b.row(w.ID); string(got.Facts) != "{\"x\":\"a\uFFFDb\"}" || got.Error.Tail != "a\x00b\uFFFDc 日本" {
		t.Errorf("%q, %q", got.Facts, got.Error.Tail)
	}
	p := state.Post{ID: "p", TaskID: tk.ID, Kind: state.Webhook, NotBefore: epoch, CreatedAt: epoch}
	b.apply(state.Change{Posts: []state.Post{p}})
	if err := b.Settle(t.Context(), p, time.Time{}, &state.Delivery{TaskID: tk.ID, Error: said, At: epoch}); err != nil {
		t.Error(err)
	}
}
