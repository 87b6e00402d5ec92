package exec

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/internal/testparts"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/s3"
)

// TestS3: inputs come from an S3 server and outputs go there; a large input is
// read in place, by ranges, once for all readers, and over a line that breaks.
func TestS3(t *testing.T) {
	server := testparts.S3(t)
	proxy := testparts.NewFaultProxy(t, server.Endpoint)
	o, err := s3.Parse(server.At(proxy.Endpoint, "prefix=exec-"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := s3.Open(o, blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, copyAll, func(c *Config) {
		if err := c.Stores.Add("s3", store); err != nil {
			t.Fatal(err)
		}
	})
	small, large := picture(20, 10), movie(18<<20) // more than one request takes
	j := jobFor(b.put(t, "s3", "a.png", small), b.put(t, "s3", "b.mp4", large))
	j.Out.Cloud = "s3"

	var mu sync.Mutex
	var ranges, whole, cut int
	proxy.Break(testparts.Fault{CutReply: 1000, Only: func(r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/b.mp4") {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if r.Header.Get("Range") == "" {
			whole++
			return false
		}
		ranges++
		if ranges%20 == 0 {
			cut++
		}
		return ranges%20 == 0
	}})
	out, err := b.Run(t.Context(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	if whole != 0 || ranges < 20 || cut == 0 || cut != proxy.Hits() {
		t.Errorf("%d whole reads, %d ranges, %d of them cut", whole, ranges, cut)
	}
	for i, want := range [][]byte{small, large} {
		o := out.Outputs[i]
		if o.Cloud != "s3" || o.Bucket != "work" || o.Size != int64(len(want)) || len(o.SHA256) != 64 || !bytes.Equal(b.get(t, o.Ref), want) {
			t.Errorf("output %d: %+v", i, o)
		}
	}
	if s := b.Stats(); s.Fetched != int64(len(large)) {
		t.Errorf("%d bytes were fetched of %d", s.Fetched, len(large))
	}

	// What is done is put where the caller wants it by the store itself.
	proxy.Break(testparts.Fault{Status: http.StatusForbidden, Code: "AccessDenied", Only: func(r *http.Request) bool { return r.Method == http.MethodGet }})
	p := job.Job{
		Trace: "t2", Fn: job.Publish, Version: "1", Inputs: []job.Input{{Slot: "source", Ref: out.Outputs[1].Ref}},
		Out: job.Place{Cloud: "s3", Bucket: "work", Final: []media.Ref{{Cloud: "s3", Bucket: "mine", Key: "films/b.mp4"}}},
	}
	done, err := b.Run(t.Context(), p, nil)
	if err != nil {
		t.Fatal(err)
	}
	proxy.Heal()
	if done.Usage.BytesIn != 0 || !bytes.Equal(b.get(t, done.Outputs[0].Ref), large) {
		t.Errorf("published: %+v", done)
	}
}

// TestS3Away: a store that stays away fails the attempt for a passing reason.
func TestS3Away(t *testing.T) {
	server := testparts.S3(t)
	o, err := s3.Parse(server.URL("prefix=away-"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := s3.Open(o, blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, func(ctx context.Context, call *fn.Call) (*fn.Result, error) {
		server.Kill() // between reading and writing
		return copyAll(ctx, call)
	}, func(c *Config) {
		if err := c.Stores.Add("s3", store); err != nil {
			t.Fatal(err)
		}
	})
	j := jobFor(b.put(t, "s3", "a.png", picture(20, 10)))
	j.Out.Cloud = "s3"
	if _, err := b.Run(t.Context(), j, nil); !errs.Is(err, errs.Transient) {
		t.Errorf("away: %v", err)
	}
}
