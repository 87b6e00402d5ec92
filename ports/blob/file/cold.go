package file

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// cold.go: a store of two folders. New objects lie in the first; Cool moves them to
// the second, which is on a slower or larger disk. Each is a store of its own and
// can be read as one.

// Tiered implements driver.Store, driver.Copier, driver.Opener and driver.Cooler.
// Where an object is in both folders, after a crash or while it is moved, the
// first one counts.
type Tiered struct {
	warm, cold *Store
}

// OpenTiered opens (and creates) a store under dir whose colder class is the
// folder cold. Invalid: one of them cannot be used, or lies in the other.
func OpenTiered(dir, cold string, cfg blob.Config) (*blob.Store, error) {
	t, err := NewTiered(dir, cold)
	if err != nil {
		return nil, err
	}
	return blob.New(t, cfg)
}

// NewTiered returns the driver of OpenTiered.
func NewTiered(dir, cold string) (*Tiered, error) {
	a, err1 := filepath.Abs(dir)
	b, err2 := filepath.Abs(cold)
	if err := errors.Join(err1, err2); err != nil {
		return nil, errs.As(errs.Invalid, "file.open", err)
	}
	a, b = a+string(filepath.Separator), b+string(filepath.Separator)
	if strings.HasPrefix(a, b) || strings.HasPrefix(b, a) {
		return nil, errs.New(errs.Invalid, "file.open", "the colder folder %s and %s lie in each other", cold, dir)
	}
	warm, err := New(dir)
	if err != nil {
		return nil, err
	}
	second, err := New(cold)
	if err != nil {
		return nil, errors.Join(err, warm.Close())
	}
	t := &Tiered{warm: warm, cold: second}
	warm.over = t
	return t, nil
}

// Close implements driver.Store.
func (t *Tiered) Close() error { return errors.Join(t.warm.Close(), t.cold.Close()) }

// either tries the first folder, then the second. What is in neither may have
// been put anew or moved in between: that it happens ten times is not to be feared.
func (t *Tiered) either(try func(*Store) error) (err error) {
	for range 10 {
		for _, s := range []*Store{t.warm, t.cold} {
			if err = try(s); !errs.Is(err, errs.NotFound) {
				return err
			}
		}
	}
	return err
}

// changing lets objects be put and deleted, by any process, while none is taken
// out of the first folder by Cool.
func (t *Tiered) changing() (unlock func(), err error) { return t.lock("change", syscall.LOCK_SH) }

func (t *Tiered) lock(name string, how int) (unlock func(), err error) {
	f, err := t.cold.root.OpenFile(private+"/"+name+".lock", os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(f.Fd()), how)
		switch {
		case err == nil:
			return func() { f.Close() }, nil
		case errors.Is(err, syscall.EINTR):
		default:
			f.Close()
			return nil, err
		}
	}
}

// Get implements driver.Store.
func (t *Tiered) Get(ctx context.Context, bucket, key string, offset, length int64) (r io.ReadCloser, a driver.Attr, err error) {
	err = t.either(func(s *Store) (err error) { r, a, err = s.Get(ctx, bucket, key, offset, length); return err })
	return r, a, err
}

// Open implements driver.Opener.
func (t *Tiered) Open(ctx context.Context, bucket, key string) (r driver.ReaderAtCloser, a driver.Attr, err error) {
	err = t.either(func(s *Store) (err error) { r, a, err = s.Open(ctx, bucket, key); return err })
	return r, a, err
}

// Stat implements driver.Store.
func (t *Tiered) Stat(ctx context.Context, bucket, key string) (a driver.Attr, err error) {
	err = t.either(func(s *Store) (err error) { a, err = s.Stat(ctx, bucket, key); return err })
	return a, err
}

// Put implements driver.Store.
func (t *Tiered) Put(ctx context.Context, bucket, key string, r io.Reader, o driver.PutOptions) (driver.Attr, error) {
	if err := t.blocked(ctx, bucket, key); err != nil {
		return driver.Attr{}, err
	}
	return t.warm.Put(ctx, bucket, key, r, o)
}

// blocked refuses what one folder alone could not hold: "a" beside "a/b".
func (t *Tiered) blocked(ctx context.Context, bucket, key string) error {
	name := bucket + "/" + key
	if info, err := t.cold.root.Lstat(name); err == nil && info.IsDir() {
		return errs.New(errs.Conflict, "file.put", "%s is a directory: other objects are below it", name)
	}
	for i := len(bucket) + 1; i < len(name); i++ {
		if name[i] != '/' {
			continue
		}
		if info, err := t.cold.root.Lstat(name[:i]); err == nil && !info.IsDir() {
			return errs.New(errs.Conflict, "file.put", "a part of the path of %s is an object", name)
		}
	}
	return ctx.Err()
}

// Delete implements driver.Store: first where readers look last.
func (t *Tiered) Delete(ctx context.Context, bucket, key string) error {
	unlock, err := t.changing()
	if err != nil {
		return classify("file.delete", bucket+"/"+key, err)
	}
	defer unlock()
	if err := t.cold.Delete(ctx, bucket, key); err != nil {
		return err
	}
	return t.warm.Delete(ctx, bucket, key)
}

// Copy implements driver.Copier; what is cold is copied byte for byte.
func (t *Tiered) Copy(ctx context.Context, srcBucket, srcKey, dstBucket, dstKey string) (driver.Attr, error) {
	if err := t.blocked(ctx, dstBucket, dstKey); err != nil {
		return driver.Attr{}, err
	}
	a, err := t.warm.Copy(ctx, srcBucket, srcKey, dstBucket, dstKey)
	if !errs.Is(err, errs.NotFound) {
		return a, err
	}
	r, from, err := t.Get(ctx, srcBucket, srcKey, 0, -1)
	if err != nil {
		return a, err
	}
	defer r.Close()
	return t.warm.Put(ctx, dstBucket, dstKey, r, driver.PutOptions{Size: from.Size, Mime: from.Mime, SHA256: from.SHA256,
		Sum: func() string { return from.SHA256 }})
}

// List implements driver.Store.
func (t *Tiered) List(ctx context.Context, bucket, prefix, after string, limit int) ([]driver.Item, error) {
	items, err1 := t.warm.List(ctx, bucket, prefix, after, limit)
	cold, err2 := t.cold.List(ctx, bucket, prefix, after, limit)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	for i := range cold {
		cold[i].Cold = true
	}
	items = append(items, cold...)
	slices.SortStableFunc(items, func(a, b driver.Item) int { return cmp.Compare(a.Key, b.Key) })
	items = slices.CompactFunc(items, func(a, b driver.Item) bool { return a.Key == b.Key }) // the first is the warm one
	return items[:min(len(items), limit)], nil
}

// Cool implements driver.Cooler: the file is copied with its time, so that its
// facts and its ETag stay, and taken out of the first folder if both are still
// what they were then. One object at a time is moved, whoever does it.
func (t *Tiered) Cool(ctx context.Context, bucket, key string) error {
	const op = "file.cool"
	name := bucket + "/" + key
	unlock, err := t.lock("cool", syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errs.New(errs.Busy, op, "another object is being moved")
	}
	if err != nil {
		return classify(op, name, err)
	}
	defer unlock()
	f, a, err := t.warm.open(ctx, op, bucket, key)
	if errs.Is(err, errs.NotFound) {
		_, err = t.cold.Stat(ctx, bucket, key)
		return err
	}
	if err != nil {
		return err
	}
	defer f.Close()
	from, err := f.Stat()
	if err != nil {
		return classify(op, name, err)
	}
	to, err := t.cold.adopt(ctx, name, f, from, facts{Key: name, Size: a.Size, Mime: a.Mime, SHA256: a.SHA256})
	if err != nil {
		return err
	}
	alone, err := t.lock("change", syscall.LOCK_EX) // nobody puts or deletes now
	if err != nil {
		return classify(op, name, err)
	}
	defer alone()
	switch {
	case t.warm.is(name, from) && t.cold.is(name, to):
		return t.warm.remove(op, name)
	case t.cold.is(name, to): // replaced or deleted while it was copied
		return t.cold.remove(op, name)
	}
	return nil // its copy was removed for that already
}

// has reports whether there is a file of that name, is whether it is this one.
func (s *Store) has(name string) bool {
	info, err := s.root.Lstat(name)
	return err == nil && info.Mode().IsRegular()
}

func (s *Store) is(name string, info fs.FileInfo) bool {
	now, err := s.root.Lstat(name)
	return err == nil && os.SameFile(info, now)
}

// adopt stores a file of another folder with its time.
func (s *Store) adopt(ctx context.Context, name string, r io.Reader, as fs.FileInfo, f facts) (fs.FileInfo, error) {
	const op = "file.cool"
	tmp := s.tmp + "/" + rand.Text()
	defer s.root.Remove(tmp)
	if _, err := s.write(tmp, reading{ctx, r}); err != nil {
		return nil, classify(op, name, err)
	}
	if err := s.root.Chtimes(tmp, as.ModTime(), as.ModTime()); err != nil {
		return nil, classify(op, name, err)
	}
	if err := s.syncDir(tmp); err != nil { // a file's time is synced as a folder's names are
		return nil, classify(op, name, err)
	}
	info, err := s.root.Lstat(tmp)
	if err != nil {
		return nil, classify(op, name, err)
	}
	_, err = s.commit(op, tmp, name, info, f, false)
	return info, err
}

// reading ends with a context.
type reading struct {
	ctx context.Context
	r   io.Reader
}

func (r reading) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, errs.Wrap("file.read", err)
	}
	return r.r.Read(p)
}
