package results

import (
	"context"
	"encoding/json"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
)

// relayDuty is the lease of the one process that fills the result queue: two
// would mix up the order.
const relayDuty = "relay"

// relayBatch bounds what is stored with one wait.
const relayBatch = 256

// relay moves results from the outbox to the tenants' result queues, in order,
// while this process holds the duty. A result that was stored but not settled
// is stored again; the stream knows it by its id.
func (r *Results) relay(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	sub, err := r.parts.Queue.Subscribe(ctx, job.SubjectPosts, "", func(context.Context, queue.Message) {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return errs.Wrap("relay", err)
	}
	defer sub.Close()
	defer func() {
		if err := r.parts.Store.Release(context.WithoutCancel(ctx), relayDuty, r.cfg.Name); err != nil {
			r.parts.Log.Debug("duty not given back; it runs out", "err", err)
		}
	}()
	ticker := time.NewTicker(r.cfg.Poll)
	defer ticker.Stop()
	d := duty{results: r}
	for {
		for more := true; more && ctx.Err() == nil && d.holds(ctx); {
			if more, err = r.move(ctx); err != nil && ctx.Err() == nil {
				r.parts.Log.Warn("result queue not filled", "err", err)
			}
		}
		select {
		case <-ticker.C:
		case <-wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// duty is the right to relay, as this process knows it.
type duty struct {
	results *Results
	renew   time.Time // look again then
	until   time.Time // held so long, by our clock; zero = not held
}

// holds reports whether this process may relay for a moment still, and asks
// for more time before that gets short.
func (d *duty) holds(ctx context.Context) bool {
	r := d.results
	now := time.Now() // the monotonic clock: nobody sets it
	if now.Before(d.renew) {
		return now.Before(d.until)
	}
	_, held, err := r.parts.Store.Hold(ctx, relayDuty, r.cfg.Name, r.cfg.Duty)
	if err != nil {
		if ctx.Err() == nil {
			r.parts.Log.Warn("duty not renewed", "duty", relayDuty, "err", err)
		}
		return now.Before(d.until)
	}
	d.renew = now.Add(r.cfg.Duty / 3)
	if d.until = (time.Time{}); held {
		d.until = now.Add(r.cfg.Duty * 2 / 3) // so that a batch begun at the end is stored in time
	}
	return held
}

// move stores one batch of results and settles it. more reports whether there
// may be others.
func (r *Results) move(ctx context.Context) (more bool, err error) {
	posts, err := r.parts.Store.Posts(ctx, state.Result, r.parts.Store.Now(), relayBatch)
	if err != nil || len(posts) == 0 {
		return false, err
	}
	entries := make([]queue.Entry, len(posts))
	for i, p := range posts {
		entries[i] = queue.Entry{Subject: job.ResultSubject(p.Target), Data: []byte(p.Body), DedupID: p.ID}
	}
	err = r.parts.Queue.AppendBatch(ctx, job.StreamResults, entries)
	if errs.Is(err, errs.TooLarge) {
		err = r.moveLarge(ctx, entries)
	}
	if err != nil {
		return false, err
	}
	r.parts.Reached("result queued")
	r.parts.Metrics.relayed(len(posts))
	return len(posts) == relayBatch, r.parts.Store.SettleAll(context.WithoutCancel(ctx), posts)
}

// moveLarge stores results one by one, those that no message holds without what
// the flow reports: the caller finds that in the task.
func (r *Results) moveLarge(ctx context.Context, entries []queue.Entry) error {
	for _, e := range entries {
		err := r.parts.Queue.Append(ctx, job.StreamResults, e.Subject, e.Data, e.DedupID)
		if errs.Is(err, errs.TooLarge) {
			err = r.parts.Queue.Append(ctx, job.StreamResults, e.Subject, shortened(e.Data), e.DedupID)
		}
		if errs.Is(err, errs.TooLarge) {
			r.parts.Log.Error("a result is too large for the result queue and is left out of it", "id", e.DedupID, "subject", e.Subject)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func shortened(body []byte) []byte {
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		return body
	}
	fields["result"] = json.RawMessage(`{"omitted":"too large for a message; GET /v1/tasks/{id} has it"}`)
	short, err := json.Marshal(fields)
	if err != nil {
		return body
	}
	return short
}
