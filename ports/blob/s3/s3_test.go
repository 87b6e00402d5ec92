package s3_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/internal/testparts"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/blobtest"
	"github.com/mediafn/mediafn/ports/blob/s3"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stores counts prefixes, so that every store of a test has buckets of its own.
var stores atomic.Int64

func fresh() string { return fmt.Sprintf("t%d-", stores.Add(1)) }

// open returns a store with nothing in it.
func open(t *testing.T, address string, change func(*s3.Options)) *blob.Store {
	t.Helper()
	o, err := s3.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&o)
	}
	s, err := s3.Open(o, blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSuite(t *testing.T) {
	server := testparts.S3(t)
	blobtest.Run(t, func(t *testing.T) *blob.Store {
		return open(t, server.URL("prefix="+fresh()), nil)
	})
}

// TestDenied: wrong credentials are told from everything that may pass.
func TestDenied(t *testing.T) {
	server := testparts.S3(t)
	right := open(t, server.URL("prefix=d-"), nil)
	defer right.Close()
	put := func(s *blob.Store) error {
		_, err := s.Put(t.Context(), "bucket", "k", strings.NewReader("x"), blob.PutOptions{Size: 1})
		return err
	}
	if err := put(right); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*s3.Options){
		"secret": func(o *s3.Options) { o.Secret = "wrong-secret" },
		"key":    func(o *s3.Options) { o.Access = "wrong-key" },
		"region": func(o *s3.Options) { o.Region = "elsewhere-1" },
	} {
		s := open(t, server.URL("prefix=d-"), change)
		_, _, get := s.Get(t.Context(), "bucket", "k", 0, -1)
		_, stat := s.Stat(t.Context(), "bucket", "k")
		_, list := s.List(t.Context(), "bucket", "", "", 1)
		_, copied := s.Copy(t.Context(), "bucket", "k", "bucket", "l")
		for what, err := range map[string]error{
			"get": get, "stat": stat, "list": list, "copy": copied, "put": put(s), "delete": s.Delete(t.Context(), "bucket", "k"),
		} {
			// To a HEAD with an unknown key this server answers a bare 404.
			if head := name == "key" && (what == "stat" || what == "copy"); head && errs.Is(err, errs.NotFound) {
				continue
			}
			if !errs.Is(err, errs.Denied) {
				t.Errorf("wrong %s, %s: %v (%v)", name, what, err, errs.KindOf(err))
			} else if strings.Contains(err.Error(), "wrong-secret") {
				t.Errorf("the secret is shown: %v", err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestBuckets: they come into being with their first object, unless that is
// forbidden, and again if somebody removes them.
func TestBuckets(t *testing.T) {
	server := testparts.S3(t)
	never := open(t, server.URL("prefix=b-&create=false"), nil)
	defer never.Close()
	s := open(t, server.URL("prefix=b-"), nil)
	defer s.Close()
	put := func(s *blob.Store, bucket string) error {
		_, err := s.Put(t.Context(), bucket, "k", strings.NewReader("x"), blob.PutOptions{Size: 1})
		return err
	}
	if err := put(never, "bucket"); !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "create=false") {
		t.Errorf("create=false: %v", err)
	}
	if err := put(s, "bucket"); err != nil {
		t.Error(err)
	}
	if err := put(never, "bucket"); err != nil {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), "bucket", "k"); err != nil {
		t.Error(err)
	}
	if err := newDirect(t, server).RemoveBucket(t.Context(), "b-bucket"); err != nil {
		t.Fatal(err)
	}
	if err := put(s, "bucket"); err != nil {
		t.Errorf("after somebody removed it: %v", err)
	}
	for _, bad := range []string{"ends-", "a.-b"} { // fine for the port, not for S3
		if err := put(s, bad); errs.FieldOf(err) != "bucket" {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := s.Stat(t.Context(), "bucket", " "); errs.FieldOf(err) != "key" {
		t.Errorf("a blank key: %v", err)
	}
}

// TestSpecialKeys: every byte a key may have survives every kind of request.
func TestSpecialKeys(t *testing.T) {
	s := open(t, testparts.S3(t).URL(""), nil)
	defer s.Close()
	all := []string{
		"a b/c+d", "100%/%41", "q?x=1&y#z", `"quoted" <tag>`, "'it''s'", "a&amp;b", "semi;colon:and,comma", "[x]{y}|^`~", "$!()*@=",
		"ünï/日本語/🎬.mp4", "trailing space /x ", "...three", `back\slash`, "e\u0301", "\u00e9",
	}
	for _, key := range all {
		if _, err := s.Put(t.Context(), "bucket", key, strings.NewReader(key), blob.PutOptions{Size: -1, Mime: "text/plain"}); err != nil {
			t.Errorf("%q: %v", key, err)
			continue
		}
		if _, err := s.Copy(t.Context(), "bucket", key, "bucket", "copy/"+key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
		r, _, err := s.Get(t.Context(), "bucket", "copy/"+key, 0, -1)
		if err != nil {
			t.Errorf("%q: %v", key, err)
			continue
		}
		if b, err := io.ReadAll(r); err != nil || string(b) != key {
			t.Errorf("%q holds %q, %v", key, b, err)
		}
		r.Close()
		items, err := s.List(t.Context(), "bucket", key, "", 10)
		if err != nil || len(items) != 1 || items[0].Key != key {
			t.Errorf("%q: listed %+v, %v", key, items, err)
		}
		items, err = s.List(t.Context(), "bucket", "copy/", "copy/", 100)
		if err != nil || !slices.ContainsFunc(items, func(i blob.Item) bool { return i.Key == "copy/"+key }) {
			t.Errorf("%q: not listed, %v", key, err)
		}
	}
	for _, key := range all {
		if err := s.Delete(t.Context(), "bucket", key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
		if _, err := s.Stat(t.Context(), "bucket", key); !errs.Is(err, errs.NotFound) {
			t.Errorf("%q: %v", key, err)
		}
	}
}
