package bench

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// platform is a mediafn in this process, all roles, that is spoken to over HTTP.
type platform struct {
	dir    string
	app    *app.App
	client *client.Client
	stop   func()
	roles  errgroup.Group
}

// scratch makes a folder for one bench below dir.
func scratch(dir string) (string, error) {
	dir, err := os.MkdirTemp(dir, "mediafn-bench-")
	return dir, errs.As(errs.Internal, "bench", err)
}

// start starts one on so many cores (0 = all), which keeps everything in dir: one
// started there again knows what the one before has learned. One that is alone
// does not look what else runs on the machine.
func start(ctx context.Context, dir string, cores int, alone bool) (_ *platform, err error) {
	p := &platform{dir: dir}
	p.app, err = app.Open(ctx, app.Config{
		Data: filepath.Join(p.dir, "data"), Listen: "127.0.0.1:0", Roles: []string{"gateway", "controller", "worker", "results"}, Cores: cores,
		Most: 64, Lease: 15 * time.Second, Tick: time.Second, Grace: 10 * time.Second,
	}, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, err
	}
	if alone {
		p.app.Alone()
	}
	if p.client, err = client.New("http://"+p.app.Address(), "", nil); err != nil {
		return nil, errors.Join(err, p.app.Close())
	}
	var running context.Context
	running, p.stop = context.WithCancel(ctx)
	p.roles.Go(func() error { return p.app.Run(running) })
	return p, nil
}

// end stops it. It adds to err what that gave.
func (p *platform) end(err *error) {
	p.client.Close()
	p.stop()
	for _, e := range []error{p.roles.Wait(), p.app.Close()} {
		if *err == nil {
			*err = e
		}
	}
}

// place is where a bench keeps objects.
func place(key string) media.Ref { return media.Ref{Bucket: "bench", Key: key} }

func (p *platform) upload(ctx context.Context, path, key string) error {
	f, err := os.Open(path)
	if err != nil {
		return errs.New(errs.Invalid, "bench", "%w", err)
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	if err != nil {
		return errs.As(errs.Internal, "bench", err)
	}
	_, err = p.client.PutObject(ctx, place(key), f, st.Size(), "")
	return err
}

// run sends a task and waits for its end, which must be a success. It does not
// ask again and again: that would be measured too.
func (p *platform) run(ctx context.Context, body api.Submit) (*api.Task, error) {
	body.MsgID = task.NewID()
	for {
		a, err := p.client.Submit(ctx, &body, time.Minute)
		switch {
		case err != nil:
			return nil, err
		case a.Callback == nil:
			continue // the same task, by its msg_id
		case !a.Callback.Success:
			return nil, errs.New(errs.Internal, "bench", "task %s: %s: %s", a.TaskID, a.Callback.Code, a.Callback.Message)
		}
		return p.client.Task(ctx, a.TaskID)
	}
}
