package task

import (
	"fmt"
	"slices"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// Limits bound how often work is tried.
type Limits struct {
	Failures   int           // the function failed (default 3)
	Losses     int           // worker or lease lost (default 30)
	Quarantine int           // different workers that may lose the same work (default 5)
	Backoff    time.Duration // before the second try; doubles each time (default 1 s)
	MaxBackoff time.Duration // (default 1 min)
}

// DefaultLimits are the platform's.
var DefaultLimits = Limits{Failures: 3, Losses: 30, Quarantine: 5, Backoff: time.Second, MaxBackoff: time.Minute}

// Fail returns the row after the current attempt failed with fault.
func (l Limits) Fail(w Work, fault *Fault, now time.Time) Work {
	if fault.Short > 0 { // it began too early, which is nobody's failure
		w.State, w.NotBefore, w.Error = Waiting, never, fault
		return w.release()
	}
	w.Failures++
	w.Error = fault
	limit := l.Failures
	if w.Limit > 0 {
		limit = w.Limit
	}
	// Nobody asked for this work to stop (that is Work.Cancel), so a function
	// that says it was canceled was disturbed: it is tried again.
	again := fault.Kind.Retryable() || fault.Kind == errs.Canceled
	if again && w.Failures >= limit {
		given := *fault
		given.Message = fmt.Sprintf("%s; given up after %d failures", fault.Message, w.Failures)
		w.Error = &given
	}
	if !again || w.Failures >= limit {
		return w.end(Failed, now)
	}
	w.State = Waiting
	w.NotBefore = now.Add(l.backoff(w.Failures))
	return w.release()
}

// Lose returns the row after the current attempt's lease ended without an
// answer, or its deadline passed.
func (l Limits) Lose(w Work, why string, now time.Time) Work {
	w.Losses++
	if w.Worker != "" && !slices.Contains(w.LostBy, w.Worker) {
		w.LostBy = append(slices.Clone(w.LostBy), w.Worker)
	}
	w.Error = &Fault{Kind: errs.Transient, Message: why}
	if w.Losses >= l.Losses || len(w.LostBy) >= l.Quarantine {
		w.Error = &Fault{Kind: errs.Internal, Message: why + "; given up after too many losses"}
		return w.end(Failed, now)
	}
	w.State = Waiting
	w.NotBefore = now
	if w.Losses > 1 {
		w.NotBefore = now.Add(l.backoff(w.Losses - 1))
	}
	return w.release()
}

// HandBack returns the row after its worker gave it back unfinished, which
// counts against nobody.
func (w Work) HandBack() Work {
	w.State = Ready
	return w.release()
}

// Done returns the row after the current attempt succeeded.
func (w Work) Done(now time.Time) Work {
	w.Error = nil
	return w.end(Succeeded, now)
}

func (w Work) end(s State, now time.Time) Work {
	w.State, w.EndedAt = s, now
	w.LeaseTill = time.Time{}
	return w
}

func (w Work) release() Work {
	w.Trace, w.Worker = "", ""
	w.LeaseTill, w.Deadline = time.Time{}, time.Time{}
	return w
}

// backoff is exponential without jitter: rows become ready one by one in the
// matching anyway, and a pure function can be tested.
func (l Limits) backoff(n int) time.Duration {
	d := l.Backoff
	for range n - 1 {
		if d *= 2; d >= l.MaxBackoff {
			return l.MaxBackoff
		}
	}
	return d
}

// Cancel returns the row stopped on request.
func (w Work) Cancel(now time.Time) Work { return w.end(Canceled, now) }
