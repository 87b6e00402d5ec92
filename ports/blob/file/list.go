package file

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob/driver"
)

// List implements driver.Store. It walks only directories that can hold keys of
// the page; one directory's names are in memory at a time for each level.
func (s *Store) List(ctx context.Context, bucket, prefix, after string, limit int) ([]driver.Item, error) {
	w := walk{s: s, ctx: ctx, bucket: bucket, prefix: prefix, after: after, limit: limit}
	if err := w.dir(""); err != nil {
		return nil, classify("file.list", bucket, err)
	}
	return w.items, nil
}

type walk struct {
	s                     *Store
	ctx                   context.Context
	bucket, prefix, after string
	limit                 int
	items                 []driver.Item
}

// dir lists the keys that begin with base, which is "" or ends in "/".
func (w *walk) dir(base string) error {
	if err := w.ctx.Err(); err != nil {
		return errs.Wrap("file.list", err)
	}
	name := strings.TrimSuffix(w.bucket+"/"+base, "/")
	if base == "" {
		if err := w.s.plain(name); err != nil {
			return gone(err)
		}
	}
	f, err := w.s.root.OpenFile(name, syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return gone(err)
	}
	entries, err := f.ReadDir(-1)
	f.Close()
	if err != nil {
		return gone(err)
	}
	// "a/…" comes after "a-b": a directory sorts by its name with the slash.
	keys := make([]string, 0, len(entries))
	for _, e := range entries {
		key := base + e.Name()
		switch {
		case e.IsDir():
			key += "/"
			inside := strings.HasPrefix(key, w.prefix) || strings.HasPrefix(w.prefix, key)
			if !inside || w.after > key && !strings.HasPrefix(w.after, key) {
				continue
			}
		case !e.Type().IsRegular() || key <= w.after || !strings.HasPrefix(key, w.prefix):
			continue
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		if len(w.items) >= w.limit {
			return nil
		}
		if strings.HasSuffix(key, "/") {
			if err := w.dir(key); err != nil {
				return err
			}
			continue
		}
		info, err := w.s.root.Lstat(w.bucket + "/" + key)
		if err != nil {
			if gone(err) == nil {
				continue
			}
			return err
		}
		w.items = append(w.items, driver.Item{Key: key, Size: info.Size(), ModTime: info.ModTime()})
	}
	return nil
}

// gone forgives what was removed while it was listed.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	return err
}
