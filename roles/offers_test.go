package roles_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/roles/controller"
	"github.com/mediafn/mediafn/roles/worker"
	"github.com/mediafn/mediafn/roles/worker/load"
)

// priced is a function of one core that says how long it takes.
func priced(name string, seconds float64) fn.Function {
	return fn.Define(fn.Spec{
		Name: name, Version: "1", Summary: "test", Purity: fn.Exact,
		Inputs: []fn.Slot{{Name: "in", Kinds: []media.Kind{media.Video}}}, Outputs: []fn.Slot{{Name: "out", Kinds: []media.Kind{media.Video}}},
	}, fn.Body[struct{}]{Price: func(*struct{}, []*media.Info) fn.Price { return fn.Price{CPUSeconds: seconds, Memory: 1, Cores: 1} }})
}

// crew is some workers that run work for as long as it is priced, and who runs
// how much.
type crew struct {
	*cluster
	mu      sync.Mutex
	running map[string]int
	most    map[string]int
	done    map[string]float64 // seconds
}

// team gives a cluster work of two lengths, in the flows "long" and "short".
func team(t *testing.T, c *cluster, long, short float64) *crew {
	c.menu = fn.NewRegistry(priced("t.long", long), priced("t.short", short))
	var plans []*flow.Plan
	for _, name := range []string{"long", "short"} {
		p, err := flow.Load([]byte("name: " + name + "\nmodules:\n- {module_name: M, status: m, next_status: done, components: [{component_name: A, fn: t." + name + "}]}\n"))
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, p)
	}
	c.book, c.cores = flow.NewBook(plans...), controller.NewCores(1)
	c.controller()
	return &crew{cluster: c, running: map[string]int{}, most: map[string]int{}, done: map[string]float64{}}
}

// member is a runner that knows whose it is.
type member struct {
	*crew
	name    string
	seconds map[string]float64
}

func (m member) Run(_ context.Context, j job.Job, progress func(fn.Progress)) (job.Outcome, error) {
	m.mu.Lock()
	m.running[m.name]++
	m.most[m.name] = max(m.most[m.name], m.running[m.name])
	m.mu.Unlock()
	time.Sleep(time.Duration(m.seconds[j.Fn]) * time.Second) // synctest's time
	m.mu.Lock()
	m.running[m.name]--
	m.done[m.name] += m.seconds[j.Fn]
	m.mu.Unlock()
	return produce(j), nil
}

func (c *crew) joins(name string, cores int, measure func() load.State) {
	seconds := map[string]float64{}
	for _, f := range []string{"t.long", "t.short"} {
		got, err := c.menu.Get(f)
		if err != nil {
			c.t.Fatal(err)
		}
		seconds[f] = got.Price(json.RawMessage("{}"), nil).CPUSeconds
	}
	c.part(worker.New(worker.Default(name, cores, 100), worker.Parts{
		Queue: c.queue, Runner: member{c, name, seconds}, Functions: c.menu, Log: c.log, Measure: measure,
	}).Run)
	synctest.Wait()
}

func (c *crew) send(cmd string, n int) (ids []string) {
	for range n {
		id := c.submit(cmd, "a")
		c.wake(id)
		ids = append(ids, id)
	}
	return ids
}

// count tells how many of the tasks are in a state.
func (c *crew) count(ids []string, in task.State) (n int) {
	for _, id := range ids {
		if row(c.view(id), "A").State == in {
			n++
		}
	}
	return n
}

// finish lets time pass until all tasks have succeeded.
func (c *crew) finish(ids []string) {
	c.t.Helper()
	for range 600 {
		if c.count(ids, task.Succeeded) == len(ids) {
			return
		}
		time.Sleep(time.Second) // synctest's time
		synctest.Wait()
	}
	c.t.Fatalf("%d of %d succeeded", c.count(ids, task.Succeeded), len(ids))
}

// under is a machine with some cores, of which others keep some busy.
func under(cores, outside int) load.State {
	return load.State{Load: job.Load{Cores: float64(cores), Outside: float64(outside), Busy: float64(outside), Memory: 1 << 30}, Room: cores - outside}
}

// TestLoadedWorkerTakesLess: of two workers alike, the one whose machine others
// use takes what they leave of it.
func TestLoadedWorkerTakesLess(t *testing.T) {
	bubble(t, func(t *testing.T, cluster *cluster) {
		c := team(t, cluster, 300, 10)
		c.joins("loaded", 4, func() load.State { return under(4, 3) })
		c.joins("free", 4, func() load.State { return under(4, 0) })
		ids := c.send("short", 50)
		c.finish(ids)
		if n := c.cores.Now(); n != 8 {
			t.Errorf("plans are made for %d cores; the workers own 8, whoever uses them", n)
		}
		if c.most["loaded"] != 1 || c.most["free"] != 4 || c.done["loaded"] != 100 || c.done["free"] != 400 {
			t.Errorf("at once %v, seconds of work %v", c.most, c.done)
		}
	})
}

// TestLoadComesAndGoes: an offer that stands follows what is measured, down to
// nothing when memory is short, and up again; and a worker whose machine others
// keep busy for good still takes one at a time.
func TestLoadComesAndGoes(t *testing.T) {
	bubble(t, func(t *testing.T, cluster *cluster) {
		c := team(t, cluster, 300, 10)
		var now atomic.Pointer[load.State]
		set := func(s load.State) {
			now.Store(&s)
			time.Sleep(2 * time.Second) // synctest's time: the next sample
			synctest.Wait()
		}
		free := under(4, 0)
		now.Store(&free)
		c.joins("w", 4, func() load.State { return *now.Load() })
		running := func(want int, when string) {
			t.Helper()
			time.Sleep(time.Second) // synctest's time
			synctest.Wait()
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.running["w"] != want {
				t.Errorf("%s: %d run, want %d", when, c.running["w"], want)
			}
		}
		set(under(4, 2))
		ids := c.send("short", 30)
		running(2, "others use two of four")
		set(under(4, 0))
		running(4, "the others are gone")
		short := under(4, 0)
		short.Tight = true
		set(short)
		time.Sleep(10 * time.Second) // synctest's time
		running(0, "memory is short")
		set(under(4, 4))
		running(1, "others use all")
		set(under(4, 0))
		c.finish(ids)
	})
}

// TestMemoryOfOthers: memory is offered as measured, less what running work will
// still take.
func TestMemoryOfOthers(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		m := play(t, c)
		s := under(4, 0)
		s.Memory, s.Tools = 60, 0
		c.part(worker.New(worker.Default("w", 4, 100), worker.Parts{
			Queue: c.queue, Runner: c.run, Functions: c.menu, Log: c.log, Measure: func() load.State { return s },
		}).Run)
		if o := <-m.offers; o.Memory != 60 || o.Total.Memory != 60 {
			t.Errorf("nothing runs, and %d of %d is offered", o.Memory, o.Total.Memory)
		}
		started, stopped := make(chan string, 9), make(chan error, 9)
		c.run.do["t.a"] = blocking(started, stopped)
		m.grant(job.Grant{Work: m.work("A"), Price: fn.Price{Cores: 1, Memory: 40}, Job: job.Job{Trace: "one"}})
		<-started
		if o := <-m.offers; o.Memory != 20 || o.Cores != 3 {
			t.Errorf("40 of 60 are promised, and %+v is offered", o)
		}
	})
}

// TestLongAndShortWork mixes work of five minutes and of half a minute over two
// workers: no core is idle while work waits, and neither does much more.
func TestLongAndShortWork(t *testing.T) {
	bubble(t, func(t *testing.T, cluster *cluster) {
		c := team(t, cluster, 300, 30)
		c.joins("one", 2, nil)
		c.joins("two", 2, nil)
		var ids []string
		for range 8 {
			ids = append(ids, c.send("short", 5)...)
			ids = append(ids, c.send("long", 1)...)
		}
		for c.count(ids, task.Succeeded) < len(ids) {
			time.Sleep(5 * time.Second) // synctest's time
			synctest.Wait()
			waiting := c.count(ids, task.Ready)
			c.mu.Lock()
			if waiting > 0 && c.running["one"]+c.running["two"] < 4 {
				t.Errorf("%v run and %d wait", c.running, waiting)
			}
			c.mu.Unlock()
		}
		if sum := c.done["one"] + c.done["two"]; sum != 8*300+40*30 || c.done["one"] < 0.4*sum || c.done["two"] < 0.4*sum {
			t.Errorf("seconds of work: %v", c.done)
		}
	})
}

// TestDrainingWorker: a worker that is drained gets nothing new, and what it
// runs keeps its lease and counts.
func TestDrainingWorker(t *testing.T) {
	bubble(t, func(t *testing.T, cluster *cluster) {
		c := team(t, cluster, 100, 10)
		c.joins("w1", 2, nil)
		long := c.send("long", 1)
		c.until("it runs", time.Second, func() bool { return c.count(long, task.Running) == 1 })
		if err := c.store.Set(context.Background(), "worker/w1", "draining"); err != nil {
			t.Fatal(err)
		}
		if err := c.queue.Publish(context.Background(), job.SubjectControl, []byte("worker/w1")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		short := c.send("short", 3)
		time.Sleep(time.Minute) // synctest's time
		if c.most["w1"] != 1 || c.count(short, task.Ready) != 3 {
			t.Errorf("%d ran at once, %d wait", c.most["w1"], c.count(short, task.Ready))
		}
		c.joins("w2", 2, nil)
		c.until("the other does them", time.Minute, func() bool { return c.count(short, task.Succeeded) == 3 })
		v := c.ends(long[0], task.Succeeded, 2*time.Minute)
		if w := row(v, "A"); w.Worker != "w1" || w.Attempt != 1 || w.Losses > 0 {
			t.Errorf("%+v", w)
		}
	})
}

// played is a matcher that grants what the test says.
type played struct {
	c      *cluster
	offers chan job.Want
	reply  atomic.Value // of the offer that stands
	task   string
}

func play(t *testing.T, c *cluster) *played {
	m := &played{c: c, offers: make(chan job.Want, 99), task: task.NewID()}
	sub, err := c.queue.Subscribe(context.Background(), job.SubjectWant, "matcher", func(_ context.Context, msg queue.Message) {
		var w job.Want
		if err := json.Unmarshal(msg.Data, &w); err != nil {
			t.Error(err)
		}
		m.reply.Store(msg.Reply)
		m.offers <- w
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sub.Close)
	return m
}

func (m *played) work(name string) string { return m.task + "_" + name }

func (m *played) grant(all ...job.Grant) {
	m.c.t.Helper()
	for i := range all {
		g := &all[i]
		g.Attempt, g.Job.Fn, g.Job.Threads = 1, "t.a", max(g.Price.Cores, 1)
		g.Job.Out = job.Place{Prefix: m.task + "/A/" + g.Job.Trace}
	}
	body, err := json.Marshal(job.Grants{Schema: job.Schema, Grants: all})
	if err == nil {
		err = m.c.queue.Publish(context.Background(), m.reply.Load().(string), body)
	}
	if err != nil {
		m.c.t.Fatal(err)
	}
}

// TestOffersCountKinds: whole videos and images take room of their kind, slices
// of one video together the room of one, and work without a core none.
func TestOffersCountKinds(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		started, stopped := make(chan string, 9), make(chan error, 9)
		c.run.do["t.a"] = blocking(started, stopped)
		m := play(t, c)
		stop := c.worker("w", func(cfg *worker.Config) {
			cfg.Cores, cfg.Kinds, cfg.Sizes, cfg.GPU = 8, map[media.Kind]int{media.Video: 2, media.Image: 5}, []string{"small"}, 2
		})
		first := <-m.offers
		if first.Kinds[media.Video] != 2 || first.Kinds[media.Image] != 5 || first.GPU != 2 || first.Cores != 8 || len(first.Groups) > 0 {
			t.Errorf("%+v", first)
		}
		one := fn.Price{Cores: 1, Memory: 1}
		m.grant(
			job.Grant{Work: m.work("Whole"), Kind: media.Video, Price: one, Job: job.Job{Trace: "whole"}},
			job.Grant{Work: m.work("Probe"), Kind: media.Video, Job: job.Job{Trace: "probe"}},
			job.Grant{Work: m.work("Segments_0"), Kind: media.Video, Price: one, Job: job.Job{Trace: "s0"}},
			job.Grant{Work: m.work("Segments_1"), Kind: media.Video, Price: one, Job: job.Job{Trace: "s1"}},
			job.Grant{Work: m.work("Picture"), Kind: media.Image, Price: fn.Price{Cores: 1, GPU: 1}, Job: job.Job{Trace: "picture"}},
		)
		for range 5 {
			<-started
		}
		got := <-m.offers
		want := map[media.Kind]int{media.Video: 0, media.Image: 4}
		if diff := cmp.Diff(want, got.Kinds) + cmp.Diff([]string{m.work("Segments")}, got.Groups); diff != "" || got.Cores != 4 || got.GPU != 1 || got.Most != 59 {
			t.Errorf("%+v\n%s", got, diff)
		}
		if diff := cmp.Diff(job.Room{Cores: 8, Memory: 100, GPU: 2}, got.Total) + cmp.Diff([]string{"small"}, got.Sizes); diff != "" {
			t.Error(diff)
		}
		stop()
	})
}

// TestAnswersGoWhereTheGrantSays: to the stream of the task's partition, or to
// that of the version before.
func TestAnswersGoWhereTheGrantSays(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		m := play(t, c)
		c.worker("w")
		<-m.offers
		m.grant(
			job.Grant{Work: m.work("A"), Subject: job.StreamAnswered + ".7", Job: job.Job{Trace: "new"}},
			job.Grant{Work: m.work("B"), Job: job.Job{Trace: "old"}},
		)
		for stream, want := range map[string]string{job.StreamAnswered: "new", job.StreamAnswers: "old"} {
			consumer, err := c.queue.Consume(context.Background(), stream, queue.Durable{Name: "test"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := consumer.Fetch(context.Background(), 9)
			var a job.Answer
			if err != nil || len(got) != 1 || json.Unmarshal(got[0].Data, &a) != nil || a.Trace != want || a.Outcome == nil {
				t.Errorf("%s has %d answers, %+v, %v", stream, len(got), a, err)
			}
			for _, d := range got {
				if err := d.Ack(); err != nil {
					t.Error(err)
				}
			}
			if err := consumer.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestStopOvertakesItsGrant: an attempt whose stop came first does not begin.
func TestStopOvertakesItsGrant(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.run.do["t.a"] = func(ctx context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
			if ctx.Err() == nil {
				return produce(j), nil
			}
			return job.Outcome{}, errs.As(errs.Canceled, "t", context.Cause(ctx))
		}
		m := play(t, c)
		c.worker("w")
		<-m.offers
		if err := c.queue.Publish(context.Background(), job.SubjectStop+"w", []byte(`["late"]`)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		m.grant(job.Grant{Work: m.work("A"), Job: job.Job{Trace: "late"}}, job.Grant{Work: m.work("B"), Job: job.Job{Trace: "other"}})
		consumer, err := c.queue.Consume(context.Background(), job.StreamAnswers, queue.Durable{Name: "test"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = consumer.Close() }()
		ended := map[string]string{}
		for len(ended) < 2 {
			got, err := consumer.Fetch(context.Background(), 9)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range got {
				var a job.Answer
				if err := json.Unmarshal(d.Data, &a); err != nil {
					t.Fatal(err)
				}
				ended[a.Trace] = "done"
				if a.Fault != nil {
					ended[a.Trace] = fmt.Sprint(a.Fault.Kind)
				}
				if err := d.Ack(); err != nil {
					t.Error(err)
				}
			}
		}
		if diff := cmp.Diff(map[string]string{"late": "canceled", "other": "done"}, ended); diff != "" {
			t.Error(diff)
		}
	})
}
