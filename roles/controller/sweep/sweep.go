// Package sweep deletes what ended tasks leave behind. It is a duty of one
// controller at a time.
package sweep

import (
	"context"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/roles/controller"
)

// Sweeper deletes what ended tasks leave behind: files only their flow needed,
// and what attempts stored that did not count. A post in the outbox, committed
// with the end of the task, asks for it, so that a crash does not lose it.
type Sweeper struct {
	Store   *state.Store
	Stores  *blob.Stores
	Place   task.Place
	Every   time.Duration
	Name    string // unique among processes that run
	Parts   controller.Parts
	buckets []string
}

// Run works until ctx ends.
func (s *Sweeper) Run(ctx context.Context) error {
	store, err := s.Stores.Get(s.Place.Cloud)
	if err != nil {
		return errs.Wrap("sweeper", err)
	}
	s.buckets = []string{s.Place.Segments, s.Place.Results}
	ticker := time.NewTicker(s.Every)
	defer ticker.Stop()
	defer func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.Store.Release(last, Duty, s.Name) // else it runs out
	}()
	for {
		if !s.mine(ctx) {
			select {
			case <-ticker.C:
				continue
			case <-ctx.Done():
				return nil
			}
		}
		posts, err := s.Store.Posts(ctx, state.Sweep, s.Store.Now(), 100)
		if err != nil && ctx.Err() == nil {
			s.Parts.Log.Warn("sweeper: outbox not read", "err", err)
		}
		for _, p := range posts {
			if err := s.sweep(ctx, store, p); err != nil && ctx.Err() == nil {
				s.Parts.Log.Warn("task not swept", "task", p.TaskID, "err", err)
				_ = s.Store.Settle(ctx, p, s.Store.Now().Add(min(time.Minute, s.Every<<min(p.Attempt, 10))), nil)
			}
		}
		if len(posts) == 100 {
			continue
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Duty is that of one sweeper at a time. Two would only do the same twice.
const Duty = "sweep"

func (s *Sweeper) mine(ctx context.Context) bool {
	_, held, err := s.Store.Hold(ctx, Duty, s.Name, max(10*s.Every, 10*time.Second))
	if err != nil && ctx.Err() == nil {
		s.Parts.Log.Warn("sweeper: duty not renewed", "err", err)
	}
	s.Parts.Metrics.Holds(Duty, held && err == nil)
	return held && err == nil
}

func (s *Sweeper) sweep(ctx context.Context, store *blob.Store, p state.Post) error {
	for _, bucket := range s.buckets {
		after := ""
		for {
			items, err := store.List(ctx, bucket, p.TaskID+"/", after, 1000)
			if err != nil {
				return err
			}
			// The rows are read after the list: what a retry stores from now on
			// is not in the list, what was kept until now is in the rows.
			v, err := s.Store.View(ctx, p.TaskID)
			if err != nil && !errs.Is(err, errs.NotFound) {
				return err
			}
			if v.Task.ID != "" && !v.Task.State.Final() {
				return s.Store.Settle(ctx, p, time.Time{}, nil) // retried in between; its next end sweeps
			}
			if v.Plan, err = s.Parts.PlanOf(ctx, &v.Task); err != nil {
				return err
			}
			keep := referenced(v)
			for _, item := range items {
				after = item.Key
				if keep[bucket+"/"+item.Key] {
					continue
				}
				if err := store.Delete(ctx, bucket, item.Key); err != nil {
					return err
				}
				s.Parts.Metrics.Swept(item.Size)
				s.Parts.Reached("sweeping")
			}
			if len(items) < 1000 {
				break
			}
		}
	}
	return s.Store.Settle(ctx, p, time.Time{}, nil)
}

// referenced lists what must stay: the result, what left at the end of a module,
// and for a task that may be retried every part that succeeded.
func referenced(v task.View) map[string]bool {
	keep := map[string]bool{}
	for _, o := range v.Task.Outputs {
		keep[o.Bucket+"/"+o.Key] = true
	}
	for _, w := range v.Work {
		// Drafts have been told to the caller, who may come for them.
		if v.Task.State == task.Succeeded && !v.Plan.Drafted(v.Plan.Component(w.Component)) {
			continue
		}
		for _, o := range w.Outputs {
			keep[o.Bucket+"/"+o.Key] = true
		}
	}
	return keep
}
