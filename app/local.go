package app

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/exec/egress"
	"github.com/mediafn/mediafn/flows"
	"github.com/mediafn/mediafn/functions/all"
	"github.com/mediafn/mediafn/ports/blob"
)

// LocalConfig is what a run without a server needs to know.
type LocalConfig struct {
	Temp        string   // parent of the folder everything lives in; empty = the system's
	Cores       int      // 0 = all
	Memory      string   // empty = three quarters of the machine's
	Engine      string   // path of mediafn-engine; empty = looked for
	EgressAllow []string // private addresses that may be fetched
}

// Local is a whole mediafn in one process that nobody else can reach: the
// gateway, controller, worker and results of a server over a database, a queue
// and stores in a temporary folder. Requests take the same path as on a server.
type Local struct {
	// Client talks to the gateway inside.
	Client *client.Client

	app    *App
	dir    string
	given  *givenFiles
	stop   context.CancelFunc
	ready  chan struct{} // closed when work would be heard of
	ended  chan struct{}
	failed error // of Run, once ended is closed
	closer sync.Once
	closed error
}

// givenStore is the name under which the caller's files are a store.
const givenStore = "given"

// OpenLocal starts a local mediafn. It lives until Close, which is due whatever
// happens and removes everything; the end of ctx stops work at once.
func OpenLocal(ctx context.Context, c LocalConfig, log *slog.Logger) (_ *Local, err error) {
	l, err := openFolder(c.Temp)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	cfg := l.config(c)
	cfg.Roles = []string{"controller", "worker", "results"}
	if err := l.open(ctx, cfg, log); err != nil {
		return nil, err
	}
	// Open would listen on the network for a gateway; this one listens in memory.
	pipe := newPipeListener()
	l.app.parts.listen, l.app.parts.alone = pipe, true
	l.app.cfg.Roles = []string{"gateway", "controller", "results"} // run adds the worker
	l.Client, err = client.New("http://local", "", &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return pipe.dial(ctx) },
	}})
	if err != nil {
		return nil, err
	}
	life, stop := context.WithCancel(ctx)
	l.stop, l.ready, l.ended = stop, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(l.ended)
		l.failed = l.run(life)
		_ = pipe.Close() // callers that still wait must not wait for ever
	}()
	<-l.ready
	return l, nil
}

// run plays the roles: the worker after the controller listens, since an offer
// nobody hears is repeated a second later, and that is long here.
func (l *Local) run(ctx context.Context) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	others := make(chan error, 1)
	go func() {
		defer stop()
		others <- l.app.Run(inner)
	}()
	err := l.heard(inner)
	close(l.ready)
	if err == nil {
		both, end := context.WithCancel(ctx)
		defer end()
		defer context.AfterFunc(inner, end)() // the others failed
		err = runWorker(l.app, both)
	}
	stop()
	return errors.Join(err, <-others)
}

// heard waits until the controller listens. A request answered by nobody is
// Busy at once; whatever else comes of it, somebody has it.
func (l *Local) heard(ctx context.Context) error {
	nothing, err := json.Marshal(job.Renewal{Schema: job.Schema, Worker: l.app.parts.name})
	if err != nil {
		return errs.As(errs.Internal, "local", err)
	}
	const nobody = "nobody" // as the id of a task
	for subject, body := range map[string][]byte{
		job.SubjectRenew: nothing, job.TaskSubject(nobody): []byte(nobody), job.SubjectWant: nothing,
	} {
		for {
			brief, cancel := context.WithTimeout(ctx, 2*time.Millisecond)
			_, err := l.app.parts.queue.Request(brief, subject, body)
			cancel()
			if ctx.Err() != nil {
				return nil // stopped before it began
			}
			if !errs.Is(err, errs.Busy) {
				break
			}
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				return nil
			}
		}
	}
	return nil
}

func openFolder(temp string) (*Local, error) {
	dir, err := os.MkdirTemp(temp, "mediafn-run-")
	if err != nil {
		return nil, errs.New(errs.Internal, "temporary folder", "%w", err)
	}
	return &Local{dir: dir, given: newGivenFiles()}, nil
}

// config is for one short-lived, impatient process.
func (l *Local) config(c LocalConfig) Config {
	return Config{
		Data: l.dir, Queue: "mem", Cores: c.Cores, Memory: c.Memory, Most: 64, Engine: c.Engine,
		Lease: 15 * time.Second, Tick: 50 * time.Millisecond, Grace: 0, EgressAllow: c.EgressAllow,
	}
}

func (l *Local) open(ctx context.Context, cfg Config, log *slog.Logger) error {
	a, err := Open(ctx, cfg, log)
	if err != nil {
		return err
	}
	l.app = a
	store, err := blob.New(l.given, blob.Default())
	if err != nil {
		return err
	}
	return a.parts.blobs.Add(givenStore, store) // nobody reads the set yet
}

// Cores is how many it keeps busy.
func (l *Local) Cores() int { return l.app.cfg.Cores }

// Functions is the menu.
func (l *Local) Functions() *fn.Registry { return l.app.Functions() }

// Give makes a file of this machine an input. The file is read where it lies
// and never written; it must not change until the task has ended. NotFound:
// there is no such file. Invalid: it is a folder or otherwise no plain file.
func (l *Local) Give(path string) (media.Ref, error) {
	key, err := l.given.add(path)
	return media.Ref{Cloud: givenStore, Bucket: givenBucket, Key: key}, err
}

// IsURL tells a URL from a path.
func IsURL(text string) bool {
	return strings.HasPrefix(text, "http://") || strings.HasPrefix(text, "https://")
}

// Input is Give for what may be a URL too.
func (l *Local) Input(text string) (media.Ref, error) {
	if IsURL(text) {
		return media.Ref{URL: text}, nil
	}
	return l.Give(text)
}

// Temp returns a path in the temporary folder, for what has to be a file first.
func (l *Local) Temp(name string) string { return filepath.Join(l.dir, name) }

// Fetch copies a result to w.
func (l *Local) Fetch(ctx context.Context, ref media.Ref, w io.Writer) error {
	store, err := l.app.parts.blobs.Get(ref.Cloud)
	if err != nil {
		return err
	}
	r, attr, err := store.Get(ctx, ref.Bucket, ref.Key, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	n, err := io.Copy(w, r)
	if err != nil {
		return errs.Wrap("result", err)
	}
	if n != attr.Size {
		return errs.New(errs.Internal, "result", "%d bytes of %d", n, attr.Size)
	}
	return nil
}

// Close stops what runs, without waiting for it to finish, and removes the
// temporary folder. Calling it again is fine.
func (l *Local) Close() error {
	l.closer.Do(func() {
		var all []error
		if l.stop != nil {
			l.stop()
			<-l.ended
			all = append(all, l.failed)
			l.Client.Close()
		}
		if l.app != nil {
			all = append(all, l.app.Close())
		}
		all = append(all, os.RemoveAll(l.dir))
		l.closed = errors.Join(all...)
	})
	return l.closed
}

// Compute carries out one function on one file of this machine or a URL and
// returns its facts. It takes the executor alone: no task, no database. params
// are as a request has them.
func Compute(ctx context.Context, c LocalConfig, name, input string, params []byte, log *slog.Logger) (_ job.Outcome, err error) {
	l, err := openFolder(c.Temp)
	if err != nil {
		return job.Outcome{}, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	cfg := l.config(c)
	cfg.Roles = []string{"worker"}
	if err := l.open(ctx, cfg, log); err != nil {
		return job.Outcome{}, err
	}
	f, err := l.Functions().Get(name)
	if err != nil {
		return job.Outcome{}, err
	}
	spec := f.Spec()
	slots, err := spec.Assign(1)
	if err != nil {
		return job.Outcome{}, err
	}
	ref, err := l.Input(input)
	if err != nil {
		return job.Outcome{}, err
	}
	trace := task.NewID()
	return l.app.parts.exec.Run(ctx, job.Job{
		Trace: trace, Fn: name, Version: spec.Version, Params: params, Inputs: []job.Input{{Slot: slots[0], Ref: ref}},
		Out:     job.Place{Cloud: l.app.parts.place.Cloud, Bucket: l.app.parts.place.Segments, Prefix: trace},
		Threads: l.app.cfg.Cores,
	}, nil)
}

// Migrate brings the database of a configuration, named by State or Data, up
// to date and says which it is.
func Migrate(ctx context.Context, c Config) (string, error) {
	if c.State == "" {
		c.State = "sqlite:" + filepath.Join(c.Data, "state.db")
	}
	if err := os.MkdirAll(c.Data, 0o750); err != nil {
		return "", errs.As(errs.Internal, "data folder", err)
	}
	store, err := openState(ctx, &c)
	if err != nil {
		return "", err
	}
	which := c.State
	if u, err := url.Parse(which); err == nil {
		which = u.Redacted()
	}
	return which, store.Close()
}

// Menu is what this build can do here: functions whose tools are missing say
// so.
func Menu(engine string, log *slog.Logger) (*fn.Registry, error) {
	client, err := egress.New(egress.Config{})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	t, err := openTools(&Config{Engine: engine, Cores: 1}, client, log)
	if err != nil {
		return nil, err
	}
	t.close() // declarations outlive the tools
	return t.menu, nil
}

// Offer is what this build can do, without the tools to do it: functions and
// flows as declared.
func Offer() (*fn.Registry, *flow.Book, error) {
	book, err := flows.Book()
	return all.Menu(all.Tools{}), book, err
}
