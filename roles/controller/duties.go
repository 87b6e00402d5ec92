package controller

import (
	"context"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
)

// Duties one controller holds at a time. If two thought they did, guards of the
// rows would still keep every write right.
const (
	Match = "match" // grants ready work
	Reap  = "reap"  // the check bill
)

const memberPrefix = "member/"

// duties is what this controller holds by leases of the database: that it is
// there, its partitions, and the duties of one. Only the loop uses it.
type duties struct {
	*Controller
	until  map[string]time.Time // of the duties held, by the database's time
	epoch  map[string]int64
	owned  map[int]func() // partitions, with what ends listening to them
	market func()         // ends listening to workers; nil = not the matcher
	alone  bool           // no other controller is there
}

func newDuties(c *Controller) *duties {
	return &duties{Controller: c, until: map[string]time.Time{}, epoch: map[string]int64{}, owned: map[int]func(){}}
}

// holds reports whether a duty is held with some time left: what is begun now
// can be written before it runs out.
func (d *duties) holds(duty string) bool {
	return d.parts.Now().Add(d.cfg.Duty / 4).Before(d.until[duty])
}

// under is the fence of writes that a duty allows.
func (d *duties) under(duty string) *state.Under {
	return &state.Under{Name: duty, Epoch: d.epoch[duty]}
}

// renew prolongs what is held and takes what is free. If the database is away
// everything is given up when its time comes.
func (d *duties) renew(ctx context.Context) {
	if err := d.parts.Store.Sync(ctx); err != nil {
		d.parts.Log.Warn("the database's clock was not read", "err", err)
	}
	d.hold(ctx, memberPrefix+d.cfg.Name)
	for _, duty := range []string{Match, Reap} {
		if d.hold(ctx, duty) {
			d.parts.Log.Info("duty taken", "duty", duty, "epoch", d.epoch[duty])
		}
	}
	for _, duty := range []string{Match, Reap} {
		d.parts.Metrics.Holds(duty, d.holds(duty))
	}
	d.trade(ctx)
	leases, err := d.parts.Store.Leases(ctx)
	if err != nil {
		d.parts.Log.Warn("members not read", "err", err)
		return // partitions stay as they are
	}
	var members []string
	for _, l := range leases {
		if name, ok := strings.CutPrefix(l.Name, memberPrefix); ok {
			members = append(members, name)
		}
	}
	d.alone = len(members) == 1 && members[0] == d.cfg.Name
	d.share(ctx, members)
}

// answers is where answers about a task's work go: to its partition, or, while
// there is one controller alone, all to one, which moves more in less messages.
// Any controller can take any answer.
func (d *duties) answers(taskID string) string {
	if d.alone {
		return job.StreamAnswered + ".0"
	}
	return job.AnswerSubject(taskID)
}

// hold reports whether a duty is newly held.
func (d *duties) hold(ctx context.Context, duty string) (taken bool) {
	asked := d.parts.Now()
	epoch, held, err := d.parts.Store.Hold(ctx, duty, d.cfg.Name, d.cfg.Duty)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			d.parts.Log.Warn("duty not renewed", "duty", duty, "err", err)
		}
	case held:
		taken = d.until[duty].IsZero() || d.epoch[duty] != epoch
		d.until[duty], d.epoch[duty] = asked.Add(d.cfg.Duty), epoch
	default:
		delete(d.until, duty)
	}
	return taken
}

// trade begins or ends listening to workers.
func (d *duties) trade(ctx context.Context) {
	switch held := d.holds(Match); {
	case held && d.market == nil:
		stop, err := d.subscribe(ctx, map[string]queue.Handler{
			job.SubjectWant: d.onWant, job.SubjectReady: d.onNotice, job.SubjectStatus: d.onStatus, job.SubjectControl: d.onControl,
		})
		if err != nil {
			d.parts.Log.Warn("workers not listened to", "err", err)
			return
		}
		d.market, d.more = stop, true
		d.publish(ctx, job.SubjectCall, nil) // who had the duty before may have died with the offers
		d.count(ctx)
	case !held && d.market != nil:
		d.market()
		d.market = nil
		d.close(ctx)
	}
}

// share listens to the partitions that are this controller's among members: by
// rendezvous hashing, so that few of them move when one comes or goes.
func (d *duties) share(ctx context.Context, members []string) {
	for p := range job.Partitions {
		mine := len(members) == 0 || owner(p, members) == d.cfg.Name
		switch stop, have := d.owned[p]; {
		case mine && !have:
			stop, err := d.take(ctx, p)
			if err != nil {
				d.parts.Log.Warn("partition not listened to", "partition", p, "err", err)
				continue
			}
			d.owned[p] = stop
		case !mine && have:
			stop()
			delete(d.owned, p)
		}
	}
}

// owner is the member with the highest hash for a partition.
func owner(partition int, members []string) (best string) {
	var high uint64
	for _, m := range members {
		h := fnv.New64a()
		_, _ = h.Write([]byte(m + "/" + strconv.Itoa(partition))) // cannot fail
		if sum := mix(h.Sum64()); best == "" || sum > high || (sum == high && m < best) {
			best, high = m, sum
		}
	}
	return best
}

// mix spreads what FNV leaves in the low bits (the finalizer of MurmurHash3).
func mix(h uint64) uint64 {
	h ^= h >> 33
	h *= 0xff51afd7ed558ccd
	h ^= h >> 33
	h *= 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// take listens to a partition: to its tasks, and to answers about their work.
func (d *duties) take(ctx context.Context, partition int) (stop func(), err error) {
	n := strconv.Itoa(partition)
	unheard, err := d.subscribe(ctx, map[string]queue.Handler{job.SubjectTask + "." + n: d.onTask})
	if err != nil {
		return nil, err
	}
	taking, end := context.WithCancel(ctx)
	d.consume(taking, job.StreamAnswered, queue.Durable{Name: "controller-" + n, Filter: job.StreamAnswered + "." + n})
	return func() { end(); unheard() }, nil
}

// release gives everything back and stops listening.
func (d *duties) release(ctx context.Context) {
	for _, stop := range d.owned {
		stop()
	}
	if d.market != nil {
		d.market()
		d.close(ctx)
	}
	for _, duty := range slices.Sorted(maps.Keys(d.until)) {
		if err := d.parts.Store.Release(ctx, duty, d.cfg.Name); err != nil {
			d.parts.Log.Warn("duty not given back", "duty", duty, "err", err)
			return // the database is away; they run out
		}
	}
}
