package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/internal/testparts"
)

// cluster is mediafn as several processes of each role, each in a network
// namespace of its own, over PostgreSQL, three NATS servers and an S3 store.
type cluster struct {
	t        *testing.T
	net      *network
	postgres *testparts.PostgresServer
	nats     *testparts.Cluster
	s3       *testparts.S3Server
	faults   *testparts.FaultProxy // between the roles and the S3 store
	state    string                // URL of the database
	roles    []*role

	ctx  context.Context // ends when nothing shall be started again
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	counts map[string]int // of what happened, for the report
}

// newCluster starts everything. It is ready when gateways are.
func newCluster(t *testing.T, flows string) *cluster {
	t.Helper()
	n := newNetwork(t)
	c := &cluster{
		t: t, net: n, postgres: testparts.Postgres(t, n.address), nats: testparts.NATSCluster(t, 3, "0.0.0.0"),
		s3: testparts.S3(t), counts: map[string]int{},
	}
	c.faults = testparts.NewFaultProxy(t, c.s3.Endpoint, n.address)
	c.ctx, c.stop = context.WithCancel(context.Background())
	c.state = c.postgres.Database(t)
	outside := func(url string) string { return strings.ReplaceAll(url, "127.0.0.1", n.address) }
	ports := []int{testparts.Port(t), testparts.Port(t)}
	gateway := func(i int) string {
		return net.JoinHostPort(fmt.Sprintf("%s%d", n.prefix, i+2), strconv.Itoa(ports[i]))
	}
	common := []string{
		"--queue", outside(c.nats.URL()), "--blobs", "main=" + c.s3.At(c.faults.Endpoint, ""), "--flows", flows,
		"--lease", "4s", "--tick", "200ms", "--grace", "5s", "--egress-allow", n.address, "--webhook-secret", secret,
		"--webhook-schedule", "200ms,500ms,1s,1s,2s,2s,5s,5s,5s,5s,10s,10s", "--public-url", "http://" + gateway(0),
	}
	data := t.TempDir()
	for _, kind := range []struct {
		name string
		n    int
		args []string
	}{
		{"gateway", 2, []string{"--state", outside(c.state)}},
		{"controller", 2, []string{"--state", outside(c.state)}},
		{"worker", 3, []string{"--cores", "1", "--memory", "2GiB"}},
		{"results", 2, []string{"--state", outside(c.state)}},
	} {
		for i := range kind.n {
			r := &role{c: c, kind: kind.name, name: fmt.Sprintf("%s-%d", kind.name, i+1), link: n.join(), data: filepath.Join(data, fmt.Sprintf("%s-%d", kind.name, i+1))}
			r.args = slices.Concat([]string{"serve", "--roles", kind.name, "--data", r.data}, common, kind.args)
			if kind.name == "gateway" {
				r.args = append(r.args, "--listen", gateway(i))
				r.url = "http://" + gateway(i)
				var err error
				if r.Client, err = client.New(r.url, "", &http.Client{Transport: &http.Transport{}}); err != nil {
					t.Fatal(err)
				}
			}
			c.roles = append(c.roles, r)
		}
	}
	t.Cleanup(c.end)
	for _, r := range c.roles {
		c.wg.Go(r.keep)
	}
	for _, r := range c.of("gateway") {
		eventually(t, time.Minute, func() error { return ready(r.url) })
	}
	return c
}

func ready(url string) error {
	resp, err := http.Get(url + "/readyz")
	if err == nil {
		_ = resp.Body.Close()
		if resp.StatusCode != 200 {
			err = errors.New(resp.Status)
		}
	}
	return err
}

// of lists the processes of a role.
func (c *cluster) of(kind string) (all []*role) {
	for _, r := range c.roles {
		if r.kind == kind {
			all = append(all, r)
		}
	}
	return all
}

func (c *cluster) count(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[what] += n
}

// end kills what runs.
func (c *cluster) end() {
	c.stop()
	for _, r := range c.roles {
		r.kill(0)
	}
	c.wg.Wait()
	for _, r := range c.roles {
		if r.Client != nil {
			r.Close()
		}
		if c.t.Failed() {
			c.t.Logf("%s said last:\n%s", r.name, &r.log)
		}
	}
}

// role is one process, that is started again whenever it ends, as a service
// manager does.
type role struct {
	*client.Client // of a gateway
	c              *cluster
	kind, name     string
	url            string
	link           *link
	data           string
	args           []string
	log            tail

	mu     sync.Mutex
	cmd    *exec.Cmd // nil while it does not run
	pids   []int     // of all that ever ran; each began a session of its own
	last   *os.ProcessState
	killed bool
	pause  time.Duration // before it is started again
}

// keep runs the process until the cluster ends.
func (r *role) keep() {
	for r.c.ctx.Err() == nil {
		state, err := r.once()
		if err != nil {
			r.c.t.Errorf("%s: %v", r.name, err)
			return
		}
		r.mu.Lock()
		killed, pause := r.killed, r.pause
		r.killed, r.pause = false, 0
		r.mu.Unlock()
		if !killed && r.c.ctx.Err() == nil {
			// While a server is away a process may refuse to start; it may not crash.
			r.c.count("ended by itself: "+r.kind, 1)
			if !state.Exited() || strings.Contains(r.log.String(), "panic:") || strings.Contains(r.log.String(), "fatal error:") {
				r.c.t.Errorf("%s ended with %s:\n%s", r.name, state, &r.log)
			}
			pause = 500 * time.Millisecond
		}
		select {
		case <-time.After(pause):
		case <-r.c.ctx.Done():
		}
	}
}

// once runs the process to its end.
func (r *role) once() (*os.ProcessState, error) {
	cmd := r.link.command(filepath.Join(bin, "mediafn"), r.args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = &r.log
	if *logs != "" {
		f, err := os.OpenFile(filepath.Join(*logs, r.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		cmd.Stderr = io.MultiWriter(&r.log, f)
	}
	cmd.WaitDelay = 5 * time.Second
	r.mu.Lock()
	if r.c.ctx.Err() != nil {
		r.mu.Unlock()
		return nil, nil
	}
	if err := cmd.Start(); err != nil {
		r.mu.Unlock()
		return nil, err
	}
	r.cmd, r.pids = cmd, append(r.pids, cmd.Process.Pid)
	r.mu.Unlock()
	_ = cmd.Wait() // its state tells
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cmd, r.last = nil, cmd.ProcessState
	return cmd.ProcessState, nil
}

// kill ends the process as a power failure would, and has it stay away.
func (r *role) kill(pause time.Duration) { r.signal(syscall.SIGKILL, pause) }

func (r *role) signal(s syscall.Signal, pause time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed, r.pause = true, pause
	if r.cmd != nil {
		_ = r.cmd.Process.Signal(s) // it may be ending just now
	}
}

// left lists what the process, in all its lives, has started and still runs.
func (r *role) left() (all []process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, pid := range r.pids {
		if r.cmd == nil || r.cmd.Process.Pid != pid {
			all = append(all, session(pid)...)
		}
	}
	return all
}

// quit asks every process to end and waits for them all, workers first, as
// they are stopped for an upgrade.
func (c *cluster) quit() {
	c.t.Helper()
	c.stop()
	for _, kind := range []string{"gateway", "worker", "results", "controller"} {
		for _, r := range c.of(kind) {
			r.signal(syscall.SIGTERM, 0)
		}
		for _, r := range c.of(kind) {
			if err := within(time.Minute, func() error {
				r.mu.Lock()
				defer r.mu.Unlock()
				if r.cmd != nil {
					return fmt.Errorf("%s does not end", r.name)
				}
				return nil
			}); err != nil {
				c.t.Errorf("%v\n%s", err, &r.log)
				r.kill(0)
			} else if r.last.ExitCode() != 0 {
				c.t.Errorf("%s was asked to end and did so with %s\n%s", r.name, r.last, &r.log)
			}
		}
	}
}
