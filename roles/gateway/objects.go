package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/ports/blob"
)

// object finds the store and name an object request means, and checks that the
// tenant may use it. Results belong to the tenant of the task that made them.
func (g *Gateway) object(r *http.Request, tenant string) (*blob.Store, media.Ref, error) {
	ref := media.Ref{Cloud: r.URL.Query().Get("cloud"), Bucket: r.PathValue("bucket"), Key: r.PathValue("key")}
	if ref.Cloud == "" {
		ref.Cloud = g.parts.Blobs.Default()
	}
	if err := blob.CheckBucket("bucket", ref.Bucket); err != nil {
		return nil, ref, err
	}
	if err := blob.CheckKey("key", ref.Key); err != nil {
		return nil, ref, err
	}
	store, err := g.parts.Blobs.Get(ref.Cloud)
	if err != nil {
		return nil, ref, errs.InField("cloud", "no store is named %q", ref.Cloud)
	}
	if ref.Bucket == g.parts.Place.Results && r.Method != http.MethodPut && r.Method != http.MethodDelete {
		if !g.owns(r.Context(), tenant, ref.Key) {
			return nil, ref, errs.New(errs.NotFound, "objects", "there is no such object")
		}
		return store, ref, nil
	}
	return store, ref, g.mayUse(tenant, "bucket", ref)
}

// owns reports whether a result, by its key, came from a task of the tenant.
func (g *Gateway) owns(ctx context.Context, tenant, key string) bool {
	id, _, _ := strings.Cut(key, "/")
	t, err := g.parts.Store.Task(ctx, id)
	return err == nil && t.Tenant == tenant
}

func (g *Gateway) putObject(w http.ResponseWriter, r *http.Request, tenant string) error {
	store, ref, err := g.object(r, tenant)
	if err != nil {
		return err
	}
	if r.ContentLength > g.cfg.MaxObject {
		return errs.New(errs.TooLarge, "objects", "an object may have at most %d bytes", g.cfg.MaxObject)
	}
	mime := r.Header.Get("Content-Type")
	if mime == "" || mime == "application/x-www-form-urlencoded" { // what curl says when it does not know
		mime = "application/octet-stream"
	}
	attr, err := store.Put(r.Context(), ref.Bucket, ref.Key, http.MaxBytesReader(w, r.Body, g.cfg.MaxObject), blob.PutOptions{
		Size: r.ContentLength, Mime: mime,
	})
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return errs.New(errs.TooLarge, "objects", "an object may have at most %d bytes", g.cfg.MaxObject)
		}
		return err
	}
	w.Header().Set("ETag", quote(attr.ETag))
	writeJSON(w, http.StatusCreated, media.Object{Ref: ref, Size: attr.Size, Mime: attr.Mime, SHA256: attr.SHA256})
	return nil
}

// getObject serves an object with ranges and conditions (RFC 9110).
func (g *Gateway) getObject(w http.ResponseWriter, r *http.Request, tenant string) error {
	store, ref, err := g.object(r, tenant)
	if err != nil {
		return err
	}
	reader, err := store.Reader(r.Context(), ref.Bucket, ref.Key)
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }()
	attr := reader.Attr()
	h := w.Header()
	h.Set("Content-Type", attr.Mime)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox") // what users upload must not act as our page
	h.Set("ETag", quote(attr.ETag))
	http.ServeContent(w, r, "", attr.ModTime.Truncate(time.Second), io.NewSectionReader(reader, 0, reader.Size()))
	return nil
}

func (g *Gateway) deleteObject(w http.ResponseWriter, r *http.Request, tenant string) error {
	store, ref, err := g.object(r, tenant)
	if err != nil {
		return err
	}
	if err := store.Delete(r.Context(), ref.Bucket, ref.Key); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func quote(etag string) string { return `"` + strings.Trim(etag, `"`) + `"` }
