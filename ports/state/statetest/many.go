package statetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/ports/state/driver"
)

// RunMany proves what holds between several processes on one database; each
// store of it stands for a process. open is that of Run.
func RunMany(t *testing.T, open func(t *testing.T) driver.Driver) {
	for _, c := range []struct {
		name string
		test func(*testing.T, []*state.Store)
	}{
		{"Decisions", testDecisions},
		{"Claims", testClaims},
		{"MsgID", testMsgIDs},
		{"Crossing", testCrossing},
		{"Clock", testClock},
		{"UploadRace", testUploadRace},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, together(t, open)) })
	}
}

// together opens several stores at once, so that they migrate at once too.
func together(t *testing.T, open func(t *testing.T) driver.Driver) []*state.Store {
	t.Helper()
	stores := make([]*state.Store, 3)
	drivers := make([]driver.Driver, len(stores))
	for i := range drivers {
		drivers[i] = open(t)
	}
	var group sync.WaitGroup
	for i := range stores {
		group.Go(func() {
			var err error
			if stores[i], err = state.New(context.Background(), drivers[i]); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	for i, s := range stores {
		if s == nil {
			_ = drivers[i].Close()
			continue
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if t.Failed() {
		t.FailNow()
	}
	return stores
}

// each runs one function a store, at once.
func each(stores []*state.Store, run func(i int, s *state.Store)) {
	var group sync.WaitGroup
	for i, s := range stores {
		group.Go(func() { run(i, s) })
	}
	group.Wait()
}

// testDecisions has every process decide on the same task again and again: each
// version is made by one of them.
func testDecisions(t *testing.T, stores []*state.Store) {
	tk, _, err := stores[0].Submit(t.Context(), NewTask("a", "m"))
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 60
	var applied atomic.Int64
	each(stores, func(i int, s *state.Store) {
		for round := range rounds {
			got, err := s.Task(t.Context(), tk.ID)
			if err != nil {
				t.Error(err)
				return
			}
			got.State = task.Running
			note := state.Note{TaskID: tk.ID, Kind: "decided", Detail: fmt.Sprint(i, "-", round), At: epoch}
			switch err := s.Apply(t.Context(), []state.Change{{Task: &got, History: []state.Note{note}}})[0]; {
			case err == nil:
				applied.Add(1)
			case !errs.Is(err, errs.Conflict):
				t.Error(err)
			}
		}
	})
	got, err := stores[0].Task(t.Context(), tk.ID)
	if err != nil || got.Version != 1+applied.Load() {
		t.Errorf("version %d after %d decisions, %v", got.Version, applied.Load(), err)
	}
	notes, err := stores[1].History(t.Context(), tk.ID)
	if err != nil || int64(len(notes)) != applied.Load() {
		t.Errorf("%d notes of %d decisions, %v", len(notes), applied.Load(), err)
	}
}

// testClaims has every process take every post: each is had once.
func testClaims(t *testing.T, stores []*state.Store) {
	tk, _, err := stores[0].Submit(t.Context(), NewTask("a", "m"))
	if err != nil {
		t.Fatal(err)
	}
	var posts []state.Post
	for i := range 40 {
		posts = append(posts, state.Post{ID: fmt.Sprint("p", i), TaskID: tk.ID, Kind: state.Webhook, NotBefore: epoch, CreatedAt: epoch})
	}
	if err := stores[0].Apply(t.Context(), []state.Change{{Posts: posts}})[0]; err != nil {
		t.Fatal(err)
	}
	had := make([]atomic.Int64, len(posts))
	each(stores, func(_ int, s *state.Store) {
		for _, n := range rand.Perm(len(posts)) {
			mine, err := s.Claim(t.Context(), posts[n], epoch.Add(time.Minute))
			if err != nil {
				t.Error(err)
			}
			if mine {
				had[n].Add(1)
			}
		}
	})
	for n := range had {
		if had[n].Load() != 1 {
			t.Errorf("post %d was had %d times", n, had[n].Load())
		}
	}
}

// testMsgIDs sends every request to every process at once.
func testMsgIDs(t *testing.T, stores []*state.Store) {
	const requests = 50
	var created atomic.Int64
	found := make([][requests]string, len(stores))
	each(stores, func(i int, s *state.Store) {
		for r := range requests {
			got, existed, err := s.Submit(t.Context(), NewTask("a", fmt.Sprint(r)))
			if err != nil {
				t.Error(err)
			}
			if !existed {
				created.Add(1)
			}
			found[i][r] = got.ID
		}
	})
	if created.Load() != requests || found[0] != found[1] || found[0] != found[2] {
		t.Errorf("%d tasks of %d requests: %v", created.Load(), requests, found)
	}
}

// testCrossing has every process write the same rows, many at once and each in
// an order of its own: they get into each other's way, and nobody hears of it.
func testCrossing(t *testing.T, stores []*state.Store) {
	tk, _, err := stores[0].Submit(t.Context(), NewTask("a", "m"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []task.Work
	traces := map[string]string{}
	for i := range 20 {
		w := running(work(&tk, "C", i, task.Ready), epoch)
		rows, traces[w.Trace] = append(rows, w), w.ID
	}
	if err := stores[0].Apply(t.Context(), []state.Change{{Insert: rows}})[0]; err != nil {
		t.Fatal(err)
	}
	each(stores, func(i int, s *state.Store) {
		for round := range 20 {
			if refused, err := s.Renew(t.Context(), traces, epoch.Add(time.Duration(round)*time.Second)); err != nil || len(refused) > 0 {
				t.Errorf("process %d: refused %v, %v", i, refused, err)
			}
		}
	})
}

// testClock: all go by one clock.
func testClock(t *testing.T, stores []*state.Store) {
	for round := range 3 {
		if err := stores[round].Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		first, last := stores[0].Now(), stores[2].Now()
		if apart := last.Sub(first).Abs(); apart > 5*time.Second {
			t.Errorf("two processes' clocks are %s apart", apart)
		}
	}
}

// RunRestarts proves what holds while the server of a database goes away and
// comes back, which restart does, the nth time in the nth way; refused tells
// of writes that failed meanwhile. Every write either happened or not, and its
// caller hears which, or that nobody knows.
func RunRestarts(t *testing.T, open func(t *testing.T) driver.Driver, times int, restart func(n int, refused <-chan struct{})) {
	s := together(t, open)[0]
	over := make(chan struct{})
	succeeded, refused := make(chan struct{}, 1), make(chan struct{})
	type outcome struct {
		id  string
		err error
	}
	submitted := make([][]outcome, 4)
	var group sync.WaitGroup
	each := func(run func() error) { // for ever, until it is over
		group.Go(func() {
			for {
				told := succeeded
				if err := run(); err != nil {
					told = refused
					if !errs.Is(err, errs.Transient) {
						t.Errorf("of kind %s: %v", errs.KindOf(err), err)
					}
				}
				select {
				case told <- struct{}{}:
				case <-over:
					return
				}
			}
		})
	}
	for i := range submitted {
		each(func() error {
			n := len(submitted[i])
			tk := NewTask("a", fmt.Sprint(i, "-", n))
			got, existed, err := s.Submit(context.Background(), tk)
			if err == nil && (got.ID != tk.ID || existed && got.Version != 1) {
				t.Errorf("submitted %s, got %+v", tk.ID, got)
			}
			submitted[i] = append(submitted[i], outcome{tk.ID, err})
			return err
		})
	}
	// One writer a task counts its versions up. If it hears that it lost, though
	// nobody else is there, then it was told wrong.
	for i := range 4 {
		tk, _, err := s.Submit(t.Context(), NewTask("counted", fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		tk.State = task.Running
		doubt := false
		each(func() error {
			if doubt { // what it last wrote may be there
				got, err := s.Task(context.Background(), tk.ID)
				if err != nil {
					return err
				}
				if got.Version != tk.Version && got.Version != tk.Version+1 {
					t.Errorf("version %d, was %d", got.Version, tk.Version)
				}
				tk.Version = got.Version
			}
			err := s.Apply(context.Background(), []state.Change{{Task: &tk, History: []state.Note{{TaskID: tk.ID, Kind: "k", At: epoch}}}})[0]
			if doubt = err != nil; !doubt {
				tk.Version++
			}
			return err
		})
	}
	successes := func(n int) {
		for n > 0 {
			select {
			case <-succeeded:
				n--
			case <-refused:
			}
		}
	}
	for n := range times {
		successes(400)
		restart(n, refused)
	}
	successes(400)
	close(over)
	group.Wait()
	kept, unknown := 0, 0
	for _, all := range submitted {
		for _, o := range all {
			_, err := s.Task(t.Context(), o.id)
			switch {
			case o.err != nil:
				unknown++
			case err != nil:
				t.Errorf("acknowledged and lost: %s: %v", o.id, err)
			default:
				kept++
			}
		}
	}
	t.Logf("%d submitted, %d refused or unknown", kept, unknown)
	for i := range 4 {
		all, err := s.Tasks(t.Context(), state.Filter{Tenant: "counted", MsgID: fmt.Sprint(i), Limit: 1})
		if err != nil || len(all) != 1 {
			t.Fatal(all, err)
		}
		notes, err := s.History(t.Context(), all[0].ID)
		if err != nil || int64(len(notes)) != all[0].Version-1 {
			t.Errorf("version %d and %d notes, %v", all[0].Version, len(notes), err)
		}
	}
}
