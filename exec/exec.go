// Package exec is the executor: it fetches what a job needs, runs the
// function, and stores what came out under the attempt's own key. Workers and
// gateways use it alike. It knows no queue and no database.
package exec

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/exec/egress"
	"github.com/mediafn/mediafn/exec/gate"
	"github.com/mediafn/mediafn/ports/blob"
)

const op = "exec"

// Config says what an Executor works with and how much it may take. Zero
// limits take the values of Default.
type Config struct {
	Functions *fn.Registry
	Stores    *blob.Stores
	Egress    *egress.Client // nil: URLs are Unsupported
	Gate      gate.Config

	// ScratchDir is shared by all executors of a machine. Each makes a folder
	// of its own in it and removes those of executors that died.
	ScratchDir string

	SmallBytes  int64 // inputs up to this size are copied to scratch instead of read in place
	MaxInput    int64 // bytes of one input
	MaxDownload int64 // bytes of one input copied to scratch because its server has no ranges
	MaxPixels   int64 // width × height an image may claim
	MaxOutputs  int   // files of one job
	MaxOutput   int64 // bytes of all outputs of one job
	MaxFacts    int   // bytes of a result's facts
	Transfers   int   // parallel transfers of one job

	// CacheLife is how long files with a key stay in the store before its
	// lifecycle deletes them. They are used for the first half of it. 0 = nothing
	// is kept for later calls, and nothing kept is used.
	CacheLife time.Duration

	Log *slog.Logger
	// Hook is called at named points of a job: "inputs fetched" and "outputs
	// stored". Crash tests die there. nil does nothing.
	Hook func(point string)
}

// Default returns the limits used where a Config is silent.
func Default() Config {
	return Config{
		SmallBytes: 16 << 20, MaxInput: 256 << 30, MaxDownload: 8 << 30, MaxPixels: 200_000_000,
		MaxOutputs: 100_000, MaxOutput: 256 << 30, MaxFacts: 16 << 20, Transfers: 4,
	}
}

// Executor runs jobs. It is safe for concurrent use; how many jobs run at one
// time is its caller's to decide.
type Executor struct {
	cfg     Config
	gate    *gate.Gate
	scratch *scratch
	log     *slog.Logger
	reuse   struct{ hits, misses, kept atomic.Int64 }
}

// New opens an executor: its gate, its scratch folder, and the removal of
// what dead executors left in ScratchDir.
func New(cfg Config) (*Executor, error) {
	if cfg.Functions == nil || cfg.Stores == nil || cfg.ScratchDir == "" {
		return nil, errs.New(errs.Internal, op, "functions, stores and a scratch folder are required")
	}
	d := Default()
	for _, limit := range []struct{ have, def *int64 }{
		{&cfg.SmallBytes, &d.SmallBytes}, {&cfg.MaxInput, &d.MaxInput}, {&cfg.MaxDownload, &d.MaxDownload},
		{&cfg.MaxPixels, &d.MaxPixels}, {&cfg.MaxOutput, &d.MaxOutput},
	} {
		if *limit.have <= 0 {
			*limit.have = *limit.def
		}
	}
	for _, limit := range []struct{ have, def *int }{
		{&cfg.MaxOutputs, &d.MaxOutputs}, {&cfg.MaxFacts, &d.MaxFacts}, {&cfg.Transfers, &d.Transfers},
	} {
		if *limit.have <= 0 {
			*limit.have = *limit.def
		}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Gate.Log == nil {
		cfg.Gate.Log = cfg.Log
	}
	if cfg.Hook == nil {
		cfg.Hook = func(string) {}
	}
	s, err := openScratch(cfg.ScratchDir, cfg.Log)
	if err != nil {
		return nil, err
	}
	g, err := gate.Open(cfg.Gate)
	if err != nil {
		s.close()
		return nil, err
	}
	return &Executor{cfg: cfg, gate: g, scratch: s, log: cfg.Log}, nil
}

// Stats counts what inputs read in place cost and gave.
func (e *Executor) Stats() gate.Stats { return e.gate.Stats() }

// Port is the loopback port of the gate, which sandboxes have to leave open.
func (e *Executor) Port() uint16 { return e.gate.Port() }

// Close stops the gate and removes the scratch folder. Call it when no job
// runs any more; a job that still runs loses its inputs.
func (e *Executor) Close() error {
	err := e.gate.Close()
	if serr := e.scratch.close(); err == nil {
		err = serr
	}
	return err
}

// since is the seconds from began to now.
func since(began time.Time) float64 { return time.Since(began).Seconds() }
