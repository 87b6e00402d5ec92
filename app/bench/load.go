package bench

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/api"
)

// Latency describes how long something took, in milliseconds.
type Latency struct {
	P50 float64 `json:"p50_ms"`
	P90 float64 `json:"p90_ms"`
	P99 float64 `json:"p99_ms"`
	Max float64 `json:"max_ms"`
}

func latency(took []time.Duration) Latency {
	if len(took) == 0 {
		return Latency{}
	}
	took = slices.Clone(took)
	slices.Sort(took)
	ms := func(q float64) float64 { return took[int(q*float64(len(took)-1))].Seconds() * 1000 }
	return Latency{P50: ms(0.50), P90: ms(0.90), P99: ms(0.99), Max: ms(1)}
}

// load is a run of tasks against one address.
type load struct {
	address string
	tasks   int
	clients int
	rate    float64 // offered a second; 0 = every client sends as fast as it is answered
	body    func(i int) ([]byte, error)

	began time.Time
	due   []time.Time     // when each was to be sent
	took  []time.Duration // until its 202, counted from then
	ids   []string        // of open loops only
}

// send sends all tasks and returns when each was accepted.
func (l *load) send(ctx context.Context) error {
	l.due, l.took = make([]time.Time, l.tasks), make([]time.Duration, l.tasks)
	if l.rate > 0 {
		return l.open(ctx)
	}
	return l.closed(ctx)
}

func (l *load) closed(ctx context.Context) error {
	l.began = time.Now()
	var next atomic.Int64
	var clients errgroup.Group
	for range l.clients {
		clients.Go(func() error {
			c, err := dial(ctx, l.address)
			if err != nil {
				return err
			}
			defer c.close()
			defer context.AfterFunc(ctx, c.close)() // nobody may be there to answer any more
			for i := int(next.Add(1)) - 1; i < l.tasks && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				body, err := l.body(i)
				if err != nil {
					return err
				}
				l.due[i] = time.Now()
				if _, err := c.post(body); err != nil {
					return err
				}
				l.took[i] = time.Since(l.due[i])
			}
			return ctx.Err()
		})
	}
	return clients.Wait()
}

// open sends by the clock, whether or not earlier requests are answered, and
// counts latency from the moment a request was due: what waits because the
// server is slow is part of the figure.
func (l *load) open(ctx context.Context) error {
	l.ids = make([]string, l.tasks)
	idle := make(chan *caller, l.clients)
	for range l.clients {
		c, err := dial(ctx, l.address)
		if err != nil {
			return err
		}
		defer c.close()
		idle <- c
	}
	l.began = time.Now()
	return byClock(ctx, l.rate, l.began, l.due, func(ctx context.Context, i int) error {
		var c *caller
		select {
		case c = <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
		body, err := l.body(i)
		if err != nil {
			return err
		}
		stop := context.AfterFunc(ctx, c.close)
		answer, err := c.post(body)
		stop()
		if err != nil {
			return err
		}
		l.took[i] = time.Since(l.due[i])
		var said api.Response
		if err := json.Unmarshal(answer, &said); err != nil {
			return err
		}
		l.ids[i] = said.TaskID
		idle <- c
		return nil
	})
}

// byClock starts one do for each of due, so many a second, filling in when
// each was due, and waits for all of them.
func byClock(ctx context.Context, rate float64, began time.Time, due []time.Time, do func(ctx context.Context, i int) error) error {
	doing, ctx := errgroup.WithContext(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range due {
		due[i] = began.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if wait := time.Until(due[i]); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return doing.Wait()
			}
		}
		doing.Go(func() error { return do(ctx, i) })
	}
	return doing.Wait()
}

// until gives how long after it was due each task reached something, where
// that is known.
func (l *load) until(when func(i int) (time.Time, bool)) []time.Duration {
	var all []time.Duration
	for i := range l.due {
		if at, ok := when(i); ok {
			all = append(all, at.Sub(l.due[i]))
		}
	}
	return all
}

// poll waits until done says so, looking every so often.
func poll(ctx context.Context, every time.Duration, done func() (bool, error)) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// each runs do for 0 … n-1 by so many callers at once, until the first error.
func each(ctx context.Context, n, callers int, do func(i int) error) error {
	var next atomic.Int64
	var failed sync.Once
	var first error
	var all sync.WaitGroup
	stop := make(chan struct{})
	for range callers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				select {
				case <-stop:
					return
				case <-ctx.Done():
					failed.Do(func() { first = ctx.Err(); close(stop) })
					return
				default:
				}
				if err := do(i); err != nil {
					failed.Do(func() { first = err; close(stop) })
					return
				}
			}
		})
	}
	all.Wait()
	return first
}
