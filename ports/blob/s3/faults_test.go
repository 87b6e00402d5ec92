package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/internal/testparts"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/s3"
)

// rig is a store behind a proxy that breaks things, and a client of its own that
// sees what is really there.
type rig struct {
	*blob.Store
	proxy  *testparts.FaultProxy
	direct *minio.Core
	bucket string // as the server knows it
}

func newRig(t *testing.T, server *testparts.S3Server, change func(*s3.Options)) *rig {
	t.Helper()
	prefix := fresh()
	r := &rig{proxy: testparts.NewFaultProxy(t, server.Endpoint), bucket: prefix + "bucket"}
	r.Store = open(t, server.At(r.proxy.Endpoint, "prefix="+prefix), func(o *s3.Options) {
		o.PartSize, o.MaxCopy = 5<<20, 5<<20
		if change != nil {
			change(o)
		}
	})
	r.direct = newDirect(t, server)
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	r.put(t, "before", []byte("here")) // so that the bucket exists
	return r
}

// newDirect is a client without anything of ours.
func newDirect(t testing.TB, server *testparts.S3Server) *minio.Core {
	t.Helper()
	transport := &http.Transport{}
	core, err := minio.NewCore(server.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(server.Access, server.Secret, ""), Region: "us-east-1", Transport: transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return core
}

func (r *rig) put(t *testing.T, key string, data []byte) {
	t.Helper()
	if _, err := r.Put(t.Context(), "bucket", key, bytes.NewReader(data), blob.PutOptions{Size: int64(len(data)), Mime: "video/mp4"}); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) get(t *testing.T, key string) []byte {
	t.Helper()
	body, _, err := r.Get(t.Context(), "bucket", key, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// only checks what the server holds: objects, and uploads that are not finished.
func (r *rig) only(t *testing.T, keys ...string) {
	t.Helper()
	uploads, err := r.direct.ListMultipartUploads(t.Context(), r.bucket, "", "", "", "", 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(uploads.Uploads) != 0 {
		t.Errorf("%d unfinished uploads are left", len(uploads.Uploads))
	}
	objects, err := r.direct.ListObjectsV2(r.bucket, "", "", "", "", 100)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, o := range objects.Contents {
		got = append(got, o.Key)
	}
	if strings.Join(got, " ") != strings.Join(keys, " ") {
		t.Errorf("there is %q, want %q", got, keys)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

func method(m, query string) func(*http.Request) bool {
	return func(r *http.Request) bool { return r.Method == m && strings.Contains(r.URL.RawQuery, query) }
}

const large = 12<<20 + 12345 // three parts of 5 MiB

// TestParts: sizes around the parts, known and unknown beforehand.
func TestParts(t *testing.T) {
	r := newRig(t, testparts.S3(t), nil)
	data := noise(large)
	for _, size := range []int{5<<20 - 1, 5 << 20, 5<<20 + 1, 10 << 20, large} {
		for _, known := range []int64{int64(size), -1} {
			a, err := r.Put(t.Context(), "bucket", "parts", iotest.HalfReader(bytes.NewReader(data[:size])), blob.PutOptions{Size: known, Mime: "video/mp4"})
			if err != nil {
				t.Fatal(err)
			}
			b, err := r.Stat(t.Context(), "bucket", "parts")
			if err != nil || b.Size != int64(size) || b.ETag != a.ETag || !b.ModTime.Equal(a.ModTime) || b.Mime != "video/mp4" || len(a.SHA256) != 64 {
				t.Errorf("%d bytes: %+v, put said %+v, %v", size, b, a, err)
			}
			if inParts := strings.Contains(b.ETag, "-"); inParts != (size > 5<<20) || inParts != (b.SHA256 == "") {
				t.Errorf("%d bytes (%d): ETag %s, SHA256 %q", size, known, b.ETag, b.SHA256)
			}
			if !bytes.Equal(r.get(t, "parts"), data[:size]) {
				t.Errorf("%d bytes came back changed", size)
			}
		}
	}
	// A sum that is known beforehand is kept with the parts, and by a copy in parts.
	sum, err := r.Stat(t.Context(), "bucket", "before")
	if err != nil || sum.SHA256 == "" {
		t.Fatal(sum, err)
	}
	a, err := r.Put(t.Context(), "bucket", "parts", bytes.NewReader(data), blob.PutOptions{Size: large, Mime: "video/mp4"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Put(t.Context(), "bucket", "parts", bytes.NewReader(data), blob.PutOptions{Size: large, Mime: "video/mp4", SHA256: a.SHA256}); err != nil {
		t.Fatal(err)
	}
	c, err := r.Copy(t.Context(), "bucket", "parts", "bucket", "copied")
	if err != nil || c.Size != large || c.SHA256 != a.SHA256 || c.Mime != "video/mp4" || !strings.HasSuffix(c.ETag, "-3") {
		t.Fatalf("%+v, %v", c, err)
	}
	if !bytes.Equal(r.get(t, "copied"), data) {
		t.Error("the copy differs")
	}
	_, err = r.Put(t.Context(), "bucket", "parts", bytes.NewReader(data), blob.PutOptions{Size: large, IfAbsent: true})
	if !errs.Is(err, errs.Conflict) {
		t.Errorf("in parts, if absent: %v", err)
	}
	r.only(t, "before", "copied", "parts")
}

// TestShortOutages: what passes soon is not seen by the caller.
func TestShortOutages(t *testing.T) {
	server := testparts.S3(t)
	data := noise(large)
	for name, f := range map[string]testparts.Fault{
		"500": {Status: 500, Code: "InternalError"}, "503": {Status: 503, Code: "SlowDown"}, "bare-502": {Status: 502},
		"refused": {Refuse: true}, "answer-lost": {Lose: true}, "answer-cut": {CutReply: 20}, "slow": {Delay: 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, server, nil)
			r.put(t, "kept", data)
			f.Times = 2
			broken := func(what string, call func()) {
				t.Helper()
				r.proxy.Break(f)
				call()
				// What is only slow, or has no body to be cut, need not be asked for twice.
				if hits := r.proxy.Hits(); hits == 0 || hits == 1 && f.Delay == 0 && f.CutReply == 0 {
					t.Errorf("%s: %d requests were hit", what, hits)
				}
			}
			for _, size := range []int{large, 1 << 20} {
				broken("put", func() { r.put(t, "new", data[:size]) })
				broken("get", func() {
					if got := r.get(t, "new"); !bytes.Equal(got, data[:size]) {
						t.Errorf("%d bytes came back", len(got))
					}
				})
			}
			for what, call := range map[string]func() error{
				"stat":   func() error { _, err := r.Stat(t.Context(), "bucket", "kept"); return err },
				"list":   func() error { _, err := r.List(t.Context(), "bucket", "", "", 10); return err },
				"copy":   func() error { _, err := r.Copy(t.Context(), "bucket", "kept", "bucket", "copied"); return err },
				"delete": func() error { return r.Delete(t.Context(), "bucket", "none") },
			} {
				broken(what, func() {
					if err := call(); err != nil {
						t.Errorf("%s: %v", what, err)
					}
				})
			}
			r.proxy.Heal()
			if !bytes.Equal(r.get(t, "kept"), data) || !bytes.Equal(r.get(t, "copied"), data) {
				t.Error("the object or its copy has changed")
			}
			if f.Lose || f.CutReply > 0 { // of an upload whose beginning was not answered nobody knows the name; it is empty
				return
			}
			r.only(t, "before", "copied", "kept", "new")
		})
	}
	t.Run("upload-cut", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, server, nil)
		for _, size := range []int{large, 1 << 20} {
			r.proxy.Break(testparts.Fault{CutBody: 100_000, Times: 2, Only: func(r *http.Request) bool { return r.ContentLength > 200_000 }})
			r.put(t, "new", data[:size])
			if r.proxy.Hits() != 2 || !bytes.Equal(r.get(t, "new"), data[:size]) {
				t.Errorf("%d bytes: %d hits, or another object", size, r.proxy.Hits())
			}
		}
		r.only(t, "before", "new")
	})
}

// TestCutUploads: an upload that fails leaves neither an object nor parts of one.
func TestCutUploads(t *testing.T) {
	r := newRig(t, testparts.S3(t), nil)
	data := noise(large)
	part := method(http.MethodPut, "partNumber=2")
	for name, c := range map[string]struct {
		fault testparts.Fault
		size  int
		kind  errs.Kind
	}{
		"one request":     {testparts.Fault{CutBody: 100_000, Only: method(http.MethodPut, "")}, 1 << 20, errs.Transient},
		"second part":     {testparts.Fault{CutBody: 1 << 20, Only: part}, large, errs.Transient},
		"second part 503": {testparts.Fault{Status: 503, Code: "SlowDown", Only: part}, large, errs.Busy},
		"second part 403": {testparts.Fault{Status: 403, Code: "AccessDenied", Only: part}, large, errs.Denied},
		"completion":      {testparts.Fault{Status: 500, Code: "InternalError", Only: method(http.MethodPost, "uploadId=")}, large, errs.Transient},
	} {
		r.proxy.Break(c.fault)
		_, err := r.Put(t.Context(), "bucket", "new", iotest.HalfReader(bytes.NewReader(data[:c.size])), blob.PutOptions{Size: -1})
		if !errs.Is(err, c.kind) || r.proxy.Hits() == 0 {
			t.Errorf("%s: %v (%v), %d hits", name, err, errs.KindOf(err), r.proxy.Hits())
		}
		r.proxy.Heal()
		r.only(t, "before")
	}

	broken := errors.New("the line went dead")
	_, err := r.Put(t.Context(), "bucket", "new", io.MultiReader(bytes.NewReader(data), iotest.ErrReader(broken)), blob.PutOptions{Size: -1})
	if !errors.Is(err, broken) {
		t.Errorf("the reader's error is lost: %v", err)
	}
	_, err = r.Put(t.Context(), "bucket", "new", bytes.NewReader(data), blob.PutOptions{Size: large, SHA256: strings.Repeat("0", 64)})
	if errs.FieldOf(err) != "sha256" {
		t.Errorf("a wrong sum: %v", err)
	}
	r.only(t, "before")

	// Whoever gives up in the middle of a part leaves nothing either.
	ctx, cancel := context.WithCancel(t.Context())
	r.proxy.Break(testparts.Fault{Delay: time.Hour, Only: func(r *http.Request) bool {
		if part(r) {
			cancel()
		}
		return part(r)
	}})
	if _, err := r.Put(ctx, "bucket", "new", bytes.NewReader(data), blob.PutOptions{Size: large}); !errs.Is(err, errs.Canceled) {
		t.Errorf("given up: %v", err)
	}
	r.only(t, "before")

	// While the store is away altogether, the error says what stays behind.
	r.proxy.Break(testparts.Fault{Refuse: true, Only: func(r *http.Request) bool { return part(r) || r.Method == http.MethodDelete }})
	_, err = r.Put(t.Context(), "bucket", "new", iotest.HalfReader(bytes.NewReader(data)), blob.PutOptions{Size: -1})
	if !errs.Is(err, errs.Transient) || !strings.Contains(err.Error(), "stays there") {
		t.Errorf("no way to forget: %v", err)
	}
}

// TestCopyOfWhatChanges: a source that is replaced under a copy is copied as it is
// then, never half and half.
func TestCopyOfWhatChanges(t *testing.T) {
	r := newRig(t, testparts.S3(t), nil)
	for _, size := range []int{1000, large} {
		r.put(t, "source", noise(size))
		later := bytes.Repeat([]byte("n"), size)
		copies := 0
		r.proxy.Break(testparts.Fault{Refuse: true, Only: func(q *http.Request) bool {
			if q.Header.Get("X-Amz-Copy-Source") == "" {
				return false
			}
			if copies++; copies == 1 {
				if _, err := r.direct.Client.PutObject(context.Background(), r.bucket, "source", bytes.NewReader(later), int64(size), minio.PutObjectOptions{}); err != nil {
					t.Error(err)
				}
			}
			return false
		}})
		if _, err := r.Copy(t.Context(), "bucket", "source", "bucket", "copy"); err != nil {
			t.Fatal(err)
		}
		r.proxy.Heal()
		if got := r.get(t, "copy"); !bytes.Equal(got, later) || copies < 2 {
			t.Errorf("%d bytes, %d requests to copy", len(got), copies)
		}
		r.only(t, "before", "copy", "source")
	}
}

// TestMemory: many uploads get by with the memory of two parts.
func TestMemory(t *testing.T) {
	r := newRig(t, testparts.S3(t), func(o *s3.Options) { o.Memory = 2 * o.PartSize })
	data := noise(large)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			size := []int64{large, -1}[i%2]
			if _, err := r.Put(t.Context(), "bucket", string(rune('a'+i)), bytes.NewReader(data), blob.PutOptions{Size: size}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for i := range 6 {
		if !bytes.Equal(r.get(t, string(rune('a'+i))), data) {
			t.Errorf("object %d has changed", i)
		}
	}
	// Who waits for memory can give up, and what a failure held is free again.
	ctx, cancel := context.WithCancel(t.Context())
	hold, held := io.Pipe()
	defer held.Close()
	var slow sync.WaitGroup
	for range 2 {
		slow.Go(func() {
			_, err := r.Put(ctx, "bucket", "slow", hold, blob.PutOptions{Size: large})
			if !errs.Is(err, errs.Canceled) {
				t.Errorf("slow: %v", err)
			}
		})
	}
	for range 2 {
		_, _ = held.Write([]byte("x")) // they are reading, or about to
	}
	cancel()
	_ = held.CloseWithError(context.Canceled)
	slow.Wait()
	r.put(t, "after", data)
}

// TestSilence: a store that says nothing more counts as gone.
func TestSilence(t *testing.T) {
	r := newRig(t, testparts.S3(t), func(o *s3.Options) { o.Patience = 200 * time.Millisecond })
	r.put(t, "new", noise(1<<20))
	r.proxy.Break(testparts.Fault{Delay: time.Hour, Times: 2})
	if got := r.get(t, "new"); len(got) != 1<<20 {
		t.Errorf("%d bytes", len(got))
	}
	r.proxy.Break(testparts.Fault{Delay: time.Hour})
	if _, err := r.Stat(t.Context(), "bucket", "new"); !errs.Is(err, errs.Transient) || !strings.Contains(err.Error(), "stopped answering") {
		t.Errorf("stat: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := r.Stat(ctx, "bucket", "new"); !errs.Is(err, errs.Timeout) {
		t.Errorf("the caller's own patience: %v", err)
	}
}

// TestServerDies: a killed server that comes back holds what was stored.
func TestServerDies(t *testing.T) {
	server := testparts.S3(t)
	r := newRig(t, server, nil)
	server.Kill()
	if _, err := r.Stat(t.Context(), "bucket", "before"); !errs.Is(err, errs.Transient) {
		t.Errorf("dead: %v", err)
	}
	server.Start(t)
	if got := r.get(t, "before"); string(got) != "here" {
		t.Errorf("got %q", got)
	}
}
