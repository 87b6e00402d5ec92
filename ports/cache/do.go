package cache

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// flights are the computations that run now.
type flights struct {
	mu      sync.Mutex
	running map[string]*flight
}

type flight struct {
	waiting int // callers; the last one to leave cancels the computation
	cancel  context.CancelFunc
	done    chan struct{}
	val     []byte // valid after done
	err     error
}

// Do returns the value under key, computing and keeping it (see Set) if there is
// none. Callers that want the same key at the same time share one computation; its
// error goes to all of them and is not kept. compute's context has the values of the
// first caller's but ends only when every waiting caller has gone: one that gives up
// gets Canceled or Timeout and disturbs nobody. The value belongs to the caller.
//
// A cache that fails does not make Do fail: it then only computes. A value larger
// than Config.MaxValue is returned and not kept.
func (c *Cache) Do(ctx context.Context, key string, ttl time.Duration, compute func(context.Context) ([]byte, error)) (val []byte, err error) {
	const op = "cache.do"
	start, hit := time.Now(), false
	defer func() { c.observe("do", hit, start, err) }()
	if err := c.check(ctx, key); err != nil {
		return nil, errs.Wrap(op, err)
	}
	if err := checkTTL(ttl); err != nil {
		return nil, errs.Wrap(op, err)
	}
	if val, hit, err = c.Get(ctx, key); hit {
		return val, nil
	}
	f := c.join(ctx, key, ttl, compute)
	select {
	case <-f.done:
	case <-ctx.Done():
		c.leave(key, f)
		return nil, errs.Wrap(op, ctx.Err())
	}
	return slices.Clone(f.val), errs.Wrap(op, f.err)
}

// join takes part in the computation of key, starting it if there is none.
func (c *Cache) join(ctx context.Context, key string, ttl time.Duration, compute func(context.Context) ([]byte, error)) *flight {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	if f := c.flights.running[key]; f != nil {
		f.waiting++
		return f
	}
	run, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{waiting: 1, cancel: cancel, done: make(chan struct{})}
	c.flights.running[key] = f
	go func() {
		defer cancel()
		// Between the caller's look and this moment another flight may have landed.
		if val, ok, err := c.Get(run, key); err == nil && ok {
			f.val = val
		} else if f.val, f.err = guard(run, compute); f.err == nil {
			// What the cache says is seen by Observe; the value is good all the same.
			_ = c.Set(run, key, f.val, ttl)
		}
		c.flights.mu.Lock()
		if c.flights.running[key] == f {
			delete(c.flights.running, key)
		}
		c.flights.mu.Unlock()
		close(f.done)
	}()
	return f
}

// leave gives up waiting. After the last one a new caller starts anew instead of
// joining what is being canceled.
func (c *Cache) leave(key string, f *flight) {
	c.flights.mu.Lock()
	defer c.flights.mu.Unlock()
	if f.waiting--; f.waiting > 0 {
		return
	}
	f.cancel()
	if c.flights.running[key] == f {
		delete(c.flights.running, key)
	}
}

// guard turns a panic into an error: it would otherwise end the process from a
// goroutine no caller can recover in.
func guard(ctx context.Context, compute func(context.Context) ([]byte, error)) (val []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			val, err = nil, &errs.Error{Kind: errs.Internal, Op: "cache.compute", Msg: fmt.Sprint("panic: ", p), Tail: string(debug.Stack())}
		}
	}()
	return compute(ctx)
}
