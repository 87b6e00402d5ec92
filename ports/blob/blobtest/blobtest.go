// Package blobtest is the suite every driver of package blob passes.
package blobtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob"
)

// Run proves that what open returns keeps the contract of package blob. open is
// called once a test and gives an empty Store; the suite closes it.
func Run(t *testing.T, open func(t *testing.T) *blob.Store) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *blob.Store)
	}{
		{"PutGet", testPutGet}, {"Ranges", testRanges}, {"NotFound", testNotFound},
		{"Names", testNames}, {"Nested", testNested}, {"Expectations", testExpectations}, {"IfAbsent", testIfAbsent},
		{"IfAbsentRace", testIfAbsentRace}, {"FailingReader", testFailingReader},
		{"Canceled", testCanceled}, {"Overwrite", testOverwrite}, {"Delete", testDelete},
		{"DeletePutRace", testDeletePutRace}, {"List", testList}, {"Copy", testCopy},
		{"Reader", testReader}, {"Big", testBig}, {"Pieces", testPieces}, {"Join", testJoin},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t)
			t.Cleanup(func() { must(t, s.Close()) })
			c.test(t, s)
		})
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t testing.TB, err error, k errs.Kind) {
	t.Helper()
	if !errs.Is(err, k) {
		t.Fatalf("error %v is of kind %v, want %v", err, errs.KindOf(err), k)
	}
}

func put(t testing.TB, s *blob.Store, key, data string) blob.Attr {
	t.Helper()
	a, err := s.Put(t.Context(), "bucket", key, strings.NewReader(data), blob.PutOptions{Size: -1, Mime: fmt.Sprintf("video/x-%x", key[:1])})
	must(t, err)
	return a
}

func get(t testing.TB, s *blob.Store, key string, offset, length int64) (string, blob.Attr) {
	t.Helper()
	r, a, err := s.Get(t.Context(), "bucket", key, offset, length)
	must(t, err)
	defer r.Close()
	b, err := io.ReadAll(r)
	must(t, err)
	return string(b), a
}

func keys(t testing.TB, s *blob.Store, prefix, after string, limit int) string {
	t.Helper()
	items, err := s.List(t.Context(), "bucket", prefix, after, limit)
	must(t, err)
	var all []string
	for _, it := range items {
		all = append(all, it.Key)
	}
	return strings.Join(all, " ")
}

func testPutGet(t *testing.T, s *blob.Store) {
	for _, data := range []string{"", "x", strings.Repeat("0123456789", 10_000)} {
		sum := sha256.Sum256([]byte(data))
		hexSum := hex.EncodeToString(sum[:])
		a, err := s.Put(t.Context(), "bucket", "a/b.bin", strings.NewReader(data),
			blob.PutOptions{Size: int64(len(data)), Mime: "video/mp4; codecs=\"avc1\"", SHA256: strings.ToUpper(hexSum)})
		must(t, err)
		got, b := get(t, s, "a/b.bin", 0, -1)
		c, err := s.Stat(t.Context(), "bucket", "a/b.bin")
		must(t, err)
		if got != data {
			t.Fatalf("%d bytes came back, %d were put", len(got), len(data))
		}
		for _, x := range []blob.Attr{a, b, c} {
			if x.Size != int64(len(data)) || x.Mime != "video/mp4; codecs=\"avc1\"" || x.SHA256 != "" && x.SHA256 != hexSum ||
				x.ModTime.IsZero() || x.ETag == "" || x.ETag != a.ETag || !x.ModTime.Equal(a.ModTime) {
				t.Fatalf("attr %+v, first was %+v", x, a)
			}
		}
	}
}

func testRanges(t *testing.T, s *blob.Store) {
	put(t, s, "r", "0123456789")
	put(t, s, "e", "")
	for _, c := range []struct {
		off, n int64
		want   string
	}{{0, -1, "0123456789"}, {0, 3, "012"}, {3, 4, "3456"}, {9, 1, "9"}, {8, 100, "89"}, {5, -1, "56789"}, {4, 0, ""}} {
		if got, a := get(t, s, "r", c.off, c.n); got != c.want || a.Size != 10 {
			t.Fatalf("%d+%d: %q of %d, want %q", c.off, c.n, got, a.Size, c.want)
		}
	}
	if got, _ := get(t, s, "e", 0, -1); got != "" {
		t.Fatalf("an empty object gives %q", got)
	}
	for _, off := range []int64{-1, 10, 11, 1 << 50} {
		_, _, err := s.Get(t.Context(), "bucket", "r", off, 1)
		wantKind(t, err, errs.Invalid)
	}
	_, _, err := s.Get(t.Context(), "bucket", "e", 1, 1)
	wantKind(t, err, errs.Invalid)
}

func testNotFound(t *testing.T, s *blob.Store) {
	put(t, s, "dir/x", "1")
	ctx := t.Context()
	for _, n := range [][2]string{{"bucket", "none"}, {"nobucket", "x"}, {"bucket", "dir"}, {"bucket", "dir/x/y"}} {
		_, _, err := s.Get(ctx, n[0], n[1], 0, -1)
		wantKind(t, err, errs.NotFound)
		_, err = s.Stat(ctx, n[0], n[1])
		wantKind(t, err, errs.NotFound)
		_, err = s.Reader(ctx, n[0], n[1])
		wantKind(t, err, errs.NotFound)
		_, err = s.Copy(ctx, n[0], n[1], "bucket", "to")
		wantKind(t, err, errs.NotFound)
		must(t, s.Delete(ctx, n[0], n[1]))
	}
	items, err := s.List(ctx, "nobucket", "", "", 10)
	if err != nil || len(items) != 0 {
		t.Fatalf("an unknown bucket lists %v, %v", items, err)
	}
}

func testNames(t *testing.T, s *blob.Store) {
	ctx := t.Context()
	try := func(bucket, key, field string) {
		t.Helper()
		_, err := s.Put(ctx, bucket, key, strings.NewReader("x"), blob.PutOptions{Size: 1})
		wantKind(t, err, errs.Invalid)
		if errs.FieldOf(err) != field {
			t.Fatalf("%q/%q: the error blames %q: %v", bucket, key, errs.FieldOf(err), err)
		}
		_, _, err = s.Get(ctx, bucket, key, 0, -1)
		wantKind(t, err, errs.Invalid)
		wantKind(t, s.Delete(ctx, bucket, key), errs.Invalid)
	}
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../x", "a/../b", "a/..", "./a", "a\x00b", "a\nb", "a\x7f", "\xff", strings.Repeat("k", 1025),
	} {
		try("bucket", key, "key")
	}
	for _, b := range []string{"", "a", ".a", "-a", "A1", "a_b", "a..b", "a/b", "..", strings.Repeat("b", 64)} {
		try(b, "k", "bucket")
	}
	long := strings.Repeat(strings.Repeat("d", 200)+"/", 5) + "xyz"
	for _, key := range []string{"...", ".hidden", "a b", "ü/é.mp4", `back\slash`, "%2e%2e", "q?x=1#f", "日本語", long, "con", "*", "a..b", "-"} {
		put(t, s, key, key)
		if got, _ := get(t, s, key, 0, -1); got != key {
			t.Fatalf("%q holds %q", key, got)
		}
		must(t, s.Delete(ctx, "bucket", key))
	}
}

// testNested: a store may refuse "a/b" beside "a", clearly and without harm.
func testNested(t *testing.T, s *blob.Store) {
	for _, order := range [][2]string{{"n", "n/below"}, {"m/below", "m"}} {
		put(t, s, order[0], "first")
		_, err := s.Put(t.Context(), "bucket", order[1], strings.NewReader("second"), blob.PutOptions{Size: -1})
		if err != nil {
			wantKind(t, err, errs.Conflict)
		} else if got, _ := get(t, s, order[1], 0, -1); got != "second" {
			t.Fatalf("%q holds %q", order[1], got)
		}
		if got, _ := get(t, s, order[0], 0, -1); got != "first" {
			t.Fatalf("%q holds %q", order[0], got)
		}
	}
}

func testExpectations(t *testing.T, s *blob.Store) {
	put(t, s, "x", "old")
	zero := strings.Repeat("0", 64)
	for _, o := range []blob.PutOptions{
		{Size: 2}, {Size: 4}, {Size: 0}, {Size: -2}, {Size: -1, SHA256: zero}, {Size: 3, SHA256: "abc"}, {Size: 3, Mime: "a\r\nb"},
	} {
		_, err := s.Put(t.Context(), "bucket", "x", strings.NewReader("new"), o)
		wantKind(t, err, errs.Invalid)
		if errs.FieldOf(err) == "" {
			t.Fatalf("%v names no field", err)
		}
		if got, _ := get(t, s, "x", 0, -1); got != "old" {
			t.Fatalf("a refused Put left %q", got)
		}
	}
}

func testIfAbsent(t *testing.T, s *blob.Store) {
	o := blob.PutOptions{Size: -1, IfAbsent: true}
	_, err := s.Put(t.Context(), "bucket", "once", strings.NewReader("one"), o)
	must(t, err)
	_, err = s.Put(t.Context(), "bucket", "once", strings.NewReader("two"), o)
	wantKind(t, err, errs.Conflict)
	if got, _ := get(t, s, "once", 0, -1); got != "one" {
		t.Fatalf("got %q", got)
	}
}

func testIfAbsentRace(t *testing.T, s *blob.Store) {
	var wg sync.WaitGroup
	won := make(chan string, 16)
	for i := range 16 {
		wg.Go(func() {
			data := fmt.Sprint("writer ", i)
			_, err := s.Put(t.Context(), "bucket", "race", strings.NewReader(data), blob.PutOptions{Size: -1, IfAbsent: true})
			if err == nil {
				won <- data
			} else if !errs.Is(err, errs.Conflict) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d writers were first", len(won))
	}
	if got, _ := get(t, s, "race", 0, -1); got != <-won {
		t.Fatalf("the loser %q is there", got)
	}
}

func testFailingReader(t *testing.T, s *blob.Store) {
	broken := errors.New("the line went dead")
	for _, key := range []string{"new", "old"} {
		if key == "old" {
			put(t, s, key, "kept")
		}
		r := io.MultiReader(strings.NewReader(strings.Repeat("x", 1<<20)), iotest.ErrReader(broken))
		_, err := s.Put(t.Context(), "bucket", key, r, blob.PutOptions{Size: -1})
		if !errors.Is(err, broken) {
			t.Fatalf("the reader's error is lost: %v", err)
		}
	}
	if got := keys(t, s, "", "", 10); got != "old" {
		t.Fatalf("there is %q", got)
	}
	if got, _ := get(t, s, "old", 0, -1); got != "kept" {
		t.Fatalf("the old object is %.20q", got)
	}
}

func testCanceled(t *testing.T, s *blob.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	put(t, s, "x", "data")
	r, _, err := s.Get(ctx, "bucket", "x", 0, -1)
	must(t, err)
	defer r.Close()
	cancel()
	_, err = io.ReadAll(r)
	wantKind(t, err, errs.Canceled)
	_, err = s.Put(ctx, "bucket", "y", strings.NewReader("y"), blob.PutOptions{Size: 1})
	wantKind(t, err, errs.Canceled)
	_, _, err = s.Get(ctx, "bucket", "x", 0, -1)
	wantKind(t, err, errs.Canceled)
	if got := keys(t, s, "", "", 10); got != "x" {
		t.Fatalf("there is %q", got)
	}
}

// testOverwrite: readers see one version whole, with that version's facts.
func testOverwrite(t *testing.T, s *blob.Store) {
	version := func(w, i int) (string, string) {
		c := string(rune('a' + (w*7+i)%26))
		return strings.Repeat(c, 20_000+((w*7+i)%26)*100), "version/" + c
	}
	data, mime := version(0, 0)
	write := func(data, mime string) {
		if _, err := s.Put(t.Context(), "bucket", "o/w", strings.NewReader(data), blob.PutOptions{Size: -1, Mime: mime}); err != nil {
			t.Error(err)
		}
	}
	write(data, mime)
	var writers, readers sync.WaitGroup
	done := make(chan struct{})
	for w := range 3 {
		writers.Go(func() {
			for i := range 30 {
				write(version(w, i))
			}
		})
	}
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				r, a, err := s.Get(t.Context(), "bucket", "o/w", 0, -1)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(r)
				r.Close()
				if err != nil || int64(len(b)) != a.Size || a.Mime != "version/"+string(b[:1]) || bytes.Count(b, b[:1]) != len(b) {
					t.Errorf("read %d bytes of %.1q, attr %+v, err %v", len(b), b, a, err)
					return
				}
			}
		})
	}
	writers.Wait()
	close(done)
	readers.Wait()
}

func testDelete(t *testing.T, s *blob.Store) {
	put(t, s, "a/b/c", "1")
	put(t, s, "a/d", "2")
	r, _, err := s.Get(t.Context(), "bucket", "a/b/c", 0, -1)
	must(t, err)
	defer r.Close()
	for range 2 {
		must(t, s.Delete(t.Context(), "bucket", "a/b/c"))
	}
	if b, err := io.ReadAll(r); string(b) != "1" {
		t.Fatalf("an open reader lost its object: %q, %v", b, err)
	}
	if got := keys(t, s, "", "", 10); got != "a/d" {
		t.Fatalf("there is %q", got)
	}
	put(t, s, "a/b", "a key that was a directory")
}

func testDeletePutRace(t *testing.T, s *blob.Store) {
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for range 25 {
				key := fmt.Sprint("d/e/", w)
				_, err := s.Put(t.Context(), "bucket", key, strings.NewReader("x"), blob.PutOptions{Size: 1})
				if err == nil {
					_, err = s.Stat(t.Context(), "bucket", key)
				}
				if err == nil {
					err = s.Delete(t.Context(), "bucket", key)
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := keys(t, s, "", "", 10); got != "" {
		t.Fatalf("there is %q", got)
	}
}

func testList(t *testing.T, s *blob.Store) {
	all := []string{"a!", "a-b", "a.mp4", "a/b", "a/b.x/c", "a/c", "a0", "b/1/2/3", "b/10", "b/9", "z", "é"}
	for i := range all {
		put(t, s, all[(i*5)%len(all)], "x") // not in order
	}
	if got := keys(t, s, "", "", 100); got != strings.Join(all, " ") {
		t.Fatalf("got %q", got)
	}
	for limit := 1; limit <= 5; limit++ {
		var got []string
		for after := ""; ; after = got[len(got)-1] {
			items, err := s.List(t.Context(), "bucket", "", after, limit)
			must(t, err)
			for _, it := range items {
				got = append(got, it.Key)
			}
			if len(items) < limit {
				break
			}
		}
		if strings.Join(got, " ") != strings.Join(all, " ") {
			t.Fatalf("pages of %d: %q", limit, got)
		}
	}
	for _, c := range []struct{ prefix, after, want string }{
		{"a/", "", "a/b a/b.x/c a/c"}, {"a", "a/b", "a/b.x/c a/c a0"}, {"a/b", "", "a/b a/b.x/c"}, {"b/1", "", "b/1/2/3 b/10"},
		{"", "b/1/2/2", "b/1/2/3 b/10 b/9 z é"}, {"", "b/", "b/1/2/3 b/10 b/9 z é"}, {"b/", "b/5", "b/9"}, {"x", "", ""}, {"", "é", ""}, {"../", "", ""},
	} {
		if got := keys(t, s, c.prefix, c.after, 100); got != c.want {
			t.Fatalf("prefix %q after %q: %q, want %q", c.prefix, c.after, got, c.want)
		}
	}
	items, err := s.List(t.Context(), "bucket", "z", "", 1)
	if must(t, err); items[0].Size != 1 || items[0].ModTime.IsZero() {
		t.Fatalf("item %+v", items[0])
	}
	for _, limit := range []int{0, -1, blob.MaxList + 1} {
		_, err := s.List(t.Context(), "bucket", "", "", limit)
		wantKind(t, err, errs.Invalid)
	}
}

func testCopy(t *testing.T, s *blob.Store) {
	from := put(t, s, "src", "one")
	put(t, s, "dst/x", "to be replaced")
	for range 2 { // the second time onto itself
		a, err := s.Copy(t.Context(), "bucket", "src", "bucket", "dst/x")
		must(t, err)
		if got, b := get(t, s, "dst/x", 0, -1); got != "one" || b.Mime != from.Mime || b.SHA256 != from.SHA256 || a.Size != 3 {
			t.Fatalf("got %q %+v", got, b)
		}
	}
	_, err := s.Copy(t.Context(), "bucket", "src", "bucket", "src")
	must(t, err)
	put(t, s, "src", "changed")
	if got, b := get(t, s, "dst/x", 0, -1); got != "one" || b.Mime != from.Mime {
		t.Fatalf("the copy follows its source: %q %+v", got, b)
	}
	must(t, s.Delete(t.Context(), "bucket", "src"))
	_, err = s.Copy(t.Context(), "bucket", "dst/x", "other", "y")
	must(t, err)
	if a, err := s.Stat(t.Context(), "other", "y"); err != nil || a.Mime != from.Mime || a.Size != 3 {
		t.Fatalf("%+v, %v", a, err)
	}
}

func testReader(t *testing.T, s *blob.Store) {
	data := strings.Repeat("0123456789", 100)
	put(t, s, "r", data)
	r, err := s.Reader(t.Context(), "bucket", "r")
	must(t, err)
	if r.Size() != int64(len(data)) || r.Attr().Mime != "video/x-72" {
		t.Fatalf("size %d, attr %+v", r.Size(), r.Attr())
	}
	must(t, iotest.TestReader(io.NewSectionReader(r, 0, r.Size()), []byte(data)))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			b := make([]byte, 100)
			if n, err := r.ReadAt(b, int64(i*37)); n != 100 || err != nil || string(b) != data[i*37:i*37+100] {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
	wg.Wait()
	b := make([]byte, 10)
	if n, err := r.ReadAt(b, r.Size()-3); n != 3 || err != io.EOF {
		t.Fatalf("across the end: %d, %v", n, err)
	}
	put(t, s, "r", strings.Repeat("x", len(data)))
	if _, err := r.ReadAt(b, 0); err == nil && string(b) != "0123456789" {
		t.Fatalf("a replaced object gives %q", b)
	} else if err != nil {
		wantKind(t, err, errs.Conflict)
	}
	must(t, r.Close())
}

// testBig moves 64 MiB through in a stream.
func testBig(t *testing.T, s *blob.Store) {
	const size = 64 << 20
	h := sha256.New()
	src := io.TeeReader(io.LimitReader(&pattern{}, size), h)
	a, err := s.Put(t.Context(), "bucket", "big", src, blob.PutOptions{Size: size})
	must(t, err)
	if want := hex.EncodeToString(h.Sum(nil)); a.SHA256 != "" && a.SHA256 != want {
		t.Fatalf("sum %s, want %s", a.SHA256, want)
	}
	r, _, err := s.Get(t.Context(), "bucket", "big", 0, -1)
	must(t, err)
	defer r.Close()
	back := sha256.New()
	if n, err := io.Copy(back, r); err != nil || n != size || !bytes.Equal(back.Sum(nil), h.Sum(nil)) {
		t.Fatalf("%d bytes came back, %v", n, err)
	}
}

// pattern gives bytes that do not repeat soon.
type pattern struct{ n uint32 }

func (p *pattern) Read(b []byte) (int, error) {
	for i := range b {
		p.n = p.n*1664525 + 1013904223
		b[i] = byte(p.n >> 24)
	}
	return len(b), nil
}
