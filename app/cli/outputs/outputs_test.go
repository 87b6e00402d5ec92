package outputs

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
)

func results(names ...string) (files []api.CallbackFile) {
	for _, n := range names {
		files = append(files, api.CallbackFile{Key: "t/x/" + n, Extra: api.FileExtra{Name: n}})
	}
	return files
}

func TestTargets(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		outs  []string
		files []api.CallbackFile
		want  []string // nil: refused
	}{
		{[]string{"a.mp4"}, results("out.mp4"), []string{"a.mp4"}},
		{[]string{"a", "b"}, results("x", "y"), []string{"a", "b"}},
		{[]string{"new/"}, results("x", "y"), []string{"new/x", "new/y"}},
		{[]string{dir}, results("x"), []string{dir + "/x"}},
		{[]string{"a", dir}, results("x", "y"), []string{"a", dir + "/y"}},
		{[]string{"shot.jpg"}, results("1.jpg", "2.jpg"), []string{"shot-1.jpg", "shot-2.jpg"}},
		{[]string{"new/"}, results("x.jpg", "x.jpg"), []string{"new/x.jpg", "new/x-2.jpg"}},
		{[]string{"new/"}, results("../../evil", ".."), []string{"new/evil", "new/result-2"}},
		{[]string{"new/"}, results("master.m3u8", "video/720p.mp4", "video/../../x"), []string{"new/master.m3u8", "new/video/720p.mp4", "new/x"}},
		{[]string{"-"}, results("x"), []string{"-"}},
		{[]string{"-"}, results("x", "y"), nil},
		{[]string{"a", "b"}, results("x"), nil},
		{nil, results("x"), nil},
	} {
		got, err := Targets(c.outs, c.files)
		if (err != nil) != (c.want == nil) || (err != nil && errs.FieldOf(err) != "output") {
			t.Errorf("%v: %v", c.outs, err)
		}
		if diff := cmp.Diff(c.want, got); err == nil && diff != "" {
			t.Errorf("%v: %s", c.outs, diff)
		}
	}
}

func TestPlaceIsWholeOrNothing(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "old.txt")
	if err := os.WriteFile(old, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	paths := []string{old, filepath.Join(dir, "a/b/new.txt")}
	broken := errors.New("broke off")
	err := Put(paths, func(i int, w io.Writer) error {
		_, err := io.WriteString(w, "new")
		if i == 1 {
			err = broken
		}
		return err
	})
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if got := listing(t, dir); !cmp.Equal(got, []string{"old.txt"}) {
		t.Errorf("left: %v", got)
	}
	if text, _ := os.ReadFile(old); string(text) != "old" {
		t.Errorf("old.txt holds %q", text)
	}
	if err := Put(paths, func(_ int, w io.Writer) error { _, err := io.WriteString(w, "new"); return err }); err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if text, _ := os.ReadFile(path); string(text) != "new" {
			t.Errorf("%s holds %q", path, text)
		}
	}
	if got := listing(t, dir); !cmp.Equal(got, []string{"a", "old.txt"}) {
		t.Errorf("left: %v", got)
	}
	if err := Put([]string{dir}, func(int, io.Writer) error { return nil }); errs.FieldOf(err) != "output" {
		t.Errorf("a folder as a file: %v", err)
	}
}

func listing(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestCheckOutputs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, outs := range [][]string{{""}, {"-", "x"}, {"x", "x"}, {file + "/x"}, {file + "/x/y"}} {
		if err := Check(nil, outs); errs.FieldOf(err) != "output" {
			t.Errorf("%v: %v", outs, err)
		}
	}
	for _, outs := range [][]string{nil, {"-"}, {"a/b/c"}, {"a/", "a/"}, {file}} {
		if err := Check(nil, outs); err != nil {
			t.Errorf("%v: %v", outs, err)
		}
	}
}
