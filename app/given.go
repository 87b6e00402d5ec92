package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

const givenBucket = "files"

// givenFiles is a store of files that lie elsewhere on this machine, each under
// a key of its own. It implements driver.Store and driver.Opener, for reading
// only.
type givenFiles struct {
	mu    sync.Mutex
	paths map[string]string // by key
}

func newGivenFiles() *givenFiles { return &givenFiles{paths: map[string]string{}} }

// add gives a file a key, which ends in the file's name as far as it fits.
func (g *givenFiles) add(path string) (string, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return "", errs.As(errs.Internal, "input", err)
	}
	if _, err := regular(full); err != nil {
		return "", err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	key := strconv.Itoa(len(g.paths)) + "/" + plainName(filepath.Base(full))
	g.paths[key] = full
	return key, nil
}

// plainName keeps what may stand in a key.
func plainName(name string) string {
	name = strings.ToValidUTF8(name, "_")
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '_'
		}
		return r
	}, name)
	if len(name) > 255 {
		name = "file" + filepath.Ext(name)
	}
	return name
}

// regular describes a plain file.
func regular(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fileError(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, errs.New(errs.Invalid, "input", "%s is no plain file", path)
	}
	return info, nil
}

func fileError(path string, err error) error {
	kind := errs.Internal
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind = errs.NotFound
	case errors.Is(err, fs.ErrPermission):
		kind = errs.Denied
	}
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return errs.New(kind, "input", "%s: %w", path, err)
}

func (g *givenFiles) open(bucket, key string) (*os.File, driver.Attr, error) {
	g.mu.Lock()
	path, ok := g.paths[key]
	g.mu.Unlock()
	if !ok || bucket != givenBucket {
		return nil, driver.Attr{}, errs.New(errs.NotFound, "input", "no file was given as %s/%s", bucket, key)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, driver.Attr{}, fileError(path, err)
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, driver.Attr{}, fileError(path, err)
	}
	return f, driver.Attr{
		Size: info.Size(), Mime: "application/octet-stream", ModTime: info.ModTime(),
		ETag: fmt.Sprintf("%x-%x", info.Size(), info.ModTime().UnixNano()),
	}, nil
}

// Get implements driver.Store.
func (g *givenFiles) Get(ctx context.Context, bucket, key string, offset, length int64) (io.ReadCloser, driver.Attr, error) {
	f, a, err := g.open(bucket, key)
	if err != nil {
		return nil, a, err
	}
	if offset > a.Size {
		_ = f.Close()
		return nil, a, errs.InField("offset", "%d is beyond the end of %d bytes", offset, a.Size)
	}
	if length < 0 || length > a.Size-offset {
		length = a.Size - offset
	}
	return &givenReader{ctx, io.NewSectionReader(f, offset, length), f}, a, nil
}

type givenReader struct {
	ctx context.Context
	r   io.Reader
	io.Closer
}

func (r *givenReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, errs.Wrap("input", err)
	}
	return r.r.Read(p)
}

// Open implements driver.Opener.
func (g *givenFiles) Open(_ context.Context, bucket, key string) (driver.ReaderAtCloser, driver.Attr, error) {
	f, a, err := g.open(bucket, key)
	if err != nil {
		return nil, a, err
	}
	return f, a, nil
}

// Stat implements driver.Store.
func (g *givenFiles) Stat(_ context.Context, bucket, key string) (driver.Attr, error) {
	f, a, err := g.open(bucket, key)
	if err != nil {
		return a, err
	}
	return a, f.Close()
}

var errGivenReadOnly = errs.New(errs.Denied, "input", "given files are only read")

// Put implements driver.Store.
func (g *givenFiles) Put(context.Context, string, string, io.Reader, driver.PutOptions) (driver.Attr, error) {
	return driver.Attr{}, errGivenReadOnly
}

// Delete implements driver.Store.
func (g *givenFiles) Delete(context.Context, string, string) error { return errGivenReadOnly }

// List implements driver.Store. Nothing is listed: only what was named is read.
func (g *givenFiles) List(context.Context, string, string, string, int) ([]driver.Item, error) {
	return nil, nil
}

// Close implements driver.Store.
func (g *givenFiles) Close() error { return nil }
