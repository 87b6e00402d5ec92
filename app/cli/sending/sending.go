package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"path/filepath"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/app/cli/progress"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// inputs is the bucket files of this machine go to.
const inputs = "inputs"

// modified is metadata of an upload: when its file was last changed. Another file
// must not go on where one was broken off.
const modified = "modified"

// sending is a file of this machine on its way to a server.
type sending struct {
	path  string
	file  *os.File
	info  os.FileInfo
	id    string
	fresh bool // the upload was begun here
}

// openFile opens a file that is to be sent.
func openFile(path string) (*sending, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, errs.As(errs.Invalid, "", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errs.New(errs.Invalid, "", "%s is no plain file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, errs.As(errs.Invalid, "", err)
	}
	return &sending{path: path, file: f, info: info}, nil
}

func (s *sending) changed() string { return s.info.ModTime().UTC().Format(time.RFC3339Nano) }

// begin begins an upload to a place.
func (s *sending) begin(ctx context.Context, c *client.Client, place media.Ref, kind string) (err error) {
	if kind == "" {
		kind = mime.TypeByExtension(filepath.Ext(s.path))
	}
	s.id, err = c.CreateUpload(ctx, client.File{
		Ref: place, Name: filepath.Base(s.path), Mime: kind, Size: s.info.Size(), Meta: map[string]string{modified: s.changed()},
	})
	s.fresh = err == nil
	return err
}

// resume goes on with an upload, which must be one of this very file.
func (s *sending) resume(ctx context.Context, c *client.Client, id string) error {
	head, err := c.UploadHead(ctx, id)
	if err != nil {
		return err
	}
	if changed := head.Meta[modified]; head.Size != s.info.Size() || changed != "" && changed != s.changed() {
		return errs.New(errs.Conflict, "", "upload %s is of another file, or %s was changed since it began", id, s.path)
	}
	s.id = id
	return nil
}

// send sends what the server lacks. Where that may be gone on with later, the
// reader is told how.
func (s *sending) send(ctx context.Context, c *client.Client, view progress.View, hints io.Writer) (*api.Upload, error) {
	row := progress.ShowUpload(view, filepath.Base(s.path), s.info.Size())
	u, err := c.SendUpload(ctx, s.id, s.file, s.info.Size(), client.Sending{Told: row.Sent})
	row.End(err)
	if errors.Is(err, context.Canceled) || errs.KindOf(err).Retryable() {
		fmt.Fprintf(hints, "mediafn: what has come stays for a while: mediafn upload %s --resume %s goes on\n", s.path, s.id)
	}
	return u, err
}

// sendings are the files of one submission.
type sendings struct {
	c   *client.Client
	all []*sending
}

// begin has a file sent later, and returns what names it in a request: earlier,
// if the upload of that id is one of this file, else a new one. An earlier one
// that is over needs nothing to be sent; the server knows what became of it.
func (f *sendings) begin(ctx context.Context, path string, place media.Ref, earlier string) (media.Ref, error) {
	s, err := openFile(path)
	if err != nil {
		return media.Ref{}, err
	}
	f.all = append(f.all, s)
	if earlier != "" {
		switch err := s.resume(ctx, f.c, earlier); {
		case err == nil:
			return media.Ref{Upload: s.id}, nil
		case errs.Is(err, errs.NotFound):
			f.all = f.all[:len(f.all)-1]
			return media.Ref{Upload: earlier}, s.file.Close()
		case !errs.Is(err, errs.Conflict):
			return media.Ref{}, err
		}
	}
	err = s.begin(ctx, f.c, place, "")
	return media.Ref{Upload: s.id}, err
}

// quietly shows progress to a person only.
func quietly(w io.Writer) progress.View { return progress.New(w, !progress.Terminal(w)) }

// send sends the files, the first input first. One that can't be sent at all ends
// its upload, and so the task that waits for it.
func (f *sendings) send(ctx context.Context, view progress.View, hints io.Writer) error {
	for i, s := range f.all {
		_, err := s.send(ctx, f.c, view, hints)
		if err == nil {
			continue
		}
		if !errors.Is(err, context.Canceled) && !errs.KindOf(err).Retryable() {
			f.end(ctx, f.all[i:])
		}
		return fmt.Errorf("upload of %s: %w", s.path, err)
	}
	return nil
}

// undo ends the uploads that were begun for a submission that failed.
func (f *sendings) undo(ctx context.Context) { f.end(ctx, f.all) }

func (f *sendings) end(ctx context.Context, some []*sending) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, s := range some {
		if s.fresh {
			_ = f.c.EndUpload(ctx, s.id) // else it expires
		}
	}
}

func (f *sendings) close() {
	for _, s := range f.all {
		_ = s.file.Close()
	}
}
