package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mediafn/mediafn/app/ops"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/internal/span"
)

// observed is what this process tells about itself.
type observed struct {
	metrics *prometheus.Registry
	tracer  *span.Tracer // nil = traces go nowhere
	probes  net.Listener // of /metrics and health; nil = without
}

// openObserved comes before everything it watches.
func (a *App) openObserved(ctx context.Context) (err error) {
	o := &a.parts.observed
	o.metrics = ops.NewRegistry(a.cfg.Roles)
	a.log = slog.New(ops.Calm(a.log.Handler(), o.metrics))
	if a.cfg.OTLP != "" {
		traces := ops.Traces{URL: a.cfg.OTLP, Instance: a.parts.name, Roles: a.cfg.Roles}
		tracer, flush, err := traces.Open(ctx, o.metrics, a.component("traces"))
		if err != nil {
			return err
		}
		o.tracer = tracer
		a.closer(func() error {
			last, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			if err := flush(last); err != nil {
				a.component("traces").Warn("the last spans were not sent", "err", err)
			}
			return nil
		})
	}
	if a.cfg.Ops == "" {
		return nil
	}
	if o.probes, err = net.Listen("tcp", a.cfg.Ops); err != nil {
		return errs.New(errs.Invalid, "ops", "%w", err)
	}
	a.closer(func() error {
		if err := o.probes.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// OpsAddress is where metrics and health are served; empty = not apart.
func (a *App) OpsAddress() string {
	if a.parts.probes == nil {
		return ""
	}
	return a.parts.probes.Addr().String()
}

// scrape is the API's GET /metrics: only where nothing else serves it, and
// where everybody who reaches the API may see everything. With tenants their
// names and numbers are nobody else's business.
func (a *App) scrape() http.Handler {
	if a.cfg.Ops != "" || len(a.cfg.Tenants) > 0 {
		return nil
	}
	return ops.Metrics(a.parts.metrics)
}

// checks are what this process's roles can't work without.
func (a *App) checks() map[string]ops.Check {
	p := &a.parts
	all := map[string]ops.Check{"queue": p.queue.Ping}
	if p.store != nil {
		all["database"] = p.store.Ping
	}
	if a.plays("worker") && p.tools.engine != nil {
		all["engine"] = p.tools.engine.Ready
	}
	return all
}

// observe watches until the returned function is called, which waits for its
// end. Health is served longer than roles run: it tells that they stop.
func (a *App) observe(ctx context.Context) (stop func()) {
	watching, end := context.WithCancel(context.WithoutCancel(ctx))
	var all sync.WaitGroup
	if a.parts.store != nil {
		outbox := ops.NewOutbox(a.parts.metrics, a.parts.store, a.component("outbox"))
		all.Go(func() { outbox.Run(watching) })
	}
	if listener := a.parts.probes; listener != nil {
		ready := ops.NewReadiness(a.checks())
		server := &ops.Server{Metrics: ops.Metrics(a.parts.metrics), Ready: ready, Pprof: a.cfg.Pprof, Log: a.component("ops")}
		all.Go(func() { ready.Run(ctx) })
		all.Go(func() {
			if err := server.Run(watching, listener); err != nil {
				a.component("ops").Error("metrics and health are no longer served", "err", err)
			}
		})
	}
	return func() { end(); all.Wait() }
}

func (a *App) tenantNames() (names []string) {
	for _, t := range a.cfg.Tenants {
		names = append(names, t.Name)
	}
	return names
}
