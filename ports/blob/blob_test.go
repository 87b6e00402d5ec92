package blob_test

import (
	"context"
	"io"
	"path"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/driver"
	"github.com/mediafn/mediafn/ports/blob/mem"
)

// FuzzCheckKey: what is accepted stays below the bucket when joined to a path.
func FuzzCheckKey(f *testing.F) {
	for _, s := range []string{"a", "a/b", "..", "a/../b", "a//b", "/", "\x00", "é", "a/./b", "...", strings.Repeat("x", 1025)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if err := blob.CheckKey("key", key); err != nil {
			if !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != "key" {
				t.Fatalf("%v names no field", err)
			}
			return
		}
		if path.Join("b", key) != "b/"+key || len(key) > 1024 || strings.ContainsAny(key, "\x00\n\r\x7f") {
			t.Fatalf("%q was accepted", key)
		}
	})
}

// shaky is a real store that fails its first calls, half way through a Put.
type shaky struct {
	driver.Store
	fail int
	kind errs.Kind
}

func (s *shaky) down() error {
	if s.fail--; s.fail >= 0 {
		return errs.New(s.kind, "shaky", "down")
	}
	return nil
}

func (s *shaky) Put(ctx context.Context, bucket, key string, r io.Reader, o driver.PutOptions) (driver.Attr, error) {
	if err := s.down(); err != nil {
		_, _ = io.CopyN(io.Discard, r, 3)
		return driver.Attr{}, err
	}
	return s.Store.Put(ctx, bucket, key, r, o)
}

func (s *shaky) Stat(ctx context.Context, bucket, key string) (driver.Attr, error) {
	if err := s.down(); err != nil {
		return driver.Attr{}, err
	}
	return s.Store.Stat(ctx, bucket, key)
}

func TestRetry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &shaky{Store: mem.New(0), kind: errs.Transient}
		s, err := blob.New(d, blob.Default())
		if err != nil {
			t.Fatal(err)
		}
		put := func(r io.Reader) error {
			_, err := s.Put(t.Context(), "bucket", "k", r, blob.PutOptions{Size: 5})
			return err
		}
		d.fail = 3
		r := strings.NewReader("??hello")
		if _, err := r.Seek(2, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if err := put(r); err != nil {
			t.Fatal(err)
		}
		d.fail = 3
		if a, err := s.Stat(t.Context(), "bucket", "k"); err != nil || a.Size != 5 {
			t.Fatal(a, err)
		}
		d.fail = 1
		if err := put(iotest.OneByteReader(strings.NewReader("hello"))); !errs.Is(err, errs.Transient) {
			t.Fatalf("a reader that cannot go back: %v", err)
		}
		d.fail = 4
		if _, err := s.Stat(t.Context(), "bucket", "k"); !errs.Is(err, errs.Transient) {
			t.Fatalf("for ever down: %v", err)
		}
		d.fail, d.kind = 1, errs.Denied
		if _, err := s.Stat(t.Context(), "bucket", "k"); !errs.Is(err, errs.Denied) || d.fail != 0 {
			t.Fatalf("denied: %v", err)
		}
	})
}

// torn is a real store whose readers break off.
type torn struct {
	driver.Store
	after int64 // bytes
	times int
	then  func() // called when one breaks off
}

func (d *torn) Get(ctx context.Context, bucket, key string, offset, length int64) (io.ReadCloser, driver.Attr, error) {
	r, a, err := d.Store.Get(ctx, bucket, key, offset, length)
	if err != nil || d.times == 0 {
		return r, a, err
	}
	d.times--
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(io.LimitReader(r, d.after), &brokenLine{d.then}), r}, a, nil
}

type brokenLine struct{ then func() }

func (b *brokenLine) Read([]byte) (int, error) {
	if b.then != nil {
		b.then()
	}
	return 0, errs.New(errs.Transient, "torn", "the line broke")
}

func TestReadersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &torn{Store: mem.New(0)}
		s, err := blob.New(d, blob.Default())
		if err != nil {
			t.Fatal(err)
		}
		put := func(data string) {
			if _, err := s.Put(t.Context(), "bucket", "k", strings.NewReader(data), blob.PutOptions{Size: -1}); err != nil {
				t.Fatal(err)
			}
		}
		read := func(offset, length int64) (string, error) {
			r, _, err := s.Get(t.Context(), "bucket", "k", offset, length)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			b, err := io.ReadAll(r)
			return string(b), err
		}
		put("0123456789")
		// Eleven breaks, but never more than three without a byte between them.
		for _, c := range []struct {
			after          int64
			times          int
			offset, length int64
			want           string
		}{{1, 9, 0, -1, "0123456789"}, {2, 2, 3, 5, "34567"}, {0, 3, 0, -1, "0123456789"}, {5, 1, 3, 5, "34567"}} {
			d.after, d.times = c.after, c.times
			got, err := read(c.offset, c.length)
			if got != c.want || err != nil || d.times != 0 {
				t.Fatalf("%+v: %q, %v, %d breaks left", c, got, err, d.times)
			}
		}
		d.after, d.times = 0, 4
		if got, err := read(0, -1); got != "" || !errs.Is(err, errs.Transient) {
			t.Fatalf("for ever torn: %q, %v", got, err)
		}
		d.after, d.times, d.then = 4, 1, func() { put("another one") }
		if got, err := read(0, -1); got != "0123" || !errs.Is(err, errs.Transient) {
			t.Fatalf("two versions are mixed: %q, %v", got, err)
		}
	})
}

func TestStores(t *testing.T) {
	all := blob.NewStores()
	if _, err := all.Get(""); !errs.Is(err, errs.Invalid) || all.Default() != "" {
		t.Fatalf("an empty set gives %v", err)
	}
	byName := map[string]*blob.Store{}
	for _, name := range []string{"local", "aws"} {
		s, err := mem.Open(0, blob.Default())
		if err != nil {
			t.Fatal(err)
		}
		byName[name] = s
		if err := all.Add(name, s); err != nil {
			t.Fatal(err)
		}
		if err := all.Add(name, s); !errs.Is(err, errs.Conflict) {
			t.Fatalf("twice: %v", err)
		}
	}
	for name, want := range map[string]string{"": "local", "local": "local", "aws": "aws"} {
		if s, err := all.Get(name); err != nil || s != byName[want] {
			t.Fatalf("%q: %v, %v", name, s, err)
		}
	}
	if _, err := all.Get("gcp"); errs.FieldOf(err) != "cloud" || !strings.Contains(err.Error(), "aws, local") {
		t.Fatalf("unknown: %v", err)
	}
	if err := all.Add("a b", byName["aws"]); errs.FieldOf(err) != "cloud" {
		t.Fatalf("a bad name: %v", err)
	}
	if err := all.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConfig(t *testing.T) {
	if err := blob.Default().Validate(); err != nil {
		t.Fatal(err)
	}
	if _, err := blob.New(mem.New(0), blob.Config{Backoff: -1}); !errs.Is(err, errs.Invalid) {
		t.Fatal(err)
	}
}
