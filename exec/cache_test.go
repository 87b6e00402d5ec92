package exec

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/ports/blob"
)

// keyed is a function that gives a file a source, named 0.bin, 1.bin …, and looks
// for each before it computes it. It counts what it computed.
type keyed struct{ computed atomic.Int64 }

func (k *keyed) run(_ context.Context, call *fn.Call) (*fn.Result, error) {
	res := &fn.Result{}
	for i := range call.Inputs {
		in := &call.Inputs[i]
		name := fmt.Sprintf("%d.bin", i)
		key := ""
		if in.Identity != "" {
			key = "flipped " + in.Identity + string(call.Params)
		}
		if o, ok := call.LookUp(key); ok {
			res.Outputs = append(res.Outputs, fn.Output{Slot: "out", Name: name, Key: key, Object: &o})
			continue
		}
		k.computed.Add(1)
		raw := make([]byte, in.Size)
		if _, err := in.Data.ReadAt(raw, 0); err != nil {
			return nil, err
		}
		out := write(call, name, flipped(raw))
		out.Key = key
		res.Outputs = append(res.Outputs, out)
	}
	return res, nil
}

func flipped(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = ^b[i]
	}
	return out
}

const dayLong = 24 * time.Hour

func withCache(c *Config) { c.CacheLife = dayLong }

// caching is a job whose outputs may be kept, of an attempt of its own.
func caching(trace string, refs ...media.Ref) job.Job {
	j := jobFor(refs...)
	j.Trace = trace
	j.Out = job.Place{Bucket: "work", Prefix: "task/event/" + trace, Cache: true}
	return j
}

func mustRun(t *testing.T, b *bench, j job.Job) job.Outcome {
	t.Helper()
	out, err := b.Run(t.Context(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCache: what was computed once is found again while everything it depends on
// is the same, from the copy in scratch as from the object read in place.
func TestCache(t *testing.T) {
	for name, size := range map[string]int{"copied": 5000, "in place": 200_000} {
		t.Run(name, func(t *testing.T) {
			k := &keyed{}
			b := newBench(t, k.run, withCache)
			src := b.put(t, "main", "a.mp4", movie(size))
			first := mustRun(t, b, caching("t1", src))
			if o := first.Outputs[0]; !strings.HasPrefix(o.Key, "cache/") || !strings.HasSuffix(o.Key, "/t1/0.bin") || first.Usage.Reused != 0 || first.Usage.BytesOut != int64(size) {
				t.Errorf("first: %+v %+v", o, first.Usage)
			}
			again := mustRun(t, b, caching("t2", src))
			if again.Outputs[0] != first.Outputs[0] || again.Usage.Reused != 1 || again.Usage.BytesOut != 0 || k.computed.Load() != 1 {
				t.Errorf("again: %+v %+v, computed %d", again.Outputs[0], again.Usage, k.computed.Load())
			}
			if got := b.get(t, again.Outputs[0].Ref); !bytes.Equal(got, flipped(movie(size))) {
				t.Error("the kept file has other bytes")
			}
			if want := (Reuse{Hits: 1, Misses: 1, Kept: 1}); b.Reuse() != want {
				t.Errorf("counted %+v, want %+v", b.Reuse(), want)
			}

			other := caching("t3", src)
			other.Params = json.RawMessage(`{"level":7}`)
			if out := mustRun(t, b, other); out.Usage.Reused != 0 {
				t.Error("found with other parameters")
			}
			b.put(t, "main", "a.mp4", movie(size)) // another version, though of the same bytes
			if out := mustRun(t, b, caching("t4", src)); out.Usage.Reused != 0 {
				t.Error("found after the source was replaced")
			}
			if k.computed.Load() != 3 {
				t.Errorf("computed %d times, want 3", k.computed.Load())
			}
		})
	}
}

// TestCacheVersion: another version of the function finds nothing of the first.
func TestCacheVersion(t *testing.T) {
	k := &keyed{}
	b := newBench(t, k.run, withCache)
	src := b.put(t, "main", "a.mp4", movie(5000))
	mustRun(t, b, caching("t1", src))
	next := define("test.run", []media.Kind{media.Video}, k.run)
	next.Spec().Version = "2"
	b.cfg.Functions = fn.NewRegistry(next)
	j := caching("t2", src)
	j.Version = "2"
	if out := mustRun(t, b, j); out.Usage.Reused != 0 {
		t.Error("found what version 1 left")
	}
}

// TestNotCached: where nothing may be kept nothing is, and nothing is looked for.
func TestNotCached(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		job    func(*job.Job)
	}{
		"switched off":         {nil, func(*job.Job) {}},
		"not the place for it": {withCache, func(j *job.Job) { j.Out.Cache = false }},
		"another result each time": {func(c *Config) {
			withCache(c)
			f, err := c.Functions.Get("test.run")
			if err != nil {
				panic(err)
			}
			f.Spec().Purity = fn.Impure
		}, func(*job.Job) {}},
	} {
		t.Run(name, func(t *testing.T) {
			k := &keyed{}
			b := newBench(t, k.run, c.change)
			src := b.put(t, "main", "a.mp4", movie(5000))
			for _, trace := range []string{"t1", "t2"} {
				j := caching(trace, src)
				c.job(&j)
				out := mustRun(t, b, j)
				if out.Usage.Reused != 0 || out.Outputs[0].Key != "task/event/"+trace+"/0.bin" {
					t.Errorf("%s: %+v", trace, out)
				}
			}
			if k.computed.Load() != 2 || b.Reuse() != (Reuse{}) {
				t.Errorf("computed %d, counted %+v", k.computed.Load(), b.Reuse())
			}
		})
	}
}

// TestCacheLies: a record that is not true is a miss, and computing mends it.
func TestCacheLies(t *testing.T) {
	for name, lie := range map[string]func(t *testing.T, b *bench, o media.Object, at string){
		"the object is gone": func(t *testing.T, b *bench, o media.Object, _ string) { b.drop(t, o.Bucket, o.Key) },
		"the object has another size": func(t *testing.T, b *bench, o media.Object, _ string) {
			b.write(t, o.Bucket, o.Key, "short")
		},
		"the object has other bytes": func(t *testing.T, b *bench, o media.Object, _ string) {
			b.write(t, o.Bucket, o.Key, strings.Repeat("x", int(o.Size)))
		},
		"no JSON": func(t *testing.T, b *bench, o media.Object, at string) { b.write(t, o.Bucket, at, "{") },
		"another object": func(t *testing.T, b *bench, o media.Object, at string) {
			b.write(t, o.Bucket, "task/secret", "secret")
			o.Key, o.Size = "task/secret", 6
			raw, _ := json.Marshal(record{Object: o})
			b.write(t, o.Bucket, at, string(raw))
		},
		"another bucket": func(t *testing.T, b *bench, o media.Object, at string) {
			b.write(t, "theirs", o.Key, "theirs")
			o.Bucket, o.Size = "theirs", 6
			raw, _ := json.Marshal(record{Object: o})
			b.write(t, "work", at, string(raw))
		},
		"the record is gone": func(t *testing.T, b *bench, o media.Object, at string) { b.drop(t, o.Bucket, at) },
	} {
		t.Run(name, func(t *testing.T) {
			k := &keyed{}
			b := newBench(t, k.run, withCache)
			src := b.put(t, "main", "a.mp4", movie(5000))
			first := mustRun(t, b, caching("t1", src)).Outputs[0]
			lie(t, b, first, strings.TrimSuffix(first.Key, "/t1/0.bin")+".json")
			for i, reused := range []int{0, 1} {
				out := mustRun(t, b, caching(fmt.Sprintf("t%d", i+2), src))
				if out.Usage.Reused != reused || !bytes.Equal(b.get(t, out.Outputs[0].Ref), flipped(movie(5000))) {
					t.Errorf("run %d: %+v", i+2, out)
				}
			}
		})
	}
}

// TestCacheAge: in the second half of their lives files are used no more.
func TestCacheAge(t *testing.T) {
	k := &keyed{}
	b := newBench(t, k.run, func(c *Config) { c.CacheLife = 1 }) // a nanosecond: over before anybody can look
	src := b.put(t, "main", "a.mp4", movie(5000))
	for _, trace := range []string{"t1", "t2"} {
		if out := mustRun(t, b, caching(trace, src)); out.Usage.Reused != 0 {
			t.Errorf("%s was given a file that is about to be deleted", trace)
		}
	}
	if k.computed.Load() != 2 {
		t.Errorf("computed %d times", k.computed.Load())
	}
}

// TestFresh: outputs that are named are computed though they are there; the
// others are not, and later calls find the new ones.
func TestFresh(t *testing.T) {
	k := &keyed{}
	b := newBench(t, k.run, withCache)
	one, two := b.put(t, "main", "1.mp4", movie(5000)), b.put(t, "main", "2.mp4", movie(6000))
	before := mustRun(t, b, caching("t1", one, two)).Outputs
	for i, c := range []struct {
		fresh  []string
		reused int
	}{{[]string{"1"}, 1}, {[]string{"1.bin"}, 1}, {[]string{"all"}, 0}, {[]string{"720p"}, 2}, {nil, 2}} {
		j := caching(fmt.Sprintf("t%d", i+2), one, two)
		j.Fresh = c.fresh
		out := mustRun(t, b, j)
		if out.Usage.Reused != c.reused {
			t.Errorf("fresh %v: %d reused, want %d", c.fresh, out.Usage.Reused, c.reused)
		}
		if same := out.Outputs[0] == before[0]; same != (c.reused > 0) {
			t.Errorf("fresh %v: the first is %+v, was %+v", c.fresh, out.Outputs[0], before[0])
		}
		if out.Outputs[0] != before[0] || out.Outputs[1] != before[1] {
			before = out.Outputs
		}
	}
}

// TestCacheCrowd: many attempts at the same thing disturb nobody, each gets a file
// that stays as it is.
func TestCacheCrowd(t *testing.T) {
	const crowd = 8
	var together sync.WaitGroup // every one has looked, in vain, before the first writes
	together.Add(crowd)
	var done atomic.Bool
	k := &keyed{}
	b := newBench(t, func(ctx context.Context, call *fn.Call) (*fn.Result, error) {
		res, err := k.run(ctx, call)
		if !done.Load() {
			together.Done()
			together.Wait()
		}
		return res, err
	}, withCache)
	src := b.put(t, "main", "a.mp4", movie(5000))
	outs := make([]media.Object, crowd)
	var group sync.WaitGroup
	for i := range crowd {
		group.Go(func() {
			out, err := b.Run(t.Context(), caching(fmt.Sprintf("c%d", i), src), nil)
			if err != nil {
				t.Error(err)
				return
			}
			outs[i] = out.Outputs[0]
		})
	}
	group.Wait()
	done.Store(true)
	for _, o := range outs {
		if !bytes.Equal(b.get(t, o.Ref), flipped(movie(5000))) {
			t.Errorf("%v has other bytes", o)
		}
	}
	if out := mustRun(t, b, caching("late", src)); out.Usage.Reused != 1 || k.computed.Load() != crowd {
		t.Errorf("afterwards: %+v, computed %d", out.Usage, k.computed.Load())
	}
}

// TestUnnamedObject: a function names no object but what it was given.
func TestUnnamedObject(t *testing.T) {
	b := newBench(t, func(_ context.Context, call *fn.Call) (*fn.Result, error) {
		o := media.Object{Ref: media.Ref{Cloud: "main", Bucket: "in", Key: "a.mp4"}, Size: 5000}
		return &fn.Result{Outputs: []fn.Output{{Slot: "out", Name: "x", Key: "k", Object: &o}}}, nil
	}, withCache)
	_, err := b.Run(t.Context(), caching("t1", b.put(t, "main", "a.mp4", movie(5000))), nil)
	if !errs.Is(err, errs.Internal) {
		t.Errorf("%v", err)
	}
}

func (b *bench) drop(t *testing.T, bucket, key string) {
	t.Helper()
	s, err := b.stores.Get("main")
	if err == nil {
		err = s.Delete(t.Context(), bucket, key)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (b *bench) write(t *testing.T, bucket, key, text string) {
	t.Helper()
	s, err := b.stores.Get("main")
	if err == nil {
		_, err = s.Put(t.Context(), bucket, key, strings.NewReader(text), blob.PutOptions{Size: int64(len(text))})
	}
	if err != nil {
		t.Fatal(err)
	}
}
