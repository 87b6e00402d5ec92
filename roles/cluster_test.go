// Package roles_test plays the roles together, over a real database and a real
// queue, with tiny functions. Time is synctest's: waits cost nothing.
package roles_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/driver"
	"github.com/mediafn/mediafn/ports/queue/mem"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/ports/state/sqlite"
	"github.com/mediafn/mediafn/roles/controller"
	"github.com/mediafn/mediafn/roles/worker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is a database, a queue and the roles a test starts.
type cluster struct {
	t     *testing.T
	path  string // of the database
	store *state.Store
	queue *queue.Queue
	conn  *flaky
	book  *flow.Book
	menu  *fn.Registry
	run   *runner
	log   *slog.Logger
	cores *controller.Cores // what plans are made for; nil = none are made
}

// flaky is a queue whose streams can be without a leader.
type flaky struct {
	driver.Conn
	leaderless atomic.Bool
}

func (f *flaky) Append(ctx context.Context, stream string, entries []driver.Entry) []error {
	if !f.leaderless.Load() {
		return f.Conn.Append(ctx, stream, entries)
	}
	failed := make([]error, len(entries))
	for i := range failed {
		failed[i] = errs.New(errs.Transient, "append", "nobody leads the stream")
	}
	return failed
}

// behave is what a function of the cluster does.
type behave func(ctx context.Context, j job.Job, progress func(fn.Progress)) (job.Outcome, error)

// runner computes by a table and counts how often each function ran.
type runner struct {
	mu   sync.Mutex
	do   map[string]behave
	runs map[string]int // by function, and by work prefix
}

func (r *runner) Run(ctx context.Context, j job.Job, progress func(fn.Progress)) (job.Outcome, error) {
	r.mu.Lock()
	r.runs[j.Fn]++
	r.runs[j.Out.Prefix[:36]+" "+j.Fn]++
	do := r.do[j.Fn]
	r.mu.Unlock()
	if do != nil {
		return do(ctx, j, progress)
	}
	return produce(j), nil
}

func produce(j job.Job) job.Outcome {
	return job.Outcome{
		Outputs: []media.Object{{Ref: media.Ref{Cloud: j.Out.Cloud, Bucket: j.Out.Bucket, Key: j.Out.Key("out")}, Size: 1}},
		Facts:   json.RawMessage(`{"ok":true}`), Usage: fn.Usage{CPUSeconds: 1},
	}
}

func (r *runner) count(key string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.runs[key]
}

// flows: "pair" runs B after A; "race" runs two beside each other.
const flowText = `
- name: pair
  modules:
  - {module_name: M, status: m, next_status: n, components: [{component_name: A, fn: t.a}]}
  - {module_name: N, status: n, next_status: done, components: [{component_name: B, fn: t.b, inputs: {in: A}}]}
- name: race
  modules:
  - {module_name: M, status: m, next_status: done, components: [{component_name: A, fn: t.a}, {component_name: B, fn: t.b}]}
- name: lone
  modules:
  - {module_name: M, status: m, next_status: done, components: [{component_name: A, fn: t.a}]}
- name: wide
  modules:
  - {module_name: M, status: m, next_status: n, components: [{component_name: A, fn: t.a}]}
  - {module_name: N, status: n, next_status: done, components: [{component_name: B, fn: t.b, for_each: A.parts}]}
- name: outside
  modules:
  - {module_name: M, status: m, next_status: done, components: [{component_name: A, fn: t.a, async: true, timeout: 2m}]}
`

// bubble runs a test with a cluster inside a synctest bubble.
func bubble(t *testing.T, test func(t *testing.T, c *cluster)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, filepath.Join(dir, "state.db"))
		test(t, c)
	})
}

func newCluster(t *testing.T, path string) *cluster {
	d, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	store, err := state.New(context.Background(), d)
	if err != nil {
		t.Fatal(err)
	}
	conn := &flaky{Conn: mem.New(mem.Options{})}
	q, err := queue.New(conn, queue.Default())
	for stream, subject := range map[string]string{job.StreamAnswers: job.StreamAnswers, job.StreamAnswered: job.StreamAnswered + ".*"} {
		if err == nil {
			err = q.Declare(context.Background(), queue.Stream{Name: stream, Subjects: []string{subject}, MaxAge: 24 * time.Hour, UntilAcked: true})
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := q.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &cluster{t: t, path: path, store: store, queue: q, conn: conn, log: slog.New(slog.DiscardHandler), run: &runner{do: map[string]behave{}, runs: map[string]int{}}}
	c.menu = fn.NewRegistry(function("t.a"), function("t.b"))
	c.book = flow.NewBook(plans(t)...)
	return c
}

func plans(t *testing.T) (all []*flow.Plan) {
	for _, text := range splitFlows(flowText) {
		p, err := flow.Load([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func function(name string) fn.Function {
	kinds := []media.Kind{media.Video}
	return fn.Define(fn.Spec{
		Name: name, Version: "1", Summary: "test", Purity: fn.Exact,
		Inputs: []fn.Slot{{Name: "in", Kinds: kinds}}, Outputs: []fn.Slot{{Name: "out", Kinds: kinds}},
	}, fn.Body[struct{}]{Price: func(*struct{}, []*media.Info) fn.Price { return fn.Price{CPUSeconds: 1, Memory: 1, Cores: 1} }})
}

// part starts something that runs until stop is called or the test ends.
func (c *cluster) part(run func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil {
			c.t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	c.t.Cleanup(stop)
	return stop
}

func (c *cluster) controller(change ...func(*controller.Config)) (stop func()) {
	cfg := controller.Default()
	for _, f := range change {
		f(&cfg)
	}
	stop = c.part(controller.New(cfg, controller.Parts{
		Store: c.store, Queue: c.queue, Flows: c.book, Log: c.log, Cores: c.cores,
		Decider: task.Decider{Functions: c.menu, Place: task.Place{Cloud: "main", Results: "results", Segments: "segments"}},
	}).Run)
	synctest.Wait()
	return stop
}

func (c *cluster) worker(name string, change ...func(*worker.Config)) (stop func()) {
	cfg := worker.Default(name, 2, 100)
	for _, f := range change {
		f(&cfg)
	}
	stop = c.part(worker.New(cfg, worker.Parts{Queue: c.queue, Runner: c.run, Functions: c.menu, Log: c.log}).Run)
	synctest.Wait()
	return stop
}

// submit stores a task, without telling anybody.
func (c *cluster) submit(cmd, tenant string) string {
	c.t.Helper()
	p := c.book.Get(cmd)
	id := task.NewID()
	_, _, err := c.store.Submit(context.Background(), task.Task{
		ID: id, Tenant: tenant, Flow: p.Name, FlowVer: p.Version, CreatedAt: time.Now(),
		Request: task.Request{Cmd: cmd, MsgID: id, Priority: 5, NotifyURL: "http://caller/"},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return id
}

func (c *cluster) wake(id string) {
	c.t.Helper()
	if err := c.queue.Publish(context.Background(), job.SubjectTask, []byte(id)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) view(id string) task.View {
	c.t.Helper()
	v, err := c.store.View(context.Background(), id)
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

// until lets time pass until the condition holds, at most for a while.
func (c *cluster) until(what string, limit time.Duration, holds func() bool) {
	c.t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) { // synctest's time
		synctest.Wait()
		if holds() {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// ends waits for a task's end and checks what must hold then.
func (c *cluster) ends(id string, s task.State, limit time.Duration) task.View {
	c.t.Helper()
	c.until(fmt.Sprintf("task %s", s), limit, func() bool { return c.view(id).Task.State.Final() })
	v := c.view(id)
	if v.Task.State != s {
		c.t.Fatalf("the task is %s (%+v), want %s", v.Task.State, v.Task.Error, s)
	}
	for _, w := range v.Work {
		if !w.State.Final() {
			c.t.Errorf("the task is over and %s is %s", w.ID, w.State)
		}
	}
	posts, err := c.store.PostsOf(context.Background(), id)
	webhooks := 0
	for _, p := range posts {
		if p.Kind == state.Webhook {
			webhooks++
		}
	}
	if err != nil || webhooks != 1 {
		c.t.Errorf("%d webhooks for the end, %v", webhooks, err)
	}
	return v
}

func row(v task.View, component string) task.Work {
	w, _ := v.Work.Get(task.EventID(v.Task.ID, component))
	return w
}

// fake is a worker that only does what the test says.
type fake struct {
	c    *cluster
	name string
}

func (f fake) want(cores int, wait time.Duration) (job.Grants, error) {
	body, err := json.Marshal(job.Want{Schema: job.Schema, Worker: f.name, Pools: []fn.Pool{fn.CPU}, Functions: []string{"t.a@1", "t.b@1"},
		Cores: cores, Memory: 100, Most: 9, Wait: wait})
	if err != nil {
		return job.Grants{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait+5*time.Second)
	defer cancel()
	reply, err := f.c.queue.Request(ctx, job.SubjectWant, body)
	var g job.Grants
	if err == nil {
		err = json.Unmarshal(reply, &g)
	}
	return g, err
}

func (f fake) answer(g job.Grant, outcome *job.Outcome, fault *job.Fault) {
	body, err := json.Marshal(job.Answer{Schema: job.Schema, Work: g.Work, Attempt: g.Attempt, Trace: g.Job.Trace, Worker: f.name, Outcome: outcome, Fault: fault})
	if err == nil {
		err = f.c.queue.Append(context.Background(), job.StreamAnswers, job.StreamAnswers, body, "")
	}
	if err != nil {
		f.c.t.Error(err)
	}
	synctest.Wait()
}

func failing(kind errs.Kind) behave {
	return func(context.Context, job.Job, func(fn.Progress)) (job.Outcome, error) {
		return job.Outcome{}, errs.New(kind, "t", "it broke")
	}
}

// blocking runs until it is stopped; it says on started that it runs.
func blocking(started chan<- string, stopped chan<- error) behave {
	return func(ctx context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
		started <- j.Trace
		<-ctx.Done()
		stopped <- context.Cause(ctx)
		return job.Outcome{}, errs.As(errs.Canceled, "t", ctx.Err())
	}
}
