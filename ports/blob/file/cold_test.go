package file_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/blobtest"
	"github.com/mediafn/mediafn/ports/blob/driver"
	"github.com/mediafn/mediafn/ports/blob/file"
)

// icy is a store of two folders in which every object is cold at once.
type icy struct{ *file.Tiered }

func (s icy) Put(ctx context.Context, bucket, key string, r io.Reader, o driver.PutOptions) (driver.Attr, error) {
	a, err := s.Tiered.Put(ctx, bucket, key, r, o)
	if err == nil {
		err = s.cool(ctx, bucket, key)
	}
	return a, err
}

func (s icy) Copy(ctx context.Context, srcBucket, srcKey, dstBucket, dstKey string) (driver.Attr, error) {
	a, err := s.Tiered.Copy(ctx, srcBucket, srcKey, dstBucket, dstKey)
	if err == nil {
		err = s.cool(ctx, dstBucket, dstKey)
	}
	return a, err
}

// cool is that of a store others put to and delete from at the same time.
func (s icy) cool(ctx context.Context, bucket, key string) error {
	if err := s.Cool(ctx, bucket, key); err != nil && !errs.Is(err, errs.Busy) && !errs.Is(err, errs.NotFound) {
		return err
	}
	return nil
}

// TestTieredSuite: what is cold keeps the whole contract.
func TestTieredSuite(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) *blob.Store {
		d, err := file.NewTiered(t.TempDir(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		s, err := blob.New(icy{d}, blob.Default())
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func tiered(t *testing.T) (s *blob.Store, warm, cold string) {
	t.Helper()
	warm, cold = t.TempDir(), t.TempDir()
	s, err := file.OpenTiered(warm, cold, blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, warm, cold
}

func set(t *testing.T, s *blob.Store, key, text string) blob.Attr {
	t.Helper()
	a, err := s.Put(t.Context(), "b1", key, strings.NewReader(text), blob.PutOptions{Size: int64(len(text)), Mime: "video/x-test"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func text(t *testing.T, s *blob.Store, key string) string {
	t.Helper()
	r, _, err := s.Get(t.Context(), "b1", key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// TestCool: the file is in the other folder, and nobody can tell but by the list.
func TestCool(t *testing.T) {
	s, warm, cold := tiered(t)
	before := set(t, s, "a/b", "content")
	set(t, s, "a/c", "other")
	reader, err := s.Reader(t.Context(), "b1", "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for range 2 { // the second time it is there already
		if err := s.Cool(t.Context(), "b1", "a/b"); err != nil {
			t.Fatal(err)
		}
	}
	if raw, err := os.ReadFile(filepath.Join(cold, "b1/a/b")); err != nil || string(raw) != "content" {
		t.Errorf("in the colder folder: %q, %v", raw, err)
	}
	if _, err := os.Stat(filepath.Join(warm, "b1/a/b")); !os.IsNotExist(err) {
		t.Errorf("it is still in the first folder: %v", err)
	}
	after, err := s.Stat(t.Context(), "b1", "a/b")
	if err != nil || after != before || text(t, s, "a/b") != "content" {
		t.Errorf("%+v, was %+v, %v", after, before, err)
	}
	buf := make([]byte, 7)
	if _, err := reader.ReadAt(buf, 0); err != nil || string(buf) != "content" {
		t.Errorf("a reader that was open: %q, %v", buf, err)
	}
	items, err := s.List(t.Context(), "b1", "", "", 10)
	if err != nil || len(items) != 2 || !items[0].Cold || items[1].Cold || items[0].ModTime != before.ModTime {
		t.Errorf("%+v, %v", items, err)
	}
	set(t, s, "a/b", "newer")
	if text(t, s, "a/b") != "newer" {
		t.Error("the cold version hides the new one")
	}
	if _, err := os.Stat(filepath.Join(cold, "b1/a/b")); !os.IsNotExist(err) {
		t.Errorf("the old version stays in the colder folder: %v", err)
	}
	if err := s.Cool(t.Context(), "b1", "nothing"); !errs.Is(err, errs.NotFound) {
		t.Error(err)
	}
	if _, err := s.Put(t.Context(), "b1", "a", strings.NewReader("x"), blob.PutOptions{Size: 1}); !errs.Is(err, errs.Conflict) {
		t.Errorf("a file in the place of a folder: %v", err)
	}
}

// TestCoolRace: objects that are replaced, deleted and moved at one time have their
// last version in the end, or are gone.
func TestCoolRace(t *testing.T) {
	s, _, _ := tiered(t)
	const keys, rounds = 4, 40
	var group sync.WaitGroup
	for k := range keys {
		key := fmt.Sprint("k", k)
		done := make(chan struct{})
		group.Go(func() {
			defer close(done)
			for i := range rounds {
				want := fmt.Sprint("version ", i)
				set(t, s, key, want)
				if got := text(t, s, key); got != want {
					t.Errorf("%s: %q behind a Put of %q", key, got, want)
				}
			}
			if k%2 == 1 {
				if err := s.Delete(t.Context(), "b1", key); err != nil {
					t.Error(err)
				}
			}
		})
		for range 2 {
			group.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					if err := s.Cool(t.Context(), "b1", key); err != nil && !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Busy) {
						t.Error(err)
					}
				}
			})
		}
	}
	group.Wait()
	for k := range keys {
		key := fmt.Sprint("k", k)
		switch _, err := s.Stat(t.Context(), "b1", key); {
		case k%2 == 1 && !errs.Is(err, errs.NotFound):
			t.Errorf("%s was deleted: %v", key, err)
		case k%2 == 0 && text(t, s, key) != fmt.Sprint("version ", rounds-1):
			t.Errorf("%s is %q", key, text(t, s, key))
		}
	}
}

// TestTieredFolders: neither folder holds the other.
func TestTieredFolders(t *testing.T) {
	dir := t.TempDir()
	for _, c := range [][2]string{{dir, dir}, {dir, dir + "/cold"}, {dir + "/a", dir}, {dir, dir + "/x/../"}} {
		if _, err := file.OpenTiered(c[0], c[1], blob.Default()); !errs.Is(err, errs.Invalid) {
			t.Errorf("%v: %v", c, err)
		}
	}
	s, err := file.OpenTiered(dir+"/objects", dir+"/objects-cold", blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestNoColdClass: a store of one folder says so.
func TestNoColdClass(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	set(t, s, "k", "x")
	if err := s.Cool(t.Context(), "b1", "k"); !errs.Is(err, errs.Unsupported) || s.Cools() {
		t.Error(err)
	}
	if err := s.SetRules(t.Context(), "b1", nil); !errs.Is(err, errs.Unsupported) {
		t.Error(err)
	}
}
