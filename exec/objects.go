package exec

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/ports/blob"
)

// cloud is the configured name of the store ref means.
func (e *Executor) cloud(ref media.Ref) string {
	if ref.Cloud == "" {
		return e.cfg.Stores.Default()
	}
	return ref.Cloud
}

// reader opens an object for reading in place until ctx ends, and names the
// version that is read: "" where the store has no name for it.
func (e *Executor) reader(ctx context.Context, ref media.Ref) (*objectReader, string, error) {
	s, err := e.cfg.Stores.Get(ref.Cloud)
	if err != nil {
		return nil, "", err
	}
	r, err := s.Reader(ctx, ref.Bucket, ref.Key)
	if err != nil {
		return nil, "", err
	}
	return &objectReader{r}, e.identity(ref, r.Attr()), nil
}

// identity names the version of an object: "" where the store has no name for it.
func (e *Executor) identity(ref media.Ref, a blob.Attr) string {
	if a.ETag == "" {
		return ""
	}
	return fmt.Sprintf("blob %q %q %q %s %d", e.cloud(ref), ref.Bucket, ref.Key, a.ETag, a.Size)
}

// objectReader reports an object that was replaced as Transient: the next
// attempt reads the new one from its start.
type objectReader struct{ *blob.Reader }

func (r *objectReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	if errs.Is(err, errs.Conflict) {
		err = errs.As(errs.Transient, op, err)
	}
	return n, err
}

// read copies a whole object to w and names the version. One that is longer than
// limit is TooLarge before a byte is read.
func (e *Executor) read(ctx context.Context, ref media.Ref, w io.Writer, limit int64) (identity string, err error) {
	s, err := e.cfg.Stores.Get(ref.Cloud)
	if err != nil {
		return "", err
	}
	body, attr, err := s.Get(ctx, ref.Bucket, ref.Key, 0, -1)
	if err != nil {
		return "", err
	}
	defer body.Close()
	if attr.Size > limit {
		return "", errs.New(errs.Transient, op, "the object changed while it was opened: it has %d bytes now", attr.Size)
	}
	n, err := io.Copy(w, body)
	if err == nil && n != attr.Size {
		err = errs.New(errs.Transient, op, "the object broke off at byte %d of %d", n, attr.Size)
	}
	var own *errs.Error
	if err != nil && !errors.As(err, &own) {
		err = errs.As(errs.Transient, op, err)
	}
	return e.identity(ref, attr), err
}

// put stores a file and returns its attributes, SHA-256 always included.
func (e *Executor) put(ctx context.Context, ref media.Ref, f *os.File, size int64, mime string) (blob.Attr, error) {
	s, err := e.cfg.Stores.Get(ref.Cloud)
	if err != nil {
		return blob.Attr{}, err
	}
	sum := &summing{f: f, sum: sha256.New()}
	attr, err := s.Put(ctx, ref.Bucket, ref.Key, sum, blob.PutOptions{Size: size, Mime: mime})
	if err != nil {
		return attr, err
	}
	attr.SHA256 = sum.hex()
	return attr, nil
}

// kindOf is the kind a MIME type stands for, "" where it stands for several.
func kindOf(mime string) media.Kind {
	switch top, _, _ := strings.Cut(mime, "/"); top {
	case "image", "video", "audio", "text":
		return media.Kind(top)
	}
	if mime == "application/json" {
		return media.Text
	}
	return ""
}

func baseName(key string) string { return path.Base(key) }
