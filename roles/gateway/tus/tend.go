package tus

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/state"
)

// finish puts the object of a whole upload together. It goes on when the caller
// hangs up; if this process dies, whoever tends uploads does it again.
func (h *Handler) finish(ctx context.Context, u *state.Upload) error {
	store, err := h.parts.Blobs.Get(u.Place.Cloud)
	if err != nil {
		return err
	}
	pieces, err := h.parts.Store.Pieces(ctx, u.ID)
	if err != nil {
		return err
	}
	h.parts.Reached("upload whole")
	joining, cancel := context.WithCancelCause(ctx)
	var keeping sync.WaitGroup
	keeping.Go(func() { h.keep(joining, cancel, u.ID) })
	defer keeping.Wait()
	defer cancel(nil)
	_, err = store.Join(joining, h.parts.Bucket, pieces, u.Place.Bucket, u.Place.Key, blob.PutOptions{Mime: u.Mime})
	if cause := context.Cause(joining); cause != nil { // somebody else has done it
		err = cause
	} else if err == nil {
		err = h.parts.Store.EndUpload(joining, *u, arrival.Done, "")
	} else if kind := errs.KindOf(err); !kind.Retryable() && kind != errs.Canceled {
		return errors.Join(err, h.end(context.WithoutCancel(ctx), u, endedFailed, "its object can't be stored: "+err.Error()))
	}
	if err != nil {
		return errs.Wrap("uploads", err)
	}
	u.State = arrival.Done
	h.parts.Metrics.over(endedDone)
	ctx = context.WithoutCancel(ctx)
	h.announce(ctx, u.ID)
	if ids, err := h.parts.Store.UploadTasks(ctx, u.ID); err == nil && len(ids) == 0 {
		if err := h.clear(ctx, u); err != nil { // it is tried again when uploads are tended
			h.parts.Log.Warn("pieces of a finished upload not deleted", "upload", u.ID, "err", err)
		}
	}
	return nil
}

// end ends an upload before its object is there, tells its tasks, and deletes
// its pieces.
func (h *Handler) end(ctx context.Context, u *state.Upload, outcome, why string) error {
	if err := h.parts.Store.EndUpload(ctx, *u, arrival.Gone, why); err != nil {
		return err
	}
	h.parts.Metrics.over(outcome)
	h.announce(ctx, u.ID)
	if err := h.clear(ctx, u); err != nil { // it is tried again when uploads are tended
		h.parts.Log.Warn("pieces of an ended upload not deleted", "upload", u.ID, "err", err)
	}
	return nil
}

// keep says again and again that an upload is being put together, until ctx
// ends. If somebody else has done it meanwhile, it is canceled.
func (h *Handler) keep(ctx context.Context, cancel context.CancelCauseFunc, id string) {
	ticker := time.NewTicker(h.cfg.Idle / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := h.parts.Store.TouchUpload(ctx, id); errs.Is(err, errs.Conflict) {
				cancel(err)
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// clear deletes the pieces of an upload that has ended, and what was stored for
// it and never counted.
func (h *Handler) clear(ctx context.Context, u *state.Upload) error {
	store, err := h.parts.Blobs.Get(u.Place.Cloud)
	if err != nil {
		return err
	}
	pieces, err := h.parts.Store.Pieces(ctx, u.ID)
	if err != nil {
		return err
	}
	for _, p := range pieces { // those of an upload made of parts lie with the parts
		if err := store.Delete(ctx, h.parts.Bucket, p.Key); err != nil {
			return err
		}
	}
	if err := h.parts.Store.DropPieces(ctx, u.ID); err != nil {
		return err
	}
	return h.sweep(ctx, store, u.ID)
}

// sweep deletes what lies with an upload and no row names: its process died
// before it counted, or after it did not count any more.
func (h *Handler) sweep(ctx context.Context, store *blob.Store, id string) error {
	for after := ""; ; {
		items, err := store.List(ctx, h.parts.Bucket, id+"/", after, blob.MaxList)
		if err != nil {
			return err
		}
		for _, item := range items {
			after = item.Key
			named, err := h.parts.Store.PieceNamed(ctx, item.Key)
			if err == nil && !named {
				err = store.Delete(ctx, h.parts.Bucket, item.Key)
			}
			if err != nil {
				return err
			}
		}
		if len(items) < blob.MaxList {
			return nil
		}
	}
}

// Duty is that of one gateway at a time: two would only do the same twice.
const Duty = "uploads"

// Run tends uploads until ctx ends; then bodies under way end where they are.
func (h *Handler) Run(ctx context.Context) {
	ticker := time.NewTicker(h.cfg.Tend)
	defer ticker.Stop()
	for {
		_, mine, err := h.parts.Store.Hold(ctx, Duty, h.cfg.Name, max(10*h.cfg.Tend, 10*time.Second))
		if err == nil && mine {
			err = h.Tend(ctx)
		} else {
			h.parts.Metrics.stand(0)
		}
		if err != nil && ctx.Err() == nil {
			h.parts.Log.Warn("uploads not tended", "err", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			h.close()
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = h.parts.Store.Release(last, Duty, h.cfg.Name) // else it runs out
			return
		}
	}
}

// close ends the bodies under way: what has come counts, and their senders go on
// with another gateway.
func (h *Handler) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closing = true
	for _, r := range h.running {
		if r.stop != nil {
			r.stop()
		}
	}
}

// Tend looks once after what expired, what nobody puts together any more, and
// what ended uploads have left.
func (h *Handler) Tend(ctx context.Context) error {
	if open, err := h.parts.Store.CountUploads(ctx, ""); err == nil { // else the next query tells what is wrong
		h.parts.Metrics.stand(open)
	}
	now := h.parts.Store.Now()
	all, err := h.parts.Store.Untended(ctx, now.Add(-h.cfg.Idle), now.Add(-h.cfg.Life), 100)
	if err != nil {
		return err
	}
	for i := range all {
		if err := h.tend(ctx, &all[i], now); err != nil && ctx.Err() == nil && !errs.Is(err, errs.Conflict) {
			h.parts.Log.Warn("upload not tended", "upload", all[i].ID, "err", err)
		}
	}
	return ctx.Err()
}

func (h *Handler) tend(ctx context.Context, u *state.Upload, now time.Time) error {
	switch {
	case u.State == arrival.Whole && u.WholeAt.After(now.Add(-h.cfg.Life)):
		return h.finish(ctx, u)
	case u.State == arrival.Whole:
		return h.end(ctx, u, endedFailed, "its object could not be stored for too long")
	case u.State == arrival.Open || u.State == arrival.Done && u.Concat == "partial" && !u.ExpiresAt.After(now):
		return h.end(ctx, u, endedExpired, "it expired: nothing was added to it in time")
	}
	if err := h.clear(ctx, u); err != nil {
		return err
	}
	if u.TouchedAt.After(now.Add(-h.cfg.Life)) {
		return nil
	}
	return h.parts.Store.ForgetUpload(ctx, u.ID)
}

// show answers GET, which is not the protocol's: what is known of an upload.
func (h *Handler) show(w http.ResponseWriter, r *http.Request, tenant string) error {
	u, err := h.find(r.Context(), r, tenant)
	if err != nil && u.ID == "" {
		return err
	}
	v := api.Upload{
		ID: u.ID, State: u.State, Offset: u.Arrived, Index: u.Why, CreatedAt: u.CreatedAt, WholeAt: u.WholeAt,
		Ref: media.Ref{Cloud: u.Place.Cloud, Bucket: u.Place.Bucket, Key: u.Place.Key},
	}
	if u.Size >= 0 {
		v.Size = &u.Size
	}
	if u.State == arrival.Gone {
		v.Ended, v.Index = u.Why, ""
	}
	if u.State == arrival.Open {
		v.ExpiresAt = u.ExpiresAt
	}
	if kind, _, _ := strings.Cut(u.Concat, ";"); kind != "" {
		v.Concat = kind
	}
	if v.Tasks, err = h.parts.Store.UploadTasks(r.Context(), u.ID); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(v)
}
