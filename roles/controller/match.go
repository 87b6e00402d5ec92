package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/sched"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/roles/controller/pieces"
)

// grant is one match: work as it is leased, and to whom.
type grant struct {
	work  task.Work
	offer *offer
	cores int
	ready time.Time // when it could first have been granted
	note  []state.Note
}

// match pairs ready work with what workers want: work that stands in the rows,
// and work the decisions of this turn make ready, which is then written as
// running at once.
func (t *turn) match(ctx context.Context) {
	if len(t.wants) == 0 || !t.duties.holds(Match) {
		return
	}
	if t.more && len(t.ready.Rows) < t.cfg.Ready/4 {
		t.refill(ctx)
	}
	candidates := t.candidates()
	if len(candidates) == 0 {
		return
	}
	items := make([]sched.Item, len(candidates))
	for i := range candidates {
		items[i] = item(candidates[i])
	}
	offers, wants := t.offers()
	grants, shares := sched.Match(t.now, items, wants, t.tenants(), t.shares)
	t.shares = shares
	for _, g := range grants {
		t.lease(*candidates[g.Item], offers[g.Want], g.Cores)
	}
}

// candidates lists the ready work of the window as this turn leaves it.
func (t *turn) candidates() []*task.Work {
	all := make([]*task.Work, 0, len(t.ready.Rows))
	for id, w := range t.ready.Rows {
		if c := t.tasks[w.TaskID]; c != nil && c.touched[id] {
			continue // below, as it is now
		}
		if !t.paused[string(w.Pool)] {
			all = append(all, w)
		}
	}
	for _, c := range t.tasks {
		for id := range c.touched {
			if w := c.now.Work[id]; w.State == task.Ready && !t.paused[string(w.Pool)] {
				all = append(all, w)
			}
		}
	}
	return all
}

func item(w *task.Work) sched.Item {
	it := sched.Item{
		ID: w.ID, Deadline: w.Due, Tenant: w.Tenant, Priority: w.Priority, Function: w.Fn + "@" + w.FnVersion, Pool: string(w.Pool),
		Kind: string(w.Kind), Size: w.Size, Avoid: w.Avoid,
		Cores: w.Price.Cores, Memory: w.Price.Memory, GPU: w.Price.GPU, Seconds: w.Price.CPUSeconds, Ready: w.CreatedAt,
	}
	if w.Order >= 0 {
		it.Group = task.EventID(w.TaskID, w.Component)
	}
	return it
}

func (c *Controller) offers() ([]*offer, []sched.Want) {
	var offers []*offer
	var wants []sched.Want
	for _, o := range c.wants {
		if c.draining[o.Worker] {
			continue
		}
		offers, wants = append(offers, o), append(wants, wantOf(&o.Want))
	}
	return offers, wants
}

func wantOf(o *job.Want) sched.Want {
	w := sched.Want{
		Worker: o.Worker, Functions: make(map[string]bool, len(o.Functions)), Sizes: o.Sizes,
		Cores: o.Cores, Memory: o.Memory, GPU: o.GPU, Most: o.Most, Groups: o.Groups,
		Total: sched.Room{Cores: o.Total.Cores, Memory: o.Total.Memory, GPU: o.Total.GPU},
	}
	for _, f := range o.Functions {
		w.Functions[f] = true
	}
	for _, p := range o.Pools {
		w.Pools = append(w.Pools, string(p))
	}
	if len(o.Kinds) > 0 {
		w.Kinds = make(map[string]int, len(o.Kinds))
		for kind, n := range o.Kinds {
			w.Kinds[string(kind)] = n
		}
	}
	return w
}

func (c *Controller) tenants() map[string]sched.Tenant {
	all := map[string]sched.Tenant{}
	for name, share := range c.cfg.Tenants {
		all[name] = sched.Tenant{Weight: share.Weight, Limit: share.Limit}
	}
	for name, n := range c.usage {
		t := all[name]
		t.Running = n
		all[name] = t
	}
	return all
}

// lease makes a match part of this turn: of its task's change if there is one,
// else a change of its own.
func (t *turn) lease(w task.Work, o *offer, cores int) {
	w.State, w.Attempt, w.Trace, w.Worker = task.Running, w.Attempt+1, task.NewID(), o.Worker
	w.StartedAt, w.LeaseTill, w.Deadline = t.now, t.now.Add(t.cfg.Lease), t.now.Add(w.Timeout)
	g := grant{work: w, offer: o, cores: cores, ready: latest(w.CreatedAt, w.NotBefore)}
	if t.market.found[w.ID] {
		g.note = []state.Note{{TaskID: w.TaskID, WorkID: w.ID, Kind: "found", At: t.now, Detail: fmt.Sprintf(
			"it was ready for %s and nobody had announced it; the matcher found it", t.now.Sub(g.ready).Round(time.Millisecond))}}
		delete(t.market.found, w.ID)
	}
	t.ready.Drop(w.ID)
	t.running(w.Tenant, 1)
	if t.replies[o] == nil { // what it offered is taken, whatever becomes of the commit
		t.replies[o] = &job.Grants{Schema: job.Schema}
		delete(t.wants, o.Worker)
		t.given[o.Worker] = mark{o.Seen, t.now}
	}
	t.given[o.Worker] = mark{t.given[o.Worker].count + 1, t.now}
	if c := t.tasks[w.TaskID]; c != nil {
		c.set(w)
		c.grants, c.history = append(c.grants, g), append(c.history, g.note...)
		return
	}
	t.alone = append(t.alone, g)
	t.leasing[w.TaskID] = true
}

// leases turns the grants of tasks nothing else is decided on into changes.
func (t *turn) leases() []state.Change {
	changes := make([]state.Change, len(t.alone))
	for i := range t.alone {
		w := t.alone[i].work
		changes[i] = state.Change{
			Under:   t.duties.under(Match),
			Update:  []state.Guarded{{Work: w, Was: task.Ready, Attempt: w.Attempt - 1}},
			History: t.alone[i].note,
		}
	}
	return changes
}

// leased follows the commit of a grant whose task was not decided on.
func (t *turn) leased(ctx context.Context, g *grant, err error) {
	if err != nil {
		t.forget(g.work.TaskID)
		t.withdraw(g)
		return
	}
	if v, ok := t.views[g.work.TaskID]; ok {
		// Replaced, not changed: the turn that is prepared meanwhile may have
		// decided on it, and its guards must say what it saw.
		v = &view{v.View}
		v.Work = v.Work.Clone()
		v.Work.Put(g.work)
		t.views[g.work.TaskID] = v
	}
	t.account(ctx, g)
	t.send(ctx, job.SubjectEvents+g.work.TaskID, workEvent(&g.work, t.now))
}

// withdraw takes back a grant that was not written.
func (t *turn) withdraw(g *grant) {
	t.running(g.work.Tenant, -1)
	m := t.given[g.offer.Worker]
	t.given[g.offer.Worker] = mark{m.count - 1, m.at}
	t.more = true
}

// account adds a grant that was written to what its worker is told.
func (t *turn) account(ctx context.Context, g *grant) {
	t.parts.Metrics.Granted(&g.work, g.ready, t.now)
	message, err := g.work.Grant(t.cfg.Lease, max(g.cores, 1))
	if err == nil {
		err = pieces.Fill(ctx, t.parts.Store, t.parts.Decider.Place.Arriving, &g.work, &message.Job)
	}
	if err != nil {
		t.parts.Log.Error("job not readable", task.Ids(g.work.ID, g.work.Trace), "err", err)
		return // its lease will end it
	}
	message.Subject = t.duties.answers(g.work.TaskID)
	if message.Job.Async && t.cfg.Callback != nil {
		message.Job.Callback = t.cfg.Callback(g.work.Trace)
	}
	granted(ctx, t.parts.Tracer, &message, &g.work, g.ready)
	t.replies[g.offer].Grants = append(t.replies[g.offer].Grants, message)
}

// reply tells workers what they were granted. One that never hears of it loses
// leases, nothing else. One whose grants were all refused offers again.
func (t *turn) reply(ctx context.Context) {
	for o, a := range t.replies {
		t.send(ctx, o.reply, a)
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
