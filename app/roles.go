package app

import (
	"cmp"
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/failpoint"
	"github.com/mediafn/mediafn/roles/controller"
	"github.com/mediafn/mediafn/roles/controller/sweep"
	"github.com/mediafn/mediafn/roles/gateway"
	"github.com/mediafn/mediafn/roles/results"
	"github.com/mediafn/mediafn/roles/worker"
	"github.com/mediafn/mediafn/roles/worker/load"
)

// roles is the table: each role and how its parts are put together. Roles
// marked first are stopped before the others, which still take what they send.
var roles = []struct {
	name  string
	first bool
	run   func(a *App, ctx context.Context) error
}{
	{"gateway", true, runGateway},
	{"worker", true, runWorker},
	{"controller", false, runController},
	{"results", false, runResults},
}

func runGateway(a *App, ctx context.Context) error {
	cfg := gateway.Default(a.parts.name)
	cfg.InFlight = cmp.Or(a.cfg.Submissions, cfg.InFlight)
	if len(a.cfg.Originals) > 0 {
		cfg.Uploads.Into = a.cfg.Originals[0]
	}
	cfg.Uploads.Life, cfg.Uploads.Tend, cfg.Uploads.Idle = cmp.Or(a.cfg.UploadLife, cfg.Uploads.Life), a.cfg.Tick, 2*a.cfg.Lease
	cfg.Origins = a.cfg.CORSOrigins
	for _, t := range a.cfg.Tenants {
		cfg.Tenants = append(cfg.Tenants, t.Tenant)
	}
	g := gateway.New(cfg, gateway.Parts{
		Store: a.parts.store, Queue: a.parts.queue, Blobs: a.parts.blobs, Cache: a.parts.cache, Computer: a.parts.exec, Functions: a.parts.tools.menu, Flows: a.parts.library.book,
		Refresh: a.parts.library.refresh, Place: a.parts.place, Log: a.component("gateway"), Reached: failpoint.Reached,
		Metrics: gateway.NewMetrics(a.parts.metrics), Tracer: a.parts.tracer, Scrape: a.scrape(),
	})
	return g.Run(ctx, a.parts.listen)
}

func runController(a *App, ctx context.Context) error {
	cfg := controller.Default()
	cfg.Name, cfg.Lease, cfg.Tick = a.parts.name, a.cfg.Lease, a.cfg.Tick
	cfg.Tenants = map[string]controller.Share{}
	for _, t := range a.cfg.Tenants {
		cfg.Tenants[t.Name] = controller.Share{Weight: t.Weight, Limit: t.Limit, ResultQueue: t.ResultQueue}
	}
	var err error
	if cfg.Callback, err = a.callbacks(ctx); err != nil {
		return err
	}
	noOutside := ""
	if cfg.Callback == nil {
		noOutside = "--public-url is not set, and there is no gateway here"
	}
	cores := controller.NewCores(a.cfg.Cores)
	p := controller.Parts{
		Cores: cores,
		Store: a.parts.store, Queue: a.parts.queue, Flows: a.parts.library.book, Log: a.component("controller"), Reached: failpoint.Reached,
		Metrics: controller.NewMetrics(a.parts.metrics, a.tenantNames()...), Tracer: a.parts.tracer,
		Decider: task.Decider{
			Functions: a.parts.tools.menu, Place: a.parts.place,
			Inline:    map[string]task.Inline{"slice.plan": controller.PlanSlices(cores)},
			NoOutside: noOutside,
		},
	}
	sweeper := &sweep.Sweeper{Store: a.parts.store, Stores: a.parts.blobs, Place: a.parts.place, Every: a.cfg.Tick, Name: a.parts.name, Parts: p}
	ager := &sweep.Ager{Sweeper: sweeper, Ages: a.cfg.ages(), Every: time.Hour, Metrics: sweep.NewMetrics(a.parts.metrics)}
	var group errgroup.Group
	group.Go(func() error { return controller.New(cfg, p).Run(ctx) })
	group.Go(func() error { return sweeper.Run(ctx) })
	group.Go(func() error { return ager.Run(ctx) })
	return group.Wait()
}

func runWorker(a *App, ctx context.Context) error {
	memory, err := parseBytes(a.cfg.Memory)
	if err != nil {
		return err
	}
	cfg := worker.Default(a.parts.name, a.cfg.Cores, memory)
	cfg.Most, cfg.Grace, cfg.Sizes, cfg.GPU = a.cfg.Most, a.cfg.Grace, a.cfg.Sizes, a.cfg.GPU
	cfg.Pools, cfg.Kinds = nil, map[media.Kind]int{}
	for _, p := range a.cfg.Pools {
		cfg.Pools = append(cfg.Pools, fn.Pool(p))
	}
	for kind, most := range map[media.Kind]int{media.Video: a.cfg.Videos, media.Image: a.cfg.Images} {
		if most > 0 {
			cfg.Kinds[kind] = most
		}
	}
	var measure func() load.State
	if !a.parts.alone {
		measure = load.Open("/").Sample
	}
	w := worker.New(cfg, worker.Parts{
		Measure: measure,
		Queue:   a.parts.queue, Runner: a.parts.exec, Functions: a.parts.tools.menu,
		Log: a.component("worker"), Reached: failpoint.Reached,
		Metrics: worker.NewMetrics(a.parts.metrics), Tracer: a.parts.tracer,
	})
	return w.Run(ctx)
}

func runResults(a *App, ctx context.Context) error {
	cfg := results.Default(a.parts.name)
	cfg.Secret = a.cfg.secret
	if len(a.cfg.WebhookWait) > 0 {
		cfg.Schedule = a.cfg.WebhookWait
	}
	cfg.Poll = min(cfg.Poll, 2*time.Duration(a.cfg.Tick))
	r := results.New(cfg, results.Parts{
		Store: a.parts.store, Queue: a.parts.queue, Sender: a.parts.egress, Log: a.component("results"),
		Reached: failpoint.Reached, Metrics: results.NewMetrics(a.parts.metrics), Tracer: a.parts.tracer,
	})
	return r.Run(ctx)
}
