package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/flows"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
)

// refreshEvery is how often the database is asked for flows, beside every time
// something is announced.
const refreshEvery = 5 * time.Second

// library keeps a book of flows up to date: those of this build, then those of
// a folder, then those activated over the API; of two with one name the later
// counts. Every version it offers is in the database first, so that any process
// can go on with a task that was accepted with it.
type library struct {
	book      *flow.Book
	functions *fn.Registry
	store     *state.Store
	folder    string // empty = none
	log       *slog.Logger

	mu    sync.Mutex
	given map[string]*flow.Plan // of the build and the folder
	known map[string]*flow.Plan // of the database, by name@version; nil = faulty, which has been said
}

func newLibrary(functions *fn.Registry, store *state.Store, folder string, log *slog.Logger) *library {
	return &library{book: flow.NewBook(), functions: functions, store: store, folder: folder, log: log, known: map[string]*flow.Plan{}}
}

// read takes in the build and the folder. If anything is wrong with them the
// book stays as it is.
func (l *library) read(ctx context.Context) error {
	texts, err := flows.Text()
	if err != nil {
		return err
	}
	if l.folder != "" {
		if err := readFolder(l.folder, texts); err != nil {
			return err
		}
	}
	given := map[string]*flow.Plan{}
	var faults []error
	for name, body := range texts {
		p, err := flow.Load(body)
		if err == nil {
			err = p.Check(l.functions)
		}
		if err != nil {
			faults = append(faults, err)
			continue
		}
		given[name] = p
	}
	if err := errors.Join(faults...); err != nil {
		return errs.New(errs.Invalid, "flows", "%w", err)
	}
	for name, p := range given {
		if err := l.store.PutFlow(ctx, name, p.Version, string(texts[name]), time.Now()); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.given = given
	l.mu.Unlock()
	return l.refresh(ctx)
}

// readFolder adds the flow files of a folder to texts.
func readFolder(folder string, texts map[string][]byte) error {
	entries, err := os.ReadDir(folder)
	if err != nil {
		var inner *fs.PathError
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return errs.New(errs.Invalid, "flows", "%s: %w", folder, err)
	}
	from := map[string]string{}
	for _, e := range entries {
		if !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name())) || e.IsDir() {
			continue
		}
		body, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return errs.As(errs.Invalid, "flows", err)
		}
		f, err := flow.Parse(body)
		if err != nil {
			return errs.Wrap(e.Name(), err)
		}
		if other := from[f.Name]; other != "" {
			return errs.New(errs.Invalid, "flows", "%s and %s both have flow %s", other, e.Name(), f.Name)
		}
		from[f.Name], texts[f.Name] = e.Name(), body
	}
	return nil
}

// refresh takes in what is active in the database. A flow that this build can't
// run, as one that names a function of a later one, is left to those that can.
func (l *library) refresh(ctx context.Context) error {
	active, err := l.store.ActiveFlows(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	plans := make([]*flow.Plan, 0, len(l.given)+len(active))
	for _, p := range l.given {
		plans = append(plans, p)
	}
	for name, v := range active {
		key := name + "@" + v.Version
		p, seen := l.known[key]
		if !seen {
			p, err = flow.Load([]byte(v.Body))
			if err == nil {
				err = p.Check(l.functions)
			}
			if err != nil {
				l.log.Warn("an active flow can't be run by this build", "flow", name, "version", v.Version, "err", err)
				p = nil
			}
			l.known[key] = p
		}
		if p != nil {
			plans = append(plans, p)
		}
	}
	l.book.Replace(plans...)
	return nil
}

// run refreshes until ctx ends.
func (l *library) run(ctx context.Context, q *queue.Queue) error {
	changed := make(chan struct{}, 1)
	sub, err := q.Subscribe(ctx, job.SubjectControl, "", func(context.Context, queue.Message) {
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return errs.Wrap("flows", err)
	}
	defer sub.Close()
	ticker := time.NewTicker(refreshEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-changed:
		}
		if err := l.refresh(ctx); err != nil && ctx.Err() == nil {
			l.log.Warn("flows not read from the database", "err", err)
		}
	}
}

// ReloadFlows reads the folder of flows again. If something is wrong with it
// everything stays as it is.
func (a *App) ReloadFlows(ctx context.Context) error {
	if a.parts.library == nil {
		return nil
	}
	return a.parts.library.read(ctx)
}
