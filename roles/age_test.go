package roles_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/file"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/roles/controller"
	"github.com/mediafn/mediafn/roles/controller/sweep"
)

const aDay = 24 * time.Hour

// published are the ages of the published design.
var published = sweep.Ages{Originals: []string{"inputs"}, OriginalsCold: 3 * aDay, Results: 21 * aDay, Segments: aDay, Cache: aDay}

// attic is a cluster with a store of two folders and an Ager.
type attic struct {
	*cluster
	warm, cold string
	store      *blob.Store
	registry   *prometheus.Registry
}

func newAttic(t *testing.T, c *cluster, dir string, ages sweep.Ages) *attic {
	a := &attic{cluster: c, warm: filepath.Join(dir, "warm"), cold: filepath.Join(dir, "cold"), registry: prometheus.NewRegistry()}
	var err error
	if a.store, err = file.OpenTiered(a.warm, a.cold, blob.Default()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.store.Close() })
	stores := blob.NewStores()
	if err := stores.Add("main", a.store); err != nil {
		t.Fatal(err)
	}
	ager := &sweep.Ager{Ages: ages, Every: time.Hour, Metrics: sweep.NewMetrics(a.registry), Sweeper: &sweep.Sweeper{
		Store: c.store, Stores: stores, Place: task.Place{Cloud: "main", Results: "results", Segments: "segments"}, Name: "s",
		Every: 2 * time.Minute, // a turn of the duty every five
		Parts: controller.Parts{Store: c.store, Flows: c.book, Log: slog.New(slog.DiscardHandler), Reached: func(string) {}}}}
	c.part(ager.Run)
	return a
}

func (a *attic) put(bucket, key string) media.Object {
	a.t.Helper()
	if _, err := a.store.Put(context.Background(), bucket, key, strings.NewReader("12345"), blob.PutOptions{Size: 5, Mime: "text/plain"}); err != nil {
		a.t.Fatal(err)
	}
	return media.Object{Ref: media.Ref{Cloud: "main", Bucket: bucket, Key: key}, Size: 5}
}

// after lets time pass, in which the Ager looks every hour.
func (a *attic) after(d time.Duration) {
	time.Sleep(d) // synctest's time
	synctest.Wait()
}

// there lists what is where, "cold:" before what is in the colder folder.
func (a *attic) there() (all []string) {
	a.t.Helper()
	for class, dir := range map[string]string{"": a.warm, "cold:": a.cold} {
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err == nil && !e.IsDir() && !strings.Contains(path, "/.mediafn/") {
				all = append(all, class+strings.TrimPrefix(path, dir+"/"))
			}
			return err
		})
		if err != nil {
			a.t.Fatal(err)
		}
	}
	slices.Sort(all)
	return all
}

func (a *attic) want(when string, names ...string) {
	a.t.Helper()
	slices.Sort(names)
	if diff := cmp.Diff(names, a.there()); diff != "" {
		a.t.Errorf("%s (- wanted, + there):\n%s", when, diff)
	}
}

// given submits a task with an input.
func (a *attic) given(ref media.Ref) string {
	a.t.Helper()
	p, id := a.book.Get("pair"), task.NewID()
	_, _, err := a.cluster.store.Submit(context.Background(), task.Task{ID: id, Tenant: "a", Flow: p.Name, FlowVer: p.Version, CreatedAt: time.Now(),
		Request: task.Request{Cmd: "pair", MsgID: id, Priority: 5, Inputs: []media.Ref{ref}}})
	if err != nil {
		a.t.Fatal(err)
	}
	return id
}

// set writes a task's state, and the outputs of its work.
func (a *attic) set(id string, s task.State, made ...media.Object) {
	a.t.Helper()
	tk := a.view(id).Task
	tk.State, tk.StartedAt = s, time.Now()
	c := state.Change{Task: &tk}
	if made != nil {
		c.Insert = []task.Work{{ID: task.EventID(id, "A"), TaskID: id, Component: "A", Order: -1, State: task.Succeeded, Attempt: 1, Outputs: made}}
	}
	if err := a.cluster.store.Apply(context.Background(), []state.Change{c})[0]; err != nil {
		a.t.Fatal(err)
	}
}

// TestAges: originals go to the colder class after 3 days, segments and kept
// slices are deleted after one, results after 21; nothing else is touched, and
// nothing before its time.
func TestAges(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T, c *cluster) {
		a := newAttic(t, c, dir, published)
		id := c.submit("pair", "over")
		a.set(id, task.Failed)
		original, result, segment := "inputs/film.mp4", "results/"+id+"/B/t/out", "segments/"+id+"/A/t/out"
		kept, record := "segments/cache/abc/t/slice.mp4", "segments/cache/abc.json"
		theirs := []string{"bucket-a/final.mp4", "results/readme.txt", "segments/mine/x"}
		for _, name := range append([]string{original, result, segment, kept, record}, theirs...) {
			bucket, key, _ := strings.Cut(name, "/")
			a.put(bucket, key)
		}
		a.after(aDay - 2*time.Hour)
		a.want("before a day", append(theirs, original, result, segment, kept, record)...)
		a.after(3 * time.Hour)
		a.want("after a day", append(theirs, original, result)...)
		a.after(2*aDay - 2*time.Hour)
		a.want("before three days", append(theirs, original, result)...)
		a.after(2 * time.Hour)
		a.want("after three days", append(theirs, "cold:"+original, result)...)
		a.after(18*aDay - 3*time.Hour)
		a.want("before 21 days", append(theirs, "cold:"+original, result)...)
		a.after(3 * time.Hour)
		a.want("after 21 days", append(theirs, "cold:"+original)...)
		a.after(9 * aDay)
		a.want("after a month", append(theirs, "cold:"+original)...)

		if diff := testutil.CollectAndCompare(a.registry, strings.NewReader(`
# HELP mediafn_lifecycle_bytes_total Bytes of these objects.
# TYPE mediafn_lifecycle_bytes_total counter
mediafn_lifecycle_bytes_total{action="cooled",rule="originals"} 5
mediafn_lifecycle_bytes_total{action="deleted",rule="cache"} 10
mediafn_lifecycle_bytes_total{action="deleted",rule="results"} 5
mediafn_lifecycle_bytes_total{action="deleted",rule="segments"} 5
`), "mediafn_lifecycle_bytes_total"); diff != nil {
			t.Error(diff)
		}
	})
}

// TestAgesOfUsed: what a task needs that is not over stays, whatever its age, and
// goes when the task has ended. It may become cold: it is read from there.
func TestAgesOfUsed(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T, c *cluster) {
		ages := published
		ages.OriginalsKeep = 5 * aDay
		a := newAttic(t, c, dir, ages)
		v, w := a.put("inputs", "1.mp4"), a.put("inputs", "2.mp4")
		waiting, running := a.given(v.Ref), a.given(media.Ref{Bucket: w.Bucket, Key: w.Key}) // the default store by name and without
		part, kept := a.put("segments", running+"/A/t/out"), a.put("segments", "cache/abc/t/slice.mp4")
		a.put("segments", "cache/xyz/t/slice.mp4") // nobody uses it
		a.set(running, task.Running, part, kept)
		a.after(7 * aDay)
		a.want("while they are not over", "cold:"+v.Bucket+"/"+v.Key, "cold:"+w.Bucket+"/"+w.Key, "segments/"+part.Key, "segments/"+kept.Key)
		a.set(waiting, task.Canceled)
		a.set(running, task.Succeeded)
		a.after(2 * time.Hour)
		a.want("when they are over")
	})
}

// TestAgesForEver: what is to be kept is kept.
func TestAgesForEver(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T, c *cluster) {
		a := newAttic(t, c, dir, sweep.Ages{Originals: []string{"inputs"}})
		id := c.submit("pair", "over")
		a.set(id, task.Succeeded)
		a.put("inputs", "film.mp4")
		a.put("results", id+"/B/t/out")
		a.put("segments", "cache/abc/t/slice.mp4")
		a.after(40 * aDay)
		a.want("after 40 days", "inputs/film.mp4", "results/"+id+"/B/t/out", "segments/cache/abc/t/slice.mp4")
	})
}
