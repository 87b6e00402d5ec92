// Package tus takes resumable uploads, as tus 1.0.0 has it. A file arrives in
// pieces; each is an object of its own and a row, so that any gateway takes the
// next one, nothing that has come is lost with a connection or a process, and
// tasks may begin on what is there. The last piece turns them into one object.
package tus

import (
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
)

// Config sets limits.
type Config struct {
	Name   string        // of this gateway
	Into   string        // bucket of objects whose upload names none
	Most   int64         // bytes of one upload
	Piece  int64         // bytes of one piece
	Life   time.Duration // an upload that nothing was added to for so long expires; what is known of an ended one is kept as long
	Stall  time.Duration // a sender may pause so long
	Idle   time.Duration // an upload that nobody is putting together for so long is taken over
	Tend   time.Duration // between two looks at what expired and was left behind
	Bodies int           // bodies taken at once; more are Busy
	Open   int           // uploads of one tenant that are not whole; more are Busy
}

// Default fits one machine.
func Default(name string) Config {
	return Config{
		Name: name, Into: "inputs", Most: 64 << 30, Piece: 8 << 20, Life: 24 * time.Hour, Stall: time.Minute, Idle: 30 * time.Second,
		Tend: 5 * time.Second, Bodies: 256, Open: 1000,
	}
}

// Parts are what it works with.
type Parts struct {
	Store  *state.Store
	Queue  *queue.Queue
	Blobs  *blob.Stores
	Bucket string // where pieces lie
	// May says whether a tenant may write to a place; field is what to blame.
	May     func(tenant, field string, ref media.Ref) error
	Log     *slog.Logger
	Reached func(point string)
	Metrics *Metrics // nil counts nothing
}

// Handler serves uploads. Create it with New; Run tends what is left behind.
type Handler struct {
	cfg    Config
	parts  Parts
	bodies chan struct{}

	mu      sync.Mutex
	running map[string]*run // by upload
	closing bool
}

// New returns a handler.
func New(cfg Config, parts Parts) *Handler {
	return &Handler{cfg: cfg, parts: parts, bodies: make(chan struct{}, max(cfg.Bodies, 1)), running: map[string]*run{}}
}

// Route is a handler of the gateway.
type Route = func(w http.ResponseWriter, r *http.Request, tenant string) error

// Routes are what the gateway serves for it.
func (h *Handler) Routes() map[string]Route {
	return map[string]Route{
		"OPTIONS /v1/uploads":      h.options,
		"OPTIONS /v1/uploads/{id}": h.options,
		"POST /v1/uploads":         h.spoken(h.create),
		"POST /v1/uploads/{id}":    h.override,
		"HEAD /v1/uploads/{id}":    h.spoken(h.head),
		"PATCH /v1/uploads/{id}":   h.spoken(h.patch),
		"DELETE /v1/uploads/{id}":  h.spoken(h.terminate),
		"GET /v1/uploads/{id}":     h.show,
	}
}

// spoken answers in the protocol's version and refuses others.
func (h *Handler) spoken(next Route) Route {
	return func(w http.ResponseWriter, r *http.Request, tenant string) error {
		w.Header().Set("Tus-Resumable", version)
		if r.Header.Get("Tus-Resumable") != version {
			w.Header().Set("Tus-Version", version)
			return wrong(http.StatusPreconditionFailed, "Tus-Resumable", "must be %s", version)
		}
		return next(w, r, tenant)
	}
}

// override serves clients that can send nothing but POST.
func (h *Handler) override(w http.ResponseWriter, r *http.Request, tenant string) error {
	switch r.Header.Get("X-HTTP-Method-Override") {
	case http.MethodPatch:
		return h.spoken(h.patch)(w, r, tenant)
	case http.MethodDelete:
		return h.spoken(h.terminate)(w, r, tenant)
	case http.MethodHead:
		return h.spoken(h.head)(w, r, tenant)
	}
	return wrong(http.StatusMethodNotAllowed, "X-HTTP-Method-Override", "must be PATCH, HEAD or DELETE")
}

func (h *Handler) options(w http.ResponseWriter, _ *http.Request, _ string) error {
	head := w.Header()
	head.Set("Tus-Resumable", version)
	head.Set("Tus-Version", version)
	head.Set("Tus-Extension", extensions)
	head.Set("Tus-Checksum-Algorithm", algorithms)
	head.Set("Tus-Max-Size", strconv.FormatInt(h.cfg.Most, 10))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// find reads a tenant's upload. One that is gone is 410.
func (h *Handler) find(ctx context.Context, r *http.Request, tenant string) (state.Upload, error) {
	all, err := h.parts.Store.Uploads(ctx, r.PathValue("id"))
	switch {
	case err != nil:
		return state.Upload{}, err
	case len(all) == 0 || all[0].Tenant != tenant:
		return state.Upload{}, errs.New(errs.NotFound, "uploads", "there is no such upload")
	case all[0].State == arrival.Gone:
		return all[0], &Status{http.StatusGone, errs.New(errs.NotFound, "uploads", "the upload is over: %s", all[0].Why)}
	}
	return all[0], nil
}

func (h *Handler) head(w http.ResponseWriter, r *http.Request, tenant string) error {
	// Who asks how far an upload is goes on with it: a body that still hangs in a
	// broken connection ends now, and counts as far as it came.
	release, err := h.take(r.Context(), r.PathValue("id"), nil)
	if err != nil {
		return err
	}
	defer release()
	u, err := h.find(r.Context(), r, tenant)
	if err != nil {
		return err
	}
	told(w.Header(), &u)
	head := w.Header()
	head.Set("Cache-Control", "no-store")
	if u.Size >= 0 {
		head.Set("Upload-Length", strconv.FormatInt(u.Size, 10))
	} else {
		head.Set("Upload-Defer-Length", "1")
	}
	if u.Meta != "" {
		head.Set("Upload-Metadata", u.Meta)
	}
	if u.Concat != "" {
		head.Set("Upload-Concat", u.Concat)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// told sets what every answer about an upload says.
func told(head http.Header, u *state.Upload) {
	head.Set("Upload-Offset", strconv.FormatInt(u.Arrived, 10))
	if u.State == arrival.Open {
		head.Set("Upload-Expires", u.ExpiresAt.UTC().Format(http.TimeFormat))
	}
}

func (h *Handler) terminate(w http.ResponseWriter, r *http.Request, tenant string) error {
	release, err := h.take(r.Context(), r.PathValue("id"), nil)
	if err != nil {
		return err
	}
	defer release()
	u, err := h.find(r.Context(), r, tenant)
	switch {
	case err != nil:
		return err
	case u.State == arrival.Whole:
		return errs.New(errs.Conflict, "uploads", "every byte has come, and the object is being put together")
	case u.State == arrival.Done && u.Concat != "partial":
		return errs.New(errs.Conflict, "uploads", "it is done: delete the object %s/%s", u.Place.Bucket, u.Place.Key)
	}
	why := "the caller ended it after " + strconv.FormatInt(u.Arrived, 10) + " bytes"
	if err := h.end(context.WithoutCancel(r.Context()), &u, endedCaller, why); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// announce has the tasks that name an upload decided on again. A message may get
// lost: the reaper looks at live tasks by itself.
func (h *Handler) announce(ctx context.Context, id string) {
	ids, err := h.parts.Store.UploadTasks(ctx, id)
	if err != nil {
		h.parts.Log.Warn("tasks of an upload not read", "upload", id, "err", err)
	}
	for _, t := range ids {
		if err := h.parts.Queue.Publish(ctx, job.TaskSubject(t), []byte(t)); err != nil {
			h.parts.Log.Warn("task not told of its upload; the reaper will find it", task.Ids(t, ""), "err", err)
		}
	}
}
