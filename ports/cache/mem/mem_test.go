package mem_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/cache"
	"github.com/mediafn/mediafn/ports/cache/cachetest"
	"github.com/mediafn/mediafn/ports/cache/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuite(t *testing.T) {
	var passed atomic.Int64
	start := time.Now()
	now := func() time.Time { return start.Add(time.Duration(passed.Load())) }
	cachetest.Run(t, cachetest.Harness{
		Open: func(t *testing.T) *cache.Cache {
			c, err := mem.Open(mem.Options{Now: now}, cache.Default())
			if err != nil {
				t.Fatal(err)
			}
			return c
		},
		Pass: func(d time.Duration) { passed.Add(int64(d)) },
	})
}

// TestBounds: whatever is set, both bounds hold, and the newest value that fits is there.
func TestBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := mem.Options{MaxBytes: rapid.Int64Range(1, 3000).Draw(t, "bytes"), MaxEntries: rapid.IntRange(1, 8).Draw(t, "entries")}
		c := mem.New(o)
		for range rapid.IntRange(1, 60).Draw(t, "sets") {
			key := fmt.Sprint(rapid.IntRange(0, 12).Draw(t, "key"))
			val := make([]byte, rapid.IntRange(0, 1000).Draw(t, "size"))
			if err := c.Set(t.Context(), key, val, time.Hour); err != nil {
				t.Fatal(err)
			}
			entries, bytes := c.Size()
			if entries > o.MaxEntries || bytes > o.MaxBytes {
				t.Fatalf("%d entries, %d bytes in %+v", entries, bytes, o)
			}
			fits := int64(len(key)+len(val)+mem.Overhead) <= o.MaxBytes
			if got, ok, err := c.Get(t.Context(), key); ok != fits || err != nil || ok && len(got) != len(val) {
				t.Fatalf("%d bytes, %v, %v; fits: %v", len(got), ok, err, fits)
			}
		}
	})
}

func TestLeastRecentlyUsedGoes(t *testing.T) {
	c := mem.New(mem.Options{MaxEntries: 2})
	for _, key := range []string{"a", "b"} {
		if err := c.Set(t.Context(), key, nil, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok, _ := c.Get(t.Context(), "a"); !ok {
		t.Fatal("a is gone")
	}
	if err := c.Set(t.Context(), "c", nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]bool{"a": true, "b": false, "c": true} {
		if _, ok, _ := c.Get(t.Context(), key); ok != want {
			t.Fatalf("%s: %v, want %v", key, ok, want)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	c, err := mem.Open(mem.Options{}, cache.Default())
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Set(b.Context(), "k", make([]byte, 1000), time.Hour); err != nil {
		b.Fatal(err)
	}
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, ok, err := c.Get(b.Context(), "k"); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
}

// TestOneWaiterLeaves: of two who wait for one computation, the one that began it
// gives up; the other one gets the value, computed once.
func TestOneWaiterLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := mem.Open(mem.Options{}, cache.Default())
		if err != nil {
			t.Fatal(err)
		}
		runs, release := 0, make(chan struct{})
		compute := func(ctx context.Context) ([]byte, error) {
			runs++
			select {
			case <-release:
				return []byte("v"), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { _, err := c.Do(ctx, "k", time.Hour, compute); first <- err }()
		synctest.Wait()
		go func() { _, err := c.Do(t.Context(), "k", time.Hour, compute); second <- err }()
		synctest.Wait()
		cancel()
		if err := <-first; !errs.Is(err, errs.Canceled) {
			t.Fatalf("the first got %v", err)
		}
		synctest.Wait()
		close(release)
		if err := <-second; err != nil || runs != 1 {
			t.Fatalf("the second got %v after %d runs", err, runs)
		}
	})
}
