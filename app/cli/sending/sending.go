// Package sending uploads the files a command line names.
package sending

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

// Bucket is where files of this machine go.
const Bucket = "inputs"

// modified is metadata of an upload: when its file was last changed. Another file
// must not go on where one was broken off.
const modified = "modified"

// File is one of this machine on its way to a server.
type File struct {
	ID string // of its upload, once that has begun

	path  string
	file  *os.File
	info  os.FileInfo
	fresh bool // the upload was begun here
}

// Open opens a file that is to be sent. The caller closes it.
func Open(path string) (*File, error) {
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
	return &File{path: path, file: f, info: info}, nil
}

// Close lets the file go.
func (s *File) Close() error { return s.file.Close() }

func (s *File) changed() string { return s.info.ModTime().UTC().Format(time.RFC3339Nano) }

// Begin begins an upload to a place.
func (s *File) Begin(ctx context.Context, c *client.Client, place media.Ref, kind string) (err error) {
	if kind == "" {
		kind = mime.TypeByExtension(filepath.Ext(s.path))
	}
	s.ID, err = c.CreateUpload(ctx, client.File{
		Ref: place, Name: filepath.Base(s.path), Mime: kind, Size: s.info.Size(), Meta: map[string]string{modified: s.changed()},
	})
	s.fresh = err == nil
	return err
}

// Resume goes on with an upload, which must be one of this very file.
func (s *File) Resume(ctx context.Context, c *client.Client, id string) error {
	head, err := c.UploadHead(ctx, id)
	if err != nil {
		return err
	}
	if changed := head.Meta[modified]; head.Size != s.info.Size() || changed != "" && changed != s.changed() {
		return errs.New(errs.Conflict, "", "upload %s is of another file, or %s was changed since it began", id, s.path)
	}
	s.ID = id
	return nil
}

// Send sends what the server lacks. Where that may be gone on with later, the
// reader is told how.
func (s *File) Send(ctx context.Context, c *client.Client, view progress.View, hints io.Writer) (*api.Upload, error) {
	row := progress.ShowUpload(view, filepath.Base(s.path), s.info.Size())
	u, err := c.SendUpload(ctx, s.ID, s.file, s.info.Size(), client.Sending{Told: row.Sent})
	row.End(err)
	if goesOn(err) {
		fmt.Fprintf(hints, "mediafn: what has come stays for a while: mediafn upload %s --resume %s goes on\n", s.path, s.ID)
	}
	return u, err
}

// goesOn tells whether an upload that failed is worth going on with later.
func goesOn(err error) bool {
	return err != nil && (errors.Is(err, context.Canceled) || errs.KindOf(err).Retryable())
}

// Files are those of one request.
type Files struct {
	Client *client.Client
	all    []*File
}

// Empty reports whether there is nothing to send.
func (f *Files) Empty() bool { return len(f.all) == 0 }

// Begin has a file sent later, and returns what names it in a request: earlier,
// if the upload of that id is one of this file, else a new one. An earlier one
// that is over needs nothing to be sent; the server knows what became of it.
func (f *Files) Begin(ctx context.Context, path string, place media.Ref, earlier string) (media.Ref, error) {
	s, err := Open(path)
	if err != nil {
		return media.Ref{}, err
	}
	f.all = append(f.all, s)
	if earlier != "" {
		switch err := s.Resume(ctx, f.Client, earlier); {
		case err == nil:
			return media.Ref{Upload: s.ID}, nil
		case errs.Is(err, errs.NotFound):
			f.all = f.all[:len(f.all)-1]
			return media.Ref{Upload: earlier}, s.file.Close()
		case !errs.Is(err, errs.Conflict):
			return media.Ref{}, err
		}
	}
	err = s.Begin(ctx, f.Client, place, "")
	return media.Ref{Upload: s.ID}, err
}

// Send sends the files, the first input first. One that can't be sent at all ends
// its upload, and so the task that waits for it.
func (f *Files) Send(ctx context.Context, view progress.View, hints io.Writer) error {
	for i, s := range f.all {
		_, err := s.Send(ctx, f.Client, view, hints)
		if err == nil {
			continue
		}
		if !goesOn(err) {
			f.end(ctx, f.all[i:])
		}
		return fmt.Errorf("upload of %s: %w", s.path, err)
	}
	return nil
}

// Undo ends the uploads that were begun for a request that was refused. Of one
// that may have been taken all the same, the task needs them.
func (f *Files) Undo(ctx context.Context, err error) {
	if !goesOn(err) {
		f.end(ctx, f.all)
	}
}

func (f *Files) end(ctx context.Context, some []*File) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, s := range some {
		if s.fresh {
			_ = f.Client.EndUpload(ctx, s.ID) // else it expires
		}
	}
}

// Close lets the files go.
func (f *Files) Close() {
	for _, s := range f.all {
		_ = s.file.Close()
	}
}

// Quietly shows progress to a person only.
func Quietly(w io.Writer) progress.View { return progress.New(w, !progress.Terminal(w)) }
