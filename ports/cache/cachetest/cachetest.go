// Package cachetest is the suite every driver of package cache passes.
package cachetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/cache"
)

// Harness is a driver under test.
type Harness struct {
	// Open gives an empty Cache with cache.Default's limits; the suite closes it.
	Open func(t *testing.T) *cache.Cache
	// Pass lets the cache's clock run on by d: a fake clock, or waiting.
	Pass func(d time.Duration)
}

// Run proves that a driver keeps the contract of package cache.
func Run(t *testing.T, h Harness) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *cache.Cache)
	}{
		{"GetSetDelete", testGetSetDelete},
		{"TTL", func(t *testing.T, c *cache.Cache) { testTTL(t, c, h.Pass) }},
		{"Invalid", testInvalid}, {"Ownership", testOwnership}, {"Concurrent", testConcurrent},
		{"Do", testDo}, {"DoError", testDoError}, {"DoCoalesces", testDoCoalesces},
		{"DoOneLeaves", testDoOneLeaves}, {"DoAllLeave", testDoAllLeave}, {"DoPanic", testDoPanic}, {"DoTooLarge", testDoTooLarge},
		{"Closed", testClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := h.Open(t)
			t.Cleanup(func() { must(t, x.Close()) })
			c.test(t, x)
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

func want(t testing.TB, c *cache.Cache, key, val string, there bool) {
	t.Helper()
	got, ok, err := c.Get(t.Context(), key)
	must(t, err)
	if ok != there || string(got) != val {
		t.Fatalf("%s is %q, %v; want %q, %v", key, got, ok, val, there)
	}
}

func testGetSetDelete(t *testing.T, c *cache.Cache) {
	ctx := t.Context()
	want(t, c, "k", "", false)
	must(t, c.Set(ctx, "k", []byte("one"), time.Hour))
	want(t, c, "k", "one", true)
	must(t, c.Set(ctx, "k", []byte("two"), time.Hour))
	want(t, c, "k", "two", true)
	must(t, c.Set(ctx, "empty", nil, time.Hour))
	want(t, c, "empty", "", true)
	odd := "\x00 \n{}:é" + strings.Repeat("k", 500)
	must(t, c.Set(ctx, odd, []byte{0, 255}, time.Hour))
	want(t, c, odd, "\x00\xff", true)
	for range 2 {
		must(t, c.Delete(ctx, "k"))
	}
	want(t, c, "k", "", false)
	want(t, c, "empty", "", true)
}

func testTTL(t *testing.T, c *cache.Cache, pass func(time.Duration)) {
	must(t, c.Set(t.Context(), "short", []byte("x"), 100*time.Millisecond))
	must(t, c.Set(t.Context(), "long", []byte("x"), 10*time.Hour))
	must(t, c.Set(t.Context(), "renewed", []byte("x"), 100*time.Millisecond))
	must(t, c.Set(t.Context(), "renewed", []byte("y"), 10*time.Hour))
	pass(200 * time.Millisecond)
	want(t, c, "short", "", false)
	want(t, c, "long", "x", true)
	want(t, c, "renewed", "y", true)
}

func testInvalid(t *testing.T, c *cache.Cache) {
	ctx := t.Context()
	nop := func(context.Context) ([]byte, error) { return nil, errors.New("computed") }
	for _, key := range []string{"", strings.Repeat("k", 513)} {
		_, _, err := c.Get(ctx, key)
		wantKind(t, err, errs.Invalid)
		wantKind(t, c.Set(ctx, key, nil, time.Hour), errs.Invalid)
		wantKind(t, c.Delete(ctx, key), errs.Invalid)
		_, err = c.Do(ctx, key, time.Hour, nop)
		wantKind(t, err, errs.Invalid)
	}
	for _, ttl := range []time.Duration{0, -1} {
		wantKind(t, c.Set(ctx, "k", nil, ttl), errs.Invalid)
		_, err := c.Do(ctx, "k", ttl, nop)
		wantKind(t, err, errs.Invalid)
	}
	wantKind(t, c.Set(ctx, "k", make([]byte, cache.Default().MaxValue+1), time.Hour), errs.TooLarge)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	_, _, err := c.Get(gone, "k")
	wantKind(t, err, errs.Canceled)
}

func testOwnership(t *testing.T, c *cache.Cache) {
	buf := []byte("mine")
	must(t, c.Set(t.Context(), "k", buf, time.Hour))
	copy(buf, "XXXX")
	got, _, err := c.Get(t.Context(), "k")
	must(t, err)
	copy(got, "YYYY")
	want(t, c, "k", "mine", true)
}

func testConcurrent(t *testing.T, c *cache.Cache) {
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 200 {
				key := fmt.Sprint("k", (w+i)%10)
				err := c.Set(t.Context(), key, bytes.Repeat([]byte(key), 100), time.Hour)
				val, ok, gerr := c.Get(t.Context(), key)
				if i%7 == 0 {
					err = errors.Join(err, c.Delete(t.Context(), key))
				}
				if err != nil || gerr != nil || ok && string(val) != strings.Repeat(key, 100) {
					t.Errorf("%v, %v, %.10q", err, gerr, val)
				}
			}
		})
	}
	wg.Wait()
}

func testDo(t *testing.T, c *cache.Cache) {
	for range 3 {
		n := 0
		got, err := c.Do(t.Context(), "k", time.Hour, func(context.Context) ([]byte, error) { n++; return []byte("v"), nil })
		must(t, err)
		if string(got) != "v" {
			t.Fatalf("got %q", got)
		}
		want(t, c, "k", "v", true)
	}
	got, err := c.Do(t.Context(), "k", time.Hour, func(context.Context) ([]byte, error) { t.Error("computed twice"); return nil, nil })
	if must(t, err); string(got) != "v" {
		t.Fatalf("got %q", got)
	}
}

func testDoError(t *testing.T, c *cache.Cache) {
	cause := errs.New(errs.Unsupported, "compute", "no")
	_, err := c.Do(t.Context(), "k", time.Hour, func(context.Context) ([]byte, error) { return nil, cause })
	wantKind(t, err, errs.Unsupported)
	if !errors.Is(err, cause) {
		t.Fatalf("the cause is lost: %v", err)
	}
	got, err := c.Do(t.Context(), "k", time.Hour, func(context.Context) ([]byte, error) { return []byte("now"), nil })
	if must(t, err); string(got) != "now" {
		t.Fatalf("an error was kept: %q", got)
	}
}

// gate is a computation that waits to be let go.
type gate struct {
	runs    atomic.Int32
	entered chan context.Context
	leave   chan struct{}
}

func newGate() *gate {
	return &gate{entered: make(chan context.Context, 100), leave: make(chan struct{})}
}

func (g *gate) compute(ctx context.Context) ([]byte, error) {
	g.runs.Add(1)
	g.entered <- ctx
	select {
	case <-g.leave:
		return []byte("v"), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func testDoCoalesces(t *testing.T, c *cache.Cache) {
	g := newGate()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			got, err := c.Do(t.Context(), "k", time.Hour, g.compute)
			if err != nil || string(got) != "v" {
				t.Errorf("got %q, %v", got, err)
			} else {
				got[0] = byte(i) // everybody has a value of his own
			}
		})
	}
	<-g.entered
	close(g.leave)
	wg.Wait()
	if n := g.runs.Load(); n != 1 {
		t.Fatalf("computed %d times", n)
	}
}

func testDoOneLeaves(t *testing.T, c *cache.Cache) {
	g := newGate()
	first, cancel := context.WithCancel(t.Context())
	left, stayed := make(chan error, 1), make(chan error, 1)
	go func() { _, err := c.Do(first, "k", time.Hour, g.compute); left <- err }()
	<-g.entered
	go func() {
		_, err := c.Do(t.Context(), "k", time.Hour, func(context.Context) ([]byte, error) {
			// Came after the first had gone: computes for itself.
			return []byte("v"), nil
		})
		stayed <- err
	}()
	cancel()
	wantKind(t, <-left, errs.Canceled)
	close(g.leave)
	must(t, <-stayed)
}

func testDoAllLeave(t *testing.T, c *cache.Cache) {
	g := newGate()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := c.Do(ctx, "k", time.Hour, g.compute); !errs.Is(err, errs.Canceled) {
				t.Errorf("got %v", err)
			}
		})
	}
	run := <-g.entered
	cancel()
	wg.Wait()
	<-run.Done() // nobody waits any more: the computation is told
	got, err := c.Do(t.Context(), "k", time.Hour, func(context.Context) ([]byte, error) { return []byte("anew"), nil })
	if must(t, err); string(got) != "anew" {
		t.Fatalf("got %q", got)
	}
}

func testDoPanic(t *testing.T, c *cache.Cache) {
	_, err := c.Do(t.Context(), "k", time.Hour, func(context.Context) ([]byte, error) { panic("ouch") })
	wantKind(t, err, errs.Internal)
	if !strings.Contains(err.Error(), "ouch") || errs.TailOf(err) == "" {
		t.Fatalf("the panic is lost: %v", err)
	}
}

func testDoTooLarge(t *testing.T, c *cache.Cache) {
	n := cache.Default().MaxValue + 1
	got, err := c.Do(t.Context(), "k", time.Hour, func(context.Context) ([]byte, error) { return make([]byte, n), nil })
	if must(t, err); len(got) != n {
		t.Fatalf("%d bytes", len(got))
	}
	want(t, c, "k", "", false)
}

func testClosed(t *testing.T, c *cache.Cache) {
	must(t, c.Close())
	_, _, err := c.Get(t.Context(), "k")
	wantKind(t, err, errs.Canceled)
	wantKind(t, c.Set(t.Context(), "k", nil, time.Hour), errs.Canceled)
	got, err := c.Do(t.Context(), "k", time.Hour, func(context.Context) ([]byte, error) { return []byte("v"), nil })
	if must(t, err); string(got) != "v" { // a cache that fails only costs time
		t.Fatalf("got %q", got)
	}
}
