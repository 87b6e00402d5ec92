package tus

import (
	"context"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/state"
)

// create answers POST: a new upload, perhaps with its first bytes, or one that
// is made of parts.
func (h *Handler) create(w http.ResponseWriter, r *http.Request, tenant string) error {
	kind, names, err := concat(r.Header)
	if err != nil {
		return err
	}
	u, err := h.described(r, tenant, kind)
	if err != nil {
		return err
	}
	if kind == "final" {
		return h.assemble(w, r, &u, names)
	}
	if u.Size, err = length(r.Header); err != nil {
		return err
	}
	if u.Size > h.cfg.Most {
		return errs.New(errs.TooLarge, "uploads", "an upload may have at most %d bytes", h.cfg.Most)
	}
	if n, err := h.parts.Store.CountUploads(r.Context(), tenant); err != nil || n >= h.cfg.Open {
		if err == nil {
			err = errs.New(errs.Busy, "uploads", "%d uploads are not whole yet; end some", n)
		}
		return err
	}
	carries := r.Header.Get("Content-Type") == bodyType
	if !carries && r.ContentLength > 0 {
		return wrong(http.StatusUnsupportedMediaType, "Content-Type", "must be %s", bodyType)
	}
	if err := h.parts.Store.CreateUpload(r.Context(), u); err != nil {
		return err
	}
	h.parts.Metrics.begun()
	w.Header().Set("Location", "/v1/uploads/"+u.ID)
	if carries || u.Size == 0 {
		if err := h.body(w, r, &u, "POST"); err != nil {
			return err
		}
	}
	told(w.Header(), &u)
	w.WriteHeader(http.StatusCreated)
	return nil
}

// described is a new upload as its metadata says.
func (h *Handler) described(r *http.Request, tenant, kind string) (state.Upload, error) {
	const field = "Upload-Metadata"
	now := h.parts.Store.Now()
	u := state.Upload{
		ID: task.NewID(), Tenant: tenant, Meta: r.Header.Get(field), State: arrival.Open, Concat: kind,
		CreatedAt: now, ExpiresAt: now.Add(h.cfg.Life), TouchedAt: now,
	}
	meta, err := metadata(u.Meta)
	if err != nil {
		return u, err
	}
	u.Place = media.Ref{Cloud: meta["cloud"], Bucket: meta["bucket"], Key: meta["key"]}
	if u.Place.Cloud == "" {
		u.Place.Cloud = h.parts.Blobs.Default()
	}
	if _, err := h.parts.Blobs.Get(u.Place.Cloud); err != nil {
		return u, errs.InField(field+".cloud", "no store is named %q", u.Place.Cloud)
	}
	if kind == "partial" { // it never becomes an object
		u.Place.Bucket, u.Place.Key = "", ""
		return u, nil
	}
	if u.Mime = meta["filetype"]; u.Mime == "" {
		u.Mime = "application/octet-stream"
	}
	if len(u.Mime) > 255 || strings.ContainsFunc(u.Mime, func(r rune) bool { return r < ' ' || r > '~' }) {
		return u, errs.InField(field+".filetype", "must be at most 255 characters of printable ASCII")
	}
	if u.Place.Bucket == "" {
		u.Place.Bucket = h.cfg.Into
	}
	if u.Place.Key == "" {
		u.Place.Key = u.ID
		if name := path.Base(strings.ReplaceAll(meta["filename"], `\`, "/")); meta["filename"] != "" && blob.CheckKey("", name) == nil {
			u.Place.Key += "/" + name
		}
	}
	if err := blob.CheckBucket(field+".bucket", u.Place.Bucket); err != nil {
		return u, err
	}
	if err := blob.CheckKey(field+".key", u.Place.Key); err != nil {
		return u, err
	}
	return u, h.parts.May(tenant, field+".bucket", u.Place)
}

// assemble makes one upload of parts that are whole.
func (h *Handler) assemble(w http.ResponseWriter, r *http.Request, u *state.Upload, names []string) error {
	const field = "Upload-Concat"
	if r.Header.Get("Upload-Length") != "" || r.ContentLength > 0 {
		return errs.InField(field, "what is made of parts has neither a length nor a body of its own")
	}
	ctx := context.WithoutCancel(r.Context())
	found, err := h.parts.Store.Uploads(ctx, names...)
	if err != nil {
		return err
	}
	var parts []state.Upload
	for _, name := range names {
		i := slices.IndexFunc(found, func(p state.Upload) bool { return p.ID == name && p.Tenant == u.Tenant && p.Concat == "partial" })
		switch {
		case i < 0 || found[i].State == arrival.Gone:
			return errs.InField(field, "%q is no partial upload", name)
		case found[i].State != arrival.Done:
			return errs.InField(field, "upload %s is not whole: %d of %d bytes are there", name, found[i].Arrived, found[i].Size)
		case found[i].Place.Cloud != u.Place.Cloud:
			return errs.InField(field, "upload %s lies in store %q, the object goes to %q", name, found[i].Place.Cloud, u.Place.Cloud)
		case slices.ContainsFunc(parts, func(p state.Upload) bool { return p.ID == name }):
			return errs.InField(field, "names upload %s twice", name)
		}
		parts = append(parts, found[i])
		u.Size += found[i].Size
	}
	if u.Size > h.cfg.Most {
		return errs.New(errs.TooLarge, "uploads", "an upload may have at most %d bytes", h.cfg.Most)
	}
	u.Concat = r.Header.Get(field)
	u.Arrived, u.State, u.WholeAt, u.Index, u.Why = u.Size, arrival.Whole, u.CreatedAt, -1, "it was made of parts that were whole"
	if err := h.parts.Store.CreateUpload(ctx, *u, parts...); err != nil {
		return err
	}
	h.parts.Metrics.begun()
	w.Header().Set("Location", "/v1/uploads/"+u.ID)
	if err := h.finish(ctx, u); err != nil {
		return err
	}
	told(w.Header(), u)
	w.WriteHeader(http.StatusCreated)
	return nil
}
