package exec

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/ports/blob"
)

// Files a function computes under a key (fn.Output.Key) are kept for later
// calls: below cache/KEY/ in the bucket of the segments, with a small document
// cache/KEY.json that says what lies there. It is written last, and every writer
// has an object of its own: two that compute the same at one time disturb nobody,
// and nothing that a task was told of is ever changed.

// cached is what one job may take from there and leave there.
type cached struct {
	e    *Executor
	ctx  context.Context
	j    *job.Job
	spec *fn.Spec

	mu    sync.Mutex
	given []media.Object // what was found
}

// record is the document beside kept files.
type record struct {
	Fn      string       `json:"fn"`
	Version string       `json:"version"`
	Trace   string       `json:"trace"` // the attempt that computed it
	Object  media.Object `json:"object"`
}

const maxRecord = 64 << 10

// cached is nil for jobs that neither find nor keep anything: the place is not
// for it, it is switched off, or the function may give something else each time.
func (e *Executor) cached(ctx context.Context, j *job.Job, spec *fn.Spec) *cached {
	if !j.Out.Cache || e.cfg.CacheLife <= 0 || spec.Purity == fn.Impure {
		return nil
	}
	return &cached{e: e, ctx: ctx, j: j, spec: spec}
}

// Reuse counts files of earlier calls since the executor was opened.
type Reuse struct {
	Hits   int64 // found and used again
	Misses int64 // asked for in vain: not there, too old, asked for afresh
	Kept   int64 // left for later calls
}

// Reuse returns the counts.
func (e *Executor) Reuse() Reuse {
	return Reuse{Hits: e.reuse.hits.Load(), Misses: e.reuse.misses.Load(), Kept: e.reuse.kept.Load()}
}

// name is what a key is called in the store.
func (c *cached) name(key string) string {
	sum := sha256.New()
	for _, part := range []string{c.spec.Name, c.spec.Version, key} {
		sum.Write([]byte(part))
		sum.Write([]byte{0})
	}
	return job.Cached + hex.EncodeToString(sum.Sum(nil))
}

// find is fn.Call.Stored. What is wrong with a record or with what it names is a
// miss: computing is always right.
func (c *cached) find(key string) (_ media.Object, found bool) {
	defer func() {
		if found {
			c.e.reuse.hits.Add(1)
		} else {
			c.e.reuse.misses.Add(1)
		}
	}()
	o, err := c.look(c.name(key))
	if err != nil {
		if !errs.Is(err, errs.NotFound) && c.ctx.Err() == nil {
			c.e.log.Warn("a kept file is not used", "fn", c.spec.Name, "trace", c.j.Trace, "error", err)
		}
		return media.Object{}, false
	}
	if c.fresh(o.Name) {
		return media.Object{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.given = append(c.given, o)
	return o, true
}

// look reads a record and checks that it is true. NotFound is an ordinary miss:
// nothing is there, or it is too old. Whoever is given a file has half of its
// life left to use it in.
func (c *cached) look(name string) (o media.Object, err error) {
	store, err := c.e.cfg.Stores.Get(c.j.Out.Cloud)
	if err != nil {
		return o, err
	}
	body, attr, err := store.Get(c.ctx, c.j.Out.Bucket, name+".json", 0, maxRecord)
	if err != nil {
		return o, err
	}
	defer body.Close()
	raw, err := io.ReadAll(body)
	if err != nil {
		return o, errs.As(errs.Transient, "cache", err)
	}
	if time.Since(attr.ModTime) > c.e.cfg.CacheLife/2 {
		return o, errs.New(errs.NotFound, "cache", "%s is too old", name)
	}
	var r record
	if err := json.Unmarshal(raw, &r); err != nil {
		return o, errs.New(errs.Invalid, "cache", "%s.json: %w", name, err)
	}
	o = r.Object
	if o.Cloud != c.e.cloud(media.Ref{Cloud: c.j.Out.Cloud}) || o.Bucket != c.j.Out.Bucket || !strings.HasPrefix(o.Key, name+"/") {
		return o, errs.New(errs.Invalid, "cache", "%s.json names %s", name, o.Ref)
	}
	there, err := store.Stat(c.ctx, o.Bucket, o.Key)
	switch {
	case err != nil:
		return o, err
	case there.Size != o.Size, there.SHA256 != "" && o.SHA256 != "" && there.SHA256 != o.SHA256:
		return o, errs.New(errs.Invalid, "cache", "%s is not what %s.json says", o.Ref, name)
	}
	return o, nil
}

// fresh reports whether an output is to be computed though it is there.
func (c *cached) fresh(name string) bool {
	return slices.ContainsFunc(c.j.Fresh, func(f string) bool {
		return f == fn.AllFresh || f == name || f == strings.TrimSuffix(name, path.Ext(name))
	})
}

// gave reports whether o came from find: a function names no other object.
func (c *cached) gave(o *media.Object) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.given, *o)
}

// key is where an output is stored: where later calls find it if it has a key,
// else under the attempt's own.
func (c *cached) key(o *fn.Output) string {
	if c == nil || o.Key == "" {
		return ""
	}
	return c.name(o.Key) + "/" + c.j.Trace + "/" + o.Name
}

// keep writes the record of an object that is stored. Without it the object is
// as good for this task; only later calls don't find it.
func (c *cached) keep(ctx context.Context, key string, o media.Object) {
	store, err := c.e.cfg.Stores.Get(o.Cloud)
	if err == nil {
		err = c.record(ctx, store, key, o)
	}
	if err == nil {
		c.e.reuse.kept.Add(1)
	} else if ctx.Err() == nil {
		c.e.log.Warn("a file is not kept for later calls", "fn", c.spec.Name, "trace", c.j.Trace, "error", err)
	}
}

func (c *cached) record(ctx context.Context, store *blob.Store, key string, o media.Object) error {
	raw, err := json.Marshal(record{Fn: c.spec.Name, Version: c.spec.Version, Trace: c.j.Trace, Object: o})
	if err != nil {
		return errs.As(errs.Internal, "cache", err)
	}
	_, err = store.Put(ctx, o.Bucket, c.name(key)+".json", bytes.NewReader(raw), blob.PutOptions{Size: int64(len(raw)), Mime: "application/json"})
	return err
}
