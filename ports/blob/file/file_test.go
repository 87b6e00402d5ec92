package file_test

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/blobtest"
	"github.com/mediafn/mediafn/ports/blob/file"
)

func open(t *testing.T, dir string) *blob.Store {
	t.Helper()
	s, err := file.Open(dir, blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// files lists everything regular below dir.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			all = append(all, strings.TrimPrefix(p, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSuite also proves that nothing is left over: each file has one file of facts,
// and an empty store has no directories.
func TestSuite(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) *blob.Store {
		dir := t.TempDir()
		t.Cleanup(func() {
			objects, facts := 0, 0
			for _, f := range files(t, dir) {
				switch {
				case strings.HasPrefix(f, ".mediafn/meta/"):
					facts++
				case strings.HasPrefix(f, ".mediafn/"):
					t.Errorf("%s is left over", f)
				default:
					objects++
				}
			}
			if objects != facts {
				t.Errorf("%d objects, %d files of facts", objects, facts)
			}
			if entries, err := os.ReadDir(dir); err != nil || objects == 0 && len(entries) != 1 {
				t.Errorf("an empty store holds %v, %v", entries, err)
			}
		})
		return open(t, dir)
	})
}

func TestPlainFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := s.Put(t.Context(), "out", "a/b.mp4", strings.NewReader("bytes"), blob.PutOptions{Size: 5, Mime: "video/x"}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "out/a/b.mp4")); err != nil || string(b) != "bytes" {
		t.Fatalf("%q, %v", b, err)
	}
	// A file somebody else put there, and one somebody else changed.
	for _, name := range []string{"out/a/b.mp4", "out/c.png"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("by hand"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for key, mime := range map[string]string{"a/b.mp4": "video/mp4", "c.png": "image/png"} {
		a, err := s.Stat(t.Context(), "out", key)
		if err != nil || a.Size != 7 || a.SHA256 != "" || a.Mime != mime && key == "c.png" {
			t.Fatalf("%s: %+v, %v", key, a, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSymlinks(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	s := open(t, dir)
	defer s.Close()
	write := func(key string) error {
		_, err := s.Put(t.Context(), "bucket", key, strings.NewReader("x"), blob.PutOptions{Size: 1})
		return err
	}
	if err := write("real/x"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "x"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, target := range map[string]string{
		"bucket/out": outside, "bucket/in": "real", "bucket/file": "real/x", "bucket/secret": filepath.Join(outside, "x"), "linked": "bucket",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"out/x", "in/x", "file", "secret"} {
		if r, _, err := s.Get(t.Context(), "bucket", key, 0, -1); !errs.Is(err, errs.Denied) {
			t.Fatalf("Get %s: %v, %v", key, r, err)
		}
		if err := s.Delete(t.Context(), "bucket", key); !errs.Is(err, errs.Denied) {
			t.Fatalf("Delete %s: %v", key, err)
		}
	}
	for _, key := range []string{"out/new", "in/new", "in/sub/new"} {
		if err := write(key); !errs.Is(err, errs.Denied) {
			t.Fatalf("Put %s: %v", key, err)
		}
	}
	if _, err := s.Stat(t.Context(), "linked", "real/x"); !errs.Is(err, errs.Denied) {
		t.Fatalf("a linked bucket: %v", err)
	}
	items, err := s.List(t.Context(), "bucket", "", "", 10)
	if err != nil || len(items) != 1 || items[0].Key != "real/x" {
		t.Fatalf("List: %v, %v", items, err)
	}
}

func TestSweepsTheDead(t *testing.T) {
	dir := t.TempDir()
	alive := open(t, dir)
	// What a process that died while writing leaves: an area and a lock nobody holds.
	dead := filepath.Join(dir, ".mediafn/tmp/dead")
	if err := os.Mkdir(dead, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{dead + "/half", dead + ".lock"} {
		if err := os.WriteFile(f, []byte("x"), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	// A write that goes on while another process opens the store.
	pr, pw := io.Pipe()
	done := make(chan error)
	go func() {
		_, err := alive.Put(t.Context(), "bucket", "slow", pr, blob.PutOptions{Size: -1})
		done <- err
	}()
	if _, err := pw.Write([]byte("first half, ")); err != nil {
		t.Fatal(err)
	}
	second := open(t, dir)
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Fatalf("the dead writer's files are there: %v", err)
	}
	if _, err := pw.Write([]byte("second half")); err != nil {
		t.Fatal(err)
	}
	pw.Close()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	a, err := second.Stat(t.Context(), "bucket", "slow")
	if err != nil || a.Size != 23 {
		t.Fatalf("%+v, %v", a, err)
	}
	for _, s := range []*blob.Store{alive, second} {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if left := files(t, dir); len(left) != 2 {
		t.Fatalf("left: %v", left)
	}
}

func TestLongSegment(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	_, err := s.Put(t.Context(), "bucket", strings.Repeat("s", 256), strings.NewReader("x"), blob.PutOptions{Size: 1})
	if !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != "key" {
		t.Fatalf("got %v", err)
	}
}
