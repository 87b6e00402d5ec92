// Package file keeps objects as plain files: object "a/b.mp4" of bucket "out" is
// the file out/a/b.mp4 under the root, byte for byte, so that people and programs
// beside mediafn can read it, and a file somebody puts there is an object.
//
// What a file system does not keep, the type and the sum, is in a small file under
// .mediafn/meta, named after the object and the modification time (in nanoseconds,
// set so that no two versions share one). Replacing an object is therefore one
// rename: a reader that opened a version finds that version's facts or none, never
// another's, and copies of the tree that keep times (cp -a, rsync -a) keep facts.
// A file without one gets its type from its extension.
//
// Limits: a segment of a key has at most 255 bytes, and "a" and "a/b" cannot both
// be objects (Conflict). Symbolic links are refused wherever they are.
package file

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

const (
	private = ".mediafn" // no bucket begins with a dot
	tmpDir  = private + "/tmp"
	metaDir = private + "/meta"
)

// Store implements driver.Store, driver.Copier and driver.Opener. Several
// processes may use one root.
type Store struct {
	root  *os.Root
	tmp   string   // this process's own area under tmpDir
	lock  *os.File // held as long as tmp is in use
	clock clock
	over  *Tiered // of which this is the first folder; nil: it is a store of its own

	// dirs lets Delete remove empty parents while nobody is about to put
	// something into them. Other processes are met by trying again.
	dirs sync.RWMutex

	// names serializes changes of one object, so that each removes exactly the
	// facts of the version it replaced.
	names [64]sync.Mutex
}

func (s *Store) lockName(name string) (unlock func()) {
	m := &s.names[maphash.String(seed, name)%uint64(len(s.names))]
	m.Lock()
	return m.Unlock
}

var seed = maphash.MakeSeed() // never changes

// Open opens (and creates) a store under dir and sweeps what writers that died
// have left. Invalid: dir cannot be used.
func Open(dir string, cfg blob.Config) (*blob.Store, error) {
	d, err := New(dir)
	if err != nil {
		return nil, err
	}
	return blob.New(d, cfg)
}

// New returns the driver of Open.
func New(dir string) (*Store, error) {
	const op = "file.open"
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, errs.As(errs.Invalid, op, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errs.As(errs.Invalid, op, err)
	}
	s := &Store{root: root}
	for _, d := range []string{tmpDir, metaDir} {
		if err := root.MkdirAll(d, 0o750); err != nil {
			root.Close()
			return nil, errs.As(errs.Invalid, op, err)
		}
	}
	if err := s.claim(); err != nil {
		root.Close()
		return nil, errs.As(errs.Invalid, op, err)
	}
	if err := s.sweep(); err != nil {
		return nil, errs.As(errs.Invalid, op, errors.Join(err, s.Close()))
	}
	return s, nil
}

// claim makes this process's area for files that are being written. Its lock
// falls with the process, which is how sweep knows the dead.
func (s *Store) claim() error {
	name := tmpDir + "/" + strings.ToLower(rand.Text())
	lock, err := s.root.OpenFile(name+".lock", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640)
	if err != nil {
		return err
	}
	if err := flock(lock); err != nil {
		return errors.Join(err, lock.Close())
	}
	if err := s.root.Mkdir(name, 0o750); err != nil {
		return errors.Join(err, lock.Close())
	}
	s.tmp, s.lock = name, lock
	return nil
}

func (s *Store) sweep() error {
	entries, err := fs.ReadDir(s.root.FS(), tmpDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, isLock := strings.CutSuffix(tmpDir+"/"+e.Name(), ".lock")
		if !isLock || name == s.tmp {
			continue
		}
		f, err := s.root.OpenFile(name+".lock", os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue // somebody else sweeps
		} else if err != nil {
			return err
		}
		if flock(f) == nil {
			err = errors.Join(s.root.RemoveAll(name), s.root.RemoveAll(name+".lock"))
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Close implements driver.Store.
func (s *Store) Close() error {
	return errors.Join(s.root.RemoveAll(s.tmp), s.root.RemoveAll(s.tmp+".lock"), s.lock.Close(), s.root.Close())
}

// open opens one version of an object with its facts.
func (s *Store) open(ctx context.Context, op, bucket, key string) (*os.File, driver.Attr, error) {
	for try := 0; ; try++ {
		if err := ctx.Err(); err != nil {
			return nil, driver.Attr{}, errs.Wrap(op, err)
		}
		name := bucket + "/" + key
		if err := s.plain(name); err != nil {
			return nil, driver.Attr{}, classify(op, name, err)
		}
		f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, driver.Attr{}, classify(op, name, err)
		}
		info, err := f.Stat()
		if err == nil && !info.Mode().IsRegular() {
			err = fs.ErrNotExist // a directory, or something that is no object
		}
		if err != nil {
			f.Close()
			return nil, driver.Attr{}, classify(op, name, err)
		}
		a, known := s.attr(name, info)
		if !known && try < 10 {
			// Either nobody ever wrote facts, or this version was replaced just now.
			if now, err := s.root.Lstat(name); err != nil || !os.SameFile(info, now) {
				f.Close()
				continue
			}
		}
		return f, a, nil
	}
}

// plain refuses a path with a symbolic link in it. os.Root keeps links from
// leading out; this keeps them from leading to other objects.
func (s *Store) plain(name string) error {
	for i := 0; i <= len(name); i++ {
		if i < len(name) && name[i] != '/' {
			continue
		}
		info, err := s.root.Lstat(name[:i])
		if err != nil {
			return err
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			return errs.New(errs.Denied, "file.path", "%s is a symbolic link", name[:i])
		}
	}
	return nil
}

// Get implements driver.Store.
func (s *Store) Get(ctx context.Context, bucket, key string, offset, length int64) (io.ReadCloser, driver.Attr, error) {
	f, a, err := s.open(ctx, "file.get", bucket, key)
	if err != nil {
		return nil, a, err
	}
	if offset > a.Size {
		f.Close()
		return nil, driver.Attr{}, errs.InField("offset", "%d is beyond the end of %d bytes", offset, a.Size)
	}
	if length < 0 || length > a.Size-offset {
		length = a.Size - offset
	}
	return &reader{ctx: ctx, f: f, r: io.NewSectionReader(f, offset, length)}, a, nil
}

type reader struct {
	ctx context.Context
	f   *os.File
	r   *io.SectionReader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, errs.Wrap("file.read", err)
	}
	return r.r.Read(p)
}

func (r *reader) Close() error { return r.f.Close() }

// Open implements driver.Opener.
func (s *Store) Open(ctx context.Context, bucket, key string) (driver.ReaderAtCloser, driver.Attr, error) {
	f, a, err := s.open(ctx, "file.open", bucket, key)
	if err != nil {
		return nil, a, err
	}
	return f, a, nil
}

// Stat implements driver.Store.
func (s *Store) Stat(ctx context.Context, bucket, key string) (driver.Attr, error) {
	f, a, err := s.open(ctx, "file.stat", bucket, key)
	if err != nil {
		return a, err
	}
	return a, f.Close()
}

// Delete implements driver.Store. Parents that are empty afterwards go too, the
// bucket's own directory included.
func (s *Store) Delete(ctx context.Context, bucket, key string) error {
	const op = "file.delete"
	if err := ctx.Err(); err != nil {
		return errs.Wrap(op, err)
	}
	return s.remove(op, bucket+"/"+key)
}

func (s *Store) remove(op, name string) error {
	defer s.lockName(name)()
	if err := s.plain(name); err != nil {
		return absent(classify(op, name, err))
	}
	info, err := s.root.Lstat(name)
	if err != nil {
		return absent(classify(op, name, err))
	}
	if !info.Mode().IsRegular() {
		return nil // a directory is no object
	}
	if err := s.root.Remove(name); err != nil {
		return absent(classify(op, name, err))
	}
	if err := s.root.Remove(metaName(name, info)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return classify(op, name, err)
	}
	return s.prune(name)
}

// prune removes the folders of a file that is gone as far as they are empty.
func (s *Store) prune(name string) error {
	s.dirs.Lock()
	defer s.dirs.Unlock()
	dir := path.Dir(name)
	for ; dir != "."; dir = path.Dir(dir) {
		if s.root.Remove(dir) != nil {
			break // not empty, or gone
		}
	}
	return absent(classify("file.delete", name, s.syncDir(dir)))
}

// absent takes NotFound for success.
func absent(err error) error {
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	return err
}

// classify names the object and finds the kind of what the system said.
func classify(op, name string, err error) error {
	if err == nil {
		return nil
	}
	var known *errs.Error
	kind := errs.Transient
	switch {
	case errors.As(err, &known):
		kind = known.Kind
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		kind = errs.NotFound
	case errors.Is(err, syscall.ELOOP), errors.Is(err, fs.ErrPermission):
		kind = errs.Denied
	case errors.Is(err, syscall.ENAMETOOLONG):
		return &errs.Error{Kind: errs.Invalid, Op: op, Field: "key", Msg: fmt.Sprintf("%q has a segment longer than 255 bytes", name), Err: err}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		kind = errs.Busy
	case errors.Is(err, syscall.EROFS):
		kind = errs.Denied
	}
	return errs.New(kind, op, "%s: %w", name, err)
}
