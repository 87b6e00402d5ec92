// Package results is the role that tells callers how their tasks ended: it
// empties the outbox of webhooks, signs them, and keeps a log of every try; and
// it fills the tenants' result queues.
package results

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/internal/span"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
)

// Config sets how webhooks are sent and result queues filled.
type Config struct {
	Name     string        // unique among processes: who holds the duty to fill result queues
	Duty     time.Duration // life of that duty between renewals
	Poll     time.Duration // the outbox is looked at this often, and when something is put in
	Timeout  time.Duration // for a receiver's answer
	Parallel int           // webhooks under way at once
	Schedule []time.Duration
	// Secret signs a tenant's webhooks ("whsec_" + base64 of 24–64 bytes);
	// empty = they are sent unsigned.
	Secret func(tenant string) string
}

// Default follows the Standard Webhooks specification: ten tries over three
// days, an answer within 20 s.
func Default(name string) Config {
	return Config{
		Name: name, Duty: 10 * time.Second, Poll: 2 * time.Second, Timeout: 20 * time.Second, Parallel: 32,
		Schedule: []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
			10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour},
		Secret: func(string) string { return "" },
	}
}

// Sender posts to addresses callers gave; egress.Client is one.
type Sender interface {
	Post(ctx context.Context, addr string, header http.Header, body []byte) (int, http.Header, error)
}

// Parts are what the role works with.
type Parts struct {
	Store   *state.Store
	Queue   *queue.Queue
	Sender  Sender
	Log     *slog.Logger
	Now     func() time.Time
	Reached func(point string)
	Metrics *Metrics     // nil counts nothing
	Tracer  *span.Tracer // nil traces nothing
}

// Results is the role. Create it with New, run it once.
type Results struct {
	cfg   Config
	parts Parts
	wake  chan struct{}

	mu   sync.Mutex
	busy map[string]bool // posts under way, by id
}

// New returns the role.
func New(cfg Config, parts Parts) *Results {
	if parts.Now == nil {
		parts.Now = time.Now
	}
	if parts.Reached == nil {
		parts.Reached = func(string) {}
	}
	return &Results{cfg: cfg, parts: parts, wake: make(chan struct{}, 1), busy: map[string]bool{}}
}

// Run works until ctx ends and waits for the webhooks under way.
func (r *Results) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return r.webhooks(ctx) })
	group.Go(func() error { return r.relay(ctx) })
	return group.Wait()
}

func (r *Results) webhooks(ctx context.Context) error {
	sub, err := r.parts.Queue.Subscribe(ctx, job.SubjectPosts, "results", func(context.Context, queue.Message) { r.signal() })
	if err != nil {
		return errs.Wrap("results", err)
	}
	defer sub.Close()
	ticker := time.NewTicker(r.cfg.Poll)
	defer ticker.Stop()
	var sending sync.WaitGroup
	defer sending.Wait()
	slots := make(chan struct{}, r.cfg.Parallel)
	for told := false; ; {
		r.round(ctx, told, &sending, slots)
		select {
		case <-ticker.C:
			told = false
		case <-r.wake:
			told = true
		case <-ctx.Done():
			return nil
		}
	}
}

func (r *Results) signal() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// round starts what is due and not under way. told: something was heard of it.
func (r *Results) round(ctx context.Context, told bool, sending *sync.WaitGroup, slots chan struct{}) {
	most := 4 * r.cfg.Parallel
	posts, err := r.parts.Store.Posts(ctx, state.Webhook, r.parts.Now(), most)
	if err != nil {
		if ctx.Err() == nil {
			r.parts.Log.Warn("outbox not read", "err", err)
		}
		return
	}
	if len(posts) == most {
		defer r.signal() // there is more; waiting for slots below keeps the pace
	}
	for _, p := range posts {
		if !r.begin(p.ID) {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			r.end(p.ID)
			return
		}
		sending.Go(func() {
			defer func() { <-slots; r.end(p.ID) }()
			r.deliver(ctx, p, told)
		})
	}
}

func (r *Results) begin(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy[id] {
		return false
	}
	r.busy[id] = true
	return true
}

func (r *Results) end(id string) {
	r.mu.Lock()
	delete(r.busy, id)
	r.mu.Unlock()
}
