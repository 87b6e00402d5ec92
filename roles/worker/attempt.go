package worker

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/queue"
)

// renewEvery is a quarter of the shortest lease allowed: three renewals may be
// late or lost before work is.
const renewEvery = 500 * time.Millisecond

// Why an attempt's context ended.
var (
	errStopped  = errs.New(errs.Canceled, "worker", "stopped by the controller")
	errLost     = errs.New(errs.Canceled, "worker", "the lease is no longer ours")
	errReturned = errs.New(errs.Canceled, "worker", "the worker is shutting down")
)

// stalled is why an attempt that does not get on ends. Unlike a lease that runs
// out it is an answer: it counts as a failure, and the history gives the reason.
func (w *Worker) stalled() error {
	return errs.New(errs.Timeout, "worker", "no progress for %s", w.cfg.Stall)
}

// attempt is one running grant.
type attempt struct {
	grant   job.Grant
	cores   int
	started time.Time
	cancel  context.CancelCauseFunc
	// traceparent is that of its span; empty = it is not traced.
	traceparent string

	mu       sync.Mutex
	progress fn.Progress
	moved    time.Time // when progress last changed; zero = never reported
	shown    time.Time
	stalled  error // why it was given up; nil = it was not
}

// run computes one grant and reports how it ended. life outlives ctx.
func (w *Worker) run(ctx, life context.Context, a *attempt) {
	defer a.cancel(nil)
	if a.grant.Job.Fn == "assemble.merge" {
		w.parts.Reached("merging")
	}
	traced, s := w.begin(ctx, a)
	outcome, err := w.parts.Runner.Run(traced, a.grant.Job, func(p fn.Progress) { w.progress(life, a, p) })
	s.End(err)
	w.release(a)
	w.ended(traced, a, &outcome, err)
	switch cause := context.Cause(ctx); {
	case err == nil && outcome.Pending:
		w.answer(life, a, job.Answer{Pending: true})
	case err == nil:
		w.answer(life, a, job.Answer{Outcome: &outcome})
	case errors.Is(cause, errReturned):
		w.answer(life, a, job.Answer{Returned: true})
	case errors.Is(cause, errLost):
		// Nobody waits for this answer any more.
	case a.gaveUp() != nil:
		w.answer(life, a, job.Answer{Fault: job.FaultOf(a.gaveUp())})
	default:
		w.answer(life, a, job.Answer{Fault: job.FaultOf(err)})
	}
}

func (w *Worker) answer(ctx context.Context, a *attempt, answer job.Answer) {
	answer.Schema, answer.Work, answer.Attempt = job.Schema, a.grant.Work, a.grant.Attempt
	answer.Trace, answer.Worker, answer.Started = a.grant.Job.Trace, w.cfg.Name, a.started
	answer.Traceparent = a.traceparent
	w.mu.Lock()
	w.telling[answer.Trace] = a
	w.mu.Unlock()
	select {
	case w.answers <- said{answer, a.grant.Subject}:
	case <-ctx.Done():
	}
}

// said is an answer and the subject to give it on.
type said struct {
	job.Answer
	subject string
}

// report appends answers to their stream, as many at once as wait.
func (w *Worker) report(ctx context.Context) {
	for first := range w.answers {
		batch := []said{first}
	more:
		for len(batch) < 256 {
			select {
			case a, ok := <-w.answers:
				if !ok {
					break more
				}
				batch = append(batch, a)
			default:
				break more
			}
		}
		w.append(ctx, batch)
	}
}

// append puts a batch into the streams its grants name: that of the task's
// partition, or the one that controllers of the version before read.
func (w *Worker) append(ctx context.Context, batch []said) {
	streams := map[string][]queue.Entry{}
	for _, a := range batch {
		body, err := json.Marshal(a.Answer)
		if err != nil {
			w.parts.Log.Error("answer not encoded", "work", a.Work, "err", err)
			continue
		}
		if len(body) > w.cfg.MaxAnswer {
			body = w.tooLong(a.Answer, len(body))
		}
		id := a.Trace
		if a.Pending {
			id += ".pending" // the outside service's answer for the same trace follows
		}
		stream, subject := job.StreamAnswered, a.subject
		if subject == "" {
			stream, subject = job.StreamAnswers, job.StreamAnswers
		}
		streams[stream] = append(streams[stream], queue.Entry{Subject: subject, Data: body, DedupID: id})
	}
	for stream, entries := range streams {
		w.send(ctx, stream, entries)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range batch {
		delete(w.telling, a.Trace)
	}
}

// send tries until the stream has taken the entries. Giving up would only cost
// the leases: the work would run again.
func (w *Worker) send(ctx context.Context, stream string, entries []queue.Entry) {
	for try := 0; try < 10; try++ {
		err := w.parts.Queue.AppendBatch(ctx, stream, entries)
		if err == nil {
			w.parts.Reached("callback sent")
			return
		}
		w.parts.Log.Warn("answers not sent", "stream", stream, "count", len(entries), "err", err)
		if ctx.Err() != nil {
			return
		}
		pause(ctx, time.Duration(try+1)*200*time.Millisecond)
	}
}

// tooLong replaces an answer that no message can carry by a failure that says
// so; doing the work again would not make it shorter.
func (w *Worker) tooLong(a job.Answer, size int) []byte {
	a.Outcome = nil
	a.Fault = job.FaultOf(errs.New(errs.TooLarge, "worker",
		"the list of results and facts has %d bytes, the limit is %d; ask for fewer files or less detail", size, w.cfg.MaxAnswer))
	body, err := json.Marshal(a)
	if err != nil {
		w.parts.Log.Error("answer not encoded", task.Ids(a.Work, a.Trace), "err", err)
	}
	return body
}

// progress notes how far an attempt is and shows it, a few times a second.
func (w *Worker) progress(ctx context.Context, a *attempt, p fn.Progress) {
	now := time.Now()
	a.mu.Lock()
	if p != a.progress || a.moved.IsZero() {
		a.moved = now
	}
	a.progress = p
	show := now.Sub(a.shown) >= 300*time.Millisecond
	if show {
		a.shown = now
	}
	a.mu.Unlock()
	if a.grant.Job.Part != nil && a.grant.Job.Part.Stream == fn.Pictures && p.Done >= 0.5 {
		w.parts.Reached("half a slice")
	}
	if !show {
		return
	}
	taskID, name, segment := component(a.grant.Work)
	e := api.Event{
		Type: "progress", TaskID: taskID, Component: name, State: task.Running, Progress: &p,
		Worker: w.cfg.Name, Attempt: a.grant.Attempt, At: now,
	}
	if n, err := strconv.Atoi(segment); err == nil {
		e.Segment = &n
	}
	if body, err := json.Marshal(e); err == nil {
		_ = w.parts.Queue.Publish(ctx, job.SubjectEvents+taskID, body) // only for show
	}
}

// renew keeps the leases of running work alive, as long as it moves.
func (w *Worker) renew(ctx context.Context) {
	ticker := time.NewTicker(renewEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		alive := w.alive(time.Now())
		if len(alive) == 0 {
			continue
		}
		body, err := json.Marshal(job.Renewal{Schema: job.Schema, Worker: w.cfg.Name, Alive: alive})
		if err != nil {
			continue
		}
		asked, cancel := context.WithTimeout(ctx, 4*renewEvery)
		reply, err := w.parts.Queue.Request(asked, job.SubjectRenew, body)
		cancel()
		var refused job.Refusals
		if err == nil {
			err = json.Unmarshal(reply, &refused)
		}
		if err != nil {
			if ctx.Err() == nil {
				w.parts.Log.Warn("leases not renewed", "err", err)
			}
			continue
		}
		w.stop(refused.Stop, errLost)
	}
}

// gaveUp is why the worker gave an attempt up, nil if it did not.
func (a *attempt) gaveUp() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.stalled
}

// alive lists attempts that should live on: old enough to need it, and moving or
// over. Those that are over need it while a stream that has lost its leader does
// not take their answers.
// One that does not move is stopped; should it not even do that, its lease
// ends it.
func (w *Worker) alive(now time.Time) []job.Alive {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []job.Alive
	for trace, a := range w.running {
		a.mu.Lock()
		if a.stalled == nil && !a.moved.IsZero() && now.Sub(a.moved) > w.cfg.Stall {
			a.stalled = w.stalled()
			a.cancel(a.stalled)
		}
		if a.stalled == nil && now.Sub(a.started) >= renewEvery/2 {
			all = append(all, job.Alive{Work: a.grant.Work, Attempt: a.grant.Attempt, Trace: trace, Progress: a.progress})
		}
		a.mu.Unlock()
	}
	for trace, a := range w.telling {
		if now.Sub(a.started) >= renewEvery/2 {
			all = append(all, job.Alive{Work: a.grant.Work, Attempt: a.grant.Attempt, Trace: trace})
		}
	}
	return all
}
