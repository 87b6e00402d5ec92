package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/app/ops"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/exec"
	"github.com/mediafn/mediafn/exec/egress"
	"github.com/mediafn/mediafn/exec/gate"
	"github.com/mediafn/mediafn/internal/failpoint"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/cache"
	cachemem "github.com/mediafn/mediafn/ports/cache/mem"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
)

// App is a composed mediafn. Create it with Open, run it once, then Close it.
type App struct {
	cfg    Config
	log    *slog.Logger
	parts  parts
	closes []func() error // in the order of opening
}

// parts are shared by the roles of one process.
type parts struct {
	observed

	name    string // unique among processes that ever lived
	store   *state.Store
	library *library // nil without a store
	queue   *queue.Queue
	blobs   *blob.Stores
	tools   *tools
	cache   *cache.Cache
	egress  *egress.Client
	exec    *exec.Executor
	place   task.Place
	listen  net.Listener
	alone   bool // the caller wants the machine to itself: what others use is not measured
}

// The platform's own buckets.
const (
	bucketResults  = "results"
	bucketSegments = "segments"
	bucketArriving = "arriving"
)

// Open checks the configuration and opens everything the roles need. On an
// error nothing stays open.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (a *App, err error) {
	if err := cfg.Complete(); err != nil {
		return nil, err
	}
	a = &App{cfg: cfg, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
			a = nil
		}
	}()
	host, err := os.Hostname()
	if err != nil {
		host = "host"
	}
	a.parts.name = fmt.Sprintf("%s-%s", label(host), task.NewID())
	if err := os.MkdirAll(cfg.Data, 0o750); err != nil {
		return a, errs.As(errs.Internal, "data folder", err)
	}
	return a, a.open(ctx)
}

// Alone has the worker offer all its cores whatever else keeps the machine busy.
// It is called before Run.
func (a *App) Alone() { a.parts.alone = true }

// plays reports whether this process plays one of the roles.
func (a *App) plays(roles ...string) bool {
	return slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(a.cfg.Roles, r) })
}

func (a *App) open(ctx context.Context) (err error) {
	p := &a.parts
	if err := a.openObserved(ctx); err != nil {
		return err
	}
	if a.plays("gateway") {
		if p.listen, err = net.Listen("tcp", a.cfg.Listen); err != nil {
			return errs.New(errs.Invalid, "listen", "%w", err)
		}
		a.closer(func() error {
			if err := p.listen.Close(); !errors.Is(err, net.ErrClosed) {
				return err
			}
			return nil
		})
	}
	if a.plays("gateway", "controller", "results") {
		if p.store, err = openState(ctx, &a.cfg); err != nil {
			return err
		}
		a.closer(p.store.Close)
		ops.Commits(p.metrics, p.store)
	}
	if p.queue, err = openQueue(ctx, &a.cfg, ops.Queue(p.metrics), a.component("queue")); err != nil {
		return err
	}
	a.closer(func() error {
		last, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		return p.queue.Close(last)
	})
	if p.blobs, err = openBlobs(ctx, &a.cfg); err != nil {
		return err
	}
	a.closer(p.blobs.Close)
	p.place = task.Place{Cloud: p.blobs.Default(), Results: bucketResults, Segments: bucketSegments, Arriving: bucketArriving}
	if a.plays("controller") {
		store, err := p.blobs.Get(p.place.Cloud)
		if err == nil {
			err = a.cfg.ages().Check(store.CheckRules, p.place)
		}
		if err != nil {
			return err
		}
	}
	if p.egress, err = egress.New(egress.Config{Allow: a.cfg.EgressAllow}); err != nil {
		return err
	}
	a.closer(func() error { p.egress.Close(); return nil })
	if p.tools, err = openTools(&a.cfg, p.egress, a.component("tools")); err != nil {
		return err
	}
	a.closer(func() error { p.tools.close(); return nil })
	if p.tools.engine != nil {
		ops.Engine(p.metrics, p.tools.engine.Stats)
	}
	if p.store != nil {
		p.library = newLibrary(p.tools.menu, p.store, a.cfg.Flows, a.component("flows"))
	}
	if p.cache, err = cachemem.Open(cachemem.Options{}, cache.Default()); err != nil {
		return err
	}
	a.closer(p.cache.Close)
	if !a.plays("worker", "gateway") {
		return nil
	}
	p.exec, err = openExecutor(&a.cfg, p, a.component("exec"))
	if err == nil {
		a.closer(p.exec.Close)
		ops.Gate(p.metrics, p.exec.Stats)
		ops.Reuse(p.metrics, p.exec.Reuse)
	}
	return err
}

func openExecutor(c *Config, p *parts, log *slog.Logger) (*exec.Executor, error) {
	scratch, err := filepath.Abs(c.Scratch)
	if err != nil {
		return nil, errs.As(errs.Internal, "scratch", err)
	}
	blocks, err := parseBytes(c.Blocks)
	if err != nil {
		return nil, errs.Wrap("block-cache", err)
	}
	return exec.New(exec.Config{
		Gate:      gate.Config{CacheBytes: blocks},
		Functions: p.tools.menu, Stores: p.blobs, Egress: p.egress, ScratchDir: scratch, Log: log, Hook: failpoint.Reached,
		CacheLife: time.Duration(c.SliceCache),
	})
}

func (a *App) closer(f func() error) { a.closes = append(a.closes, f) }

func (a *App) component(name string) *slog.Logger { return a.log.With("component", name) }

// Address is where the HTTP API listens; empty without a gateway.
func (a *App) Address() string {
	if a.parts.listen == nil {
		return ""
	}
	return a.parts.listen.Addr().String()
}

// Functions is the menu.
func (a *App) Functions() *fn.Registry { return a.parts.tools.menu }

// Run plays the roles until ctx ends or one of them fails. Workers stop
// first, so that what they finish is still taken and recorded.
func (a *App) Run(ctx context.Context) error {
	if a.parts.library != nil {
		if err := a.parts.library.read(ctx); err != nil {
			return err
		}
	}
	defer a.observe(ctx)()
	if os.Getenv("GOGC") == "" {
		// What lives is small and what is thrown away is much: collecting less
		// often saves a tenth of the CPU for some tens of megabytes.
		debug.SetGCPercent(400)
	}
	inner, stopInner := context.WithCancel(context.WithoutCancel(ctx))
	defer stopInner()
	outer, stopOuter := context.WithCancel(ctx)
	defer stopOuter()
	var first, last errgroup.Group
	if a.parts.library != nil {
		last.Go(func() error { return a.parts.library.run(inner, a.parts.queue) })
	}
	for _, r := range roles {
		if !a.plays(r.name) {
			continue
		}
		group, life := &last, inner
		if r.first {
			group, life = &first, outer
		}
		group.Go(func() error {
			err := r.run(a, life)
			stopOuter() // one role's end is everybody's
			if err != nil {
				return errs.Wrap("role "+r.name, err)
			}
			return nil
		})
	}
	<-outer.Done()
	err := first.Wait()
	stopInner()
	return errors.Join(err, last.Wait())
}

// Close closes what Open opened, last first.
func (a *App) Close() error {
	var all []error
	for i := len(a.closes) - 1; i >= 0; i-- {
		if err := a.closes[i](); err != nil {
			all = append(all, err)
		}
	}
	a.closes = nil
	return errors.Join(all...)
}

// label keeps what may stand in a subject of the queue.
func label(host string) string {
	out := []rune{}
	for _, r := range host {
		if (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') || r == '-' {
			out = append(out, r)
		}
	}
	return string(out)
}

// Store is the database, for whoever measures; nil if no role needs one.
func (a *App) Store() *state.Store { return a.parts.store }

// Queue carries the messages of the roles, for whoever measures.
func (a *App) Queue() *queue.Queue { return a.parts.queue }
