package controller

import (
	"context"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/sched"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/roles/controller/window"
)

var noGrants = job.Grants{Schema: job.Schema, Grants: []job.Grant{}}

// market is what the matcher knows: a bounded window on ready work, and the
// offers that stand.
type market struct {
	ready    *window.Window
	more     bool            // the database may hold ready work that is not in memory
	crowd    bool            // there was more than the window holds
	found    map[string]bool // ready work that nobody announced, until it is granted
	wants    map[string]*offer
	shares   sched.Shares    // of the tenants, from match to match
	given    map[string]mark // what workers were granted last, by name
	usage    map[string]int  // running work by tenant
	busy     map[string]int  // running work by worker, as last counted
	seen     map[string]seen // workers by name, as they last offered
	paused   map[string]bool // pools
	draining map[string]bool // workers
	reported time.Time       // when the gauges were set
}

func newMarket(most int) market {
	return market{
		ready: window.New(most), wants: map[string]*offer{}, given: map[string]mark{}, usage: map[string]int{},
		busy: map[string]int{}, seen: map[string]seen{}, found: map[string]bool{},
	}
}

// seen is a worker as it last offered.
type seen struct {
	job.Want
	at time.Time
}

// mark is how many grants a worker will have received when the last ones
// reach it.
type mark struct {
	count int64
	at    time.Time
}

// notice is what another controller tells the matcher after a commit.
type notice struct {
	Ready map[string][]string `json:"ready,omitempty"` // ids of work that may be granted now, by tenant
	Ended map[string]int      `json:"ended,omitempty"` // how much running work ended, by tenant
}

func (n *notice) ready(w *task.Work) {
	if n.Ready == nil {
		n.Ready = map[string][]string{}
	}
	n.Ready[w.Tenant] = append(n.Ready[w.Tenant], w.ID)
}

func (n *notice) end(tenant string) {
	if n.Ended == nil {
		n.Ended = map[string]int{}
	}
	n.Ended[tenant]++
}

// want takes an offer. A newer one of the same worker replaces it.
func (c *Controller) want(ctx context.Context, o *offer) {
	if c.duties.market == nil {
		// It was under way when the duty went to another controller, who is to hear
		// it; nobody would look at it here until it runs out.
		c.send(ctx, o.reply, noGrants)
		return
	}
	c.seen[o.Worker] = seen{o.Want, c.parts.Now()}
	if c.crossed(o) {
		c.send(ctx, o.reply, noGrants)
		return
	}
	if old := c.wants[o.Worker]; old != nil {
		c.send(ctx, old.reply, noGrants)
	}
	c.wants[o.Worker] = o
	if o.Most < 1 {
		delete(c.wants, o.Worker) // it is stopping and takes its offer back
	}
}

// crossed reports whether an offer was made before its worker heard of its last
// grants. It would be granted the same room twice and hand the work back. A
// mark counts for a moment only: grants may get lost on their way.
func (c *Controller) crossed(o *offer) bool {
	m, ok := c.given[o.Worker]
	return ok && o.Most > 0 && o.Seen < m.count && c.parts.Now().Sub(m.at) < 2*c.cfg.Tick
}

// heed learns what another controller has committed.
func (c *Controller) heed(ctx context.Context, n *notice) {
	for tenant, ended := range n.Ended {
		c.running(tenant, -ended)
	}
	var missing []string
	for tenant, ids := range n.Ready {
		for _, id := range ids {
			switch {
			case c.ready.Rows[id] != nil:
			case c.ready.Open(tenant):
				missing = append(missing, id)
			default:
				c.more, c.crowd = true, true
			}
		}
	}
	if len(missing) == 0 {
		return
	}
	rows, err := c.parts.Store.WorkByID(ctx, missing)
	if err != nil {
		c.parts.Log.Warn("ready work not read", "err", err)
		c.more = true
	}
	for i := range rows {
		c.offer(&rows[i])
	}
}

// offer remembers ready work for the next matching.
func (c *Controller) offer(w *task.Work) {
	if w.State != task.Ready || !c.duties.holds(Match) {
		return
	}
	if !c.ready.Put(w) {
		c.more, c.crowd = true, true
	}
}

func (c *Controller) running(tenant string, n int) {
	if c.usage[tenant] += n; c.usage[tenant] <= 0 {
		delete(c.usage, tenant)
	}
}

// sight marks ready work that was read from the rows and that nobody had
// announced, although there was room for it: who made it ready died before
// telling, or the message was lost.
func (c *Controller) sight(w *task.Work) {
	if c.ready.Rows[w.ID] == nil && c.parts.Now().Sub(latest(w.CreatedAt, w.NotBefore)) > c.cfg.Tick/4 {
		c.found[w.ID] = true
	}
}

// refill makes the window anew from the rows: of every tenant some, most urgent
// first, so that nobody's crowd hides anybody's one.
func (c *Controller) refill(ctx context.Context) {
	crowd, fresh := c.crowd, window.New(c.cfg.Ready)
	c.more, c.crowd = false, false
	for _, pool := range []fn.Pool{fn.CPU, fn.GPU} {
		rows, more, err := c.parts.Store.ReadyWork(ctx, pool, c.cfg.Ready)
		if err != nil {
			c.parts.Log.Warn("ready work not read", "err", err)
			c.more, c.crowd = true, crowd
			return
		}
		for i := range rows {
			w := &rows[i]
			if !crowd && !more {
				c.sight(w)
			}
			if c.writing.has(w.TaskID) || !fresh.Put(w) { // what is being written may be granted already
				more = true
			}
		}
		c.more, c.crowd = c.more || more, c.crowd || more
	}
	c.ready = fresh
}

// count looks at what the matcher must know beside ready work: others grant,
// end work and change settings too.
func (d *duties) count(ctx context.Context) {
	c := d.Controller
	running, err := c.parts.Store.CountRunning(ctx)
	if err != nil {
		c.parts.Log.Warn("running work not counted", "err", err)
		return
	}
	clear(c.usage)
	clear(c.busy)
	for _, r := range running {
		c.usage[r.Tenant] += r.N
		c.busy[r.Worker] += r.N
	}
	settings, err := c.parts.Store.Settings(ctx, "")
	if err != nil {
		c.parts.Log.Warn("settings not read", "err", err)
		return
	}
	c.paused, c.draining = map[string]bool{}, map[string]bool{}
	for name, value := range settings {
		if pool, ok := strings.CutPrefix(name, "pool/"); ok && value == "paused" {
			c.paused[pool] = true
		}
		if worker, ok := strings.CutPrefix(name, "worker/"); ok && value == "draining" {
			c.draining[worker] = true
		}
	}
}

// close forgets the market and tells everybody who waits in it.
func (c *Controller) close(ctx context.Context) {
	for _, o := range c.wants {
		c.send(ctx, o.reply, noGrants)
	}
	c.market = newMarket(c.cfg.Ready)
}

// clean forgets what has run out.
func (c *Controller) clean(ctx context.Context, now time.Time) {
	for worker, m := range c.given {
		if now.Sub(m.at) >= 2*c.cfg.Tick {
			delete(c.given, worker)
		}
	}
	for worker, s := range c.seen {
		if c.busy[worker] == 0 && now.Sub(s.at) > max(2*s.Wait, time.Minute) {
			delete(c.seen, worker)
		}
	}
	for worker, o := range c.wants {
		if now.After(o.expires) {
			delete(c.wants, worker)
			c.send(ctx, o.reply, noGrants)
		}
	}
}
