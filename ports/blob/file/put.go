package file

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// Put implements driver.Store: written and synced in the private area, the facts
// first, then renamed into place and the directory synced.
func (s *Store) Put(ctx context.Context, bucket, key string, r io.Reader, o driver.PutOptions) (driver.Attr, error) {
	const op = "file.put"
	name := bucket + "/" + key
	tmp := s.tmp + "/" + rand.Text()
	defer s.root.Remove(tmp) // gone already if all went well
	info, err := s.write(tmp, r)
	if err != nil {
		return driver.Attr{}, classify(op, name, err)
	}
	if err := ctx.Err(); err != nil {
		return driver.Attr{}, errs.Wrap(op, err)
	}
	f := facts{Key: name, Size: info.Size(), Mime: o.Mime, SHA256: o.Sum()}
	return s.commit(op, tmp, name, info, f, o.IfAbsent)
}

// write copies r to a new, synced file and gives it a time of its own.
func (s *Store) write(tmp string, r io.Reader) (fs.FileInfo, error) {
	f, err := s.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, r, make([]byte, 256<<10)); err != nil {
		return nil, err
	}
	now := s.clock.now()
	if err := s.root.Chtimes(tmp, now, now); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	return f.Stat()
}

// commit puts tmp in the place of name.
func (s *Store) commit(op, tmp, name string, info fs.FileInfo, f facts, ifAbsent bool) (driver.Attr, error) {
	if s.over != nil {
		unlock, err := s.over.changing()
		if err != nil {
			return driver.Attr{}, classify(op, name, err)
		}
		defer unlock()
		if ifAbsent && s.over.cold.has(name) {
			return driver.Attr{}, errs.New(errs.Conflict, op, "%s exists", name)
		}
	}
	defer s.lockName(name)()
	meta := metaName(name, info)
	if err := s.writeFacts(meta, f); err != nil {
		return driver.Attr{}, classify(op, name, err)
	}
	old, err := s.place(tmp, name, ifAbsent)
	if err != nil {
		if old == nil || metaName(name, old) != meta {
			err = errors.Join(err, s.root.Remove(meta))
		}
		return driver.Attr{}, classify(op, name, err)
	}
	if old != nil && metaName(name, old) != meta {
		if err := s.root.Remove(metaName(name, old)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return driver.Attr{}, classify(op, name, err)
		}
	}
	if s.over != nil {
		if err := s.over.cold.remove(op, name); err != nil {
			return driver.Attr{}, err
		}
	}
	a, _ := s.attr(name, info)
	a.Mime, a.SHA256 = f.Mime, f.SHA256 // the facts may be gone again: somebody was faster
	return a, nil
}

func (s *Store) writeFacts(meta string, f facts) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	tmp := s.tmp + "/" + rand.Text()
	defer s.root.Remove(tmp)
	w, err := s.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	if err = errors.Join(err, w.Sync(), w.Close()); err != nil {
		return err
	}
	if err := s.makeDir(path.Dir(meta)); err != nil {
		return err
	}
	if err := s.root.Rename(tmp, meta); err != nil {
		return err
	}
	return s.syncDir(path.Dir(meta))
}

// place makes name the file that is now tmp, and returns what was there.
func (s *Store) place(tmp, name string, ifAbsent bool) (old fs.FileInfo, err error) {
	s.dirs.RLock()
	defer s.dirs.RUnlock()
	dir := path.Dir(name)
	for try := 0; ; try++ {
		if err = s.makeDir(dir); err == nil {
			old, err = s.root.Lstat(name)
			if errors.Is(err, fs.ErrNotExist) {
				old, err = nil, nil
			}
			switch {
			case err != nil:
			case old != nil && !old.Mode().IsRegular():
				err = errs.New(errs.Conflict, "file.place", "%s is a directory: other objects are below it", name)
			case ifAbsent:
				err = s.root.Link(tmp, name)
			default:
				err = s.root.Rename(tmp, name)
			}
		}
		// Another process may have removed the empty directory in between.
		if !errors.Is(err, fs.ErrNotExist) || try == 100 {
			break
		}
	}
	switch {
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.EISDIR):
		return old, errs.New(errs.Conflict, "file.place", "%s exists", name)
	case errors.Is(err, syscall.ENOTDIR):
		return old, errs.New(errs.Conflict, "file.place", "a part of the path of %s is an object", name)
	case err != nil:
		return old, err
	}
	return old, s.syncDir(dir)
}

// makeDir makes dir and syncs the parents of what it made.
func (s *Store) makeDir(dir string) error {
	info, err := s.root.Lstat(dir)
	switch {
	case err == nil && info.IsDir():
		return s.plain(dir)
	case err == nil && info.Mode()&fs.ModeSymlink != 0:
		return errs.New(errs.Denied, "file.path", "%s is a symbolic link", dir)
	case err == nil:
		return syscall.ENOTDIR
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := path.Dir(dir)
	if parent != "." {
		if err := s.makeDir(parent); err != nil {
			return err
		}
	}
	if err := s.root.Mkdir(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return s.syncDir(parent)
}

func (s *Store) syncDir(dir string) error {
	f, err := s.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Copy implements driver.Copier with a hard link: files are never written in
// place, so two names may share one.
func (s *Store) Copy(ctx context.Context, srcBucket, srcKey, dstBucket, dstKey string) (driver.Attr, error) {
	const op = "file.copy"
	src, dst := srcBucket+"/"+srcKey, dstBucket+"/"+dstKey
	for try := 0; ; try++ {
		from, a, err := s.open(ctx, op, srcBucket, srcKey)
		if err != nil {
			return a, err
		}
		info, err := from.Stat()
		from.Close()
		if err != nil {
			return a, classify(op, src, err)
		}
		if src == dst {
			return a, nil
		}
		tmp := s.tmp + "/" + rand.Text()
		if err := s.root.Link(src, tmp); err != nil {
			return a, classify(op, src, err)
		}
		linked, err := s.root.Lstat(tmp)
		if err == nil && os.SameFile(info, linked) {
			// If dst is this very file already, rename does nothing and leaves tmp.
			defer s.root.Remove(tmp)
			return s.commit(op, tmp, dst, info, facts{Key: dst, Size: a.Size, Mime: a.Mime, SHA256: a.SHA256}, false)
		}
		s.root.Remove(tmp) // the source was replaced in between
		if err != nil || try == 100 {
			return a, classify(op, src, errors.Join(err, errs.New(errs.Transient, op, "the source changes all the time")))
		}
	}
}
