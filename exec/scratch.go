package exec

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mediafn/mediafn/core/errs"
)

// scratch is one executor's folder for temporary files. Beside each folder
// "x-NAME" lies a file "x-NAME.lock" that its owner keeps locked (flock): the
// kernel drops the lock when the process dies, however it dies, and so tells
// the next executor that the folder is nobody's.
type scratch struct {
	root string // shared
	dir  string // own
	lock *os.File
}

const (
	ownPrefix  = "x-"
	lockSuffix = ".lock"
)

func openScratch(root string, log *slog.Logger) (*scratch, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, errs.New(errs.Internal, op, "scratch: %w", err)
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, errs.New(errs.Internal, op, "scratch: %w", err)
	}
	sweep(root, log)
	for {
		dir := filepath.Join(root, ownPrefix+rand.Text())
		lock, err := tryLock(dir + lockSuffix)
		if err != nil {
			return nil, errs.New(errs.Internal, op, "scratch: %w", err)
		}
		if lock == nil {
			continue // somebody sweeping had it open just then
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			lock.Close()
			return nil, errs.New(errs.Internal, op, "scratch: %w", err)
		}
		return &scratch{root: root, dir: dir, lock: lock}, nil
	}
}

// tryLock creates and locks the file at path. It returns nil where another
// process holds the lock, or has just removed the file.
func tryLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, nil
		}
		return nil, err
	}
	held, err1 := f.Stat()
	there, err2 := os.Stat(path)
	if err1 != nil || err2 != nil || !os.SameFile(held, there) {
		f.Close()
		return nil, nil
	}
	return f, nil
}

// sweep removes the folders of executors that died. What cannot be removed is
// reported and tried again by the next executor.
func sweep(root string, log *slog.Logger) {
	entries, err := os.ReadDir(root)
	if err != nil {
		log.Warn("scratch is not swept", "dir", root, "error", err)
		return
	}
	seen := map[string]bool{}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), lockSuffix)
		if !strings.HasPrefix(name, ownPrefix) || seen[name] {
			continue
		}
		seen[name] = true
		dir := filepath.Join(root, name)
		lock, err := tryLock(dir + lockSuffix)
		if err != nil {
			log.Warn("scratch is not swept", "dir", dir, "error", err)
		}
		if lock == nil {
			continue
		}
		if err := remove(dir); err != nil {
			log.Warn("scratch is not swept", "dir", dir, "error", err)
		} else if err := os.Remove(dir + lockSuffix); err != nil {
			log.Warn("scratch is not swept", "dir", dir, "error", err)
		}
		lock.Close()
	}
}

// remove deletes a tree, also where a tool took write permission off a folder.
func remove(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}

// attempt makes the folder of one attempt and returns its path and its end.
func (s *scratch) attempt(trace string) (string, func() error, error) {
	dir := filepath.Join(s.dir, trace)
	if err := os.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return "", nil, errs.New(errs.Conflict, op, "attempt %s is running here already", trace)
		}
		return "", nil, errs.New(errs.Transient, op, "scratch: %w", err)
	}
	return dir, func() error { return remove(dir) }, nil
}

func (s *scratch) close() error {
	err := remove(s.dir)
	if rerr := os.Remove(s.lock.Name()); err == nil {
		err = rerr
	}
	if cerr := s.lock.Close(); err == nil {
		err = cerr
	}
	return errs.As(errs.Internal, op, err)
}
