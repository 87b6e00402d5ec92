package roles_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/driver"
	blobmem "github.com/mediafn/mediafn/ports/blob/mem"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/roles/controller"
	"github.com/mediafn/mediafn/roles/controller/sweep"
)

// listing is a store that lets something happen just before it lists.
type listing struct {
	*blobmem.Store
	once   sync.Once
	before func()
}

func (l *listing) List(ctx context.Context, bucket, prefix, after string, limit int) ([]driver.Item, error) {
	if l.before != nil {
		l.once.Do(l.before)
	}
	return l.Store.List(ctx, bucket, prefix, after, limit)
}

// yard is a cluster with objects of one ended task and a sweeper.
type yard struct {
	*cluster
	objects *blob.Store
	id      string
}

func newYard(t *testing.T, c *cluster, l *listing, ended task.State) *yard {
	l.Store = blobmem.New(0)
	objects, err := blob.New(l, blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	y := &yard{cluster: c, objects: objects, id: c.submit("pair", "a")}
	for _, key := range []string{"results/B/won/out", "results/B/lost/out", "segments/A/won/out", "segments/A/lost/out"} {
		y.put(key)
	}
	tk := c.view(y.id).Task
	made := func(component, bucket string) task.Work {
		return task.Work{ID: task.EventID(y.id, component), TaskID: y.id, Component: component, Order: -1, State: task.Succeeded, Attempt: 2,
			Outputs: []media.Object{{Ref: media.Ref{Cloud: "main", Bucket: bucket, Key: y.id + "/" + component + "/won/out"}}}}
	}
	a, b := made("A", "segments"), made("B", "results")
	tk.State, tk.Status, tk.EndedAt = ended, "n", time.Now()
	tk.Call, tk.Ret = tk.Call.Set(0, task.Success).Set(1, task.Success), tk.Ret.Set(0, task.Success)
	if ended == task.Succeeded {
		tk.Outputs = b.Outputs
	} else {
		b.State, b.Outputs = task.Failed, nil
	}
	if err := c.store.Apply(context.Background(), []state.Change{{Task: &tk, Insert: []task.Work{a, b}, Posts: []state.Post{{
		ID: "sweep", TaskID: y.id, Kind: state.Sweep, Body: "{}", NotBefore: time.Now(), CreatedAt: time.Now()}}}})[0]; err != nil {
		t.Fatal(err)
	}
	return y
}

// put stores bucket/rest under the task's key.
func (y *yard) put(key string) {
	bucket, rest, _ := strings.Cut(key, "/")
	if _, err := y.objects.Put(context.Background(), bucket, y.id+"/"+rest, strings.NewReader("x"), blob.PutOptions{Size: 1, Mime: "text/plain"}); err != nil {
		y.t.Error(err)
	}
}

func (y *yard) sweep() {
	stores := blob.NewStores()
	if err := stores.Add("main", y.objects); err != nil {
		y.t.Fatal(err)
	}
	s := &sweep.Sweeper{Store: y.store, Stores: stores, Place: task.Place{Cloud: "main", Results: "results", Segments: "segments"},
		Every: time.Second, Name: "s", Parts: controller.Parts{Store: y.store, Flows: y.book, Log: y.log, Reached: func(string) {}}}
	y.part(s.Run)
	time.Sleep(10 * time.Second) // synctest's time
	synctest.Wait()
	posts, err := y.store.PostsOf(context.Background(), y.id)
	if err != nil || slices.ContainsFunc(posts, func(p state.Post) bool { return p.Kind == state.Sweep }) {
		y.t.Errorf("the sweep is not settled: %+v, %v", posts, err)
	}
}

func (y *yard) left() (keys []string) {
	for _, bucket := range []string{"results", "segments"} {
		items, err := y.objects.List(context.Background(), bucket, y.id+"/", "", 100)
		if err != nil && !errs.Is(err, errs.NotFound) {
			y.t.Fatal(err)
		}
		for _, item := range items {
			keys = append(keys, bucket+strings.TrimPrefix(item.Key, y.id))
		}
	}
	return keys
}

func TestSweep(t *testing.T) {
	for ended, want := range map[task.State][]string{
		task.Succeeded: {"results/B/won/out"},
		task.Failed:    {"segments/A/won/out"}, // a retry will want it
	} {
		bubble(t, func(t *testing.T, c *cluster) {
			y := newYard(t, c, &listing{}, ended)
			y.sweep()
			if diff := cmp.Diff(want, y.left()); diff != "" {
				t.Errorf("%s:\n%s", ended, diff)
			}
		})
	}
}

// TestSweepRacesRetry retries the task, and lets the new attempt store
// something, when the sweep has begun: the new object stays.
func TestSweepRacesRetry(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		l := &listing{}
		y := newYard(t, c, l, task.Failed)
		l.before = func() {
			v := c.view(y.id)
			v.Plan = c.book.Get("pair")
			step, err := task.Retry(v, task.Scope{}, time.Now())
			if err != nil {
				t.Error(err)
			}
			change := state.Change{Task: &step.Task}
			for _, w := range step.Update {
				change.Update = append(change.Update, state.Guarded{Work: w, Was: v.Work[w.ID].State, Attempt: v.Work[w.ID].Attempt})
			}
			if err := c.store.Apply(context.Background(), []state.Change{change})[0]; err != nil {
				t.Error(err)
			}
			y.put("results/B/new/out")
		}
		y.sweep()
		if left := y.left(); !slices.Contains(left, "results/B/new/out") || !slices.Contains(left, "segments/A/won/out") {
			t.Errorf("left: %v", left)
		}
	})
}
