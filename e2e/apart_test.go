package e2e_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/testparts"
)

// apart is what the roles of one installation share when each is a process of
// its own.
type apart struct {
	postgres            *testparts.PostgresServer
	nats                *testparts.Cluster
	state, blobs, flows string
}

const sixFlow = `name: six
modules:
  - module_name: One
    status: one
    next_status: two
    components: [{component_name: A, fn: noop, depends: []}, {component_name: B, fn: noop, depends: [A]}]
  - module_name: Two
    status: two
    next_status: three
    components: [{component_name: C, fn: noop, depends: []}, {component_name: D, fn: noop, depends: []}, {component_name: E, fn: noop, depends: []}]
  - module_name: Three
    status: three
    next_status: done
    components: [{component_name: F, fn: noop, depends: []}]
`

const askFlow = `name: ask
modules:
  - module_name: Ask
    status: asking
    next_status: done
    components: [{component_name: Ask, fn: service.call, async: true, timeout: 1m, params: {from: task.params}, depends: []}]
report: {answer: Ask.answer}
`

// TestApart runs the roles as processes of their own over PostgreSQL, three
// NATS servers and an S3 store, which the tests below share.
func TestApart(t *testing.T) {
	t.Parallel()
	p := &apart{postgres: testparts.SharedPostgres(t), nats: testparts.NATSCluster(t, 3), flows: t.TempDir()}
	p.state, p.blobs = p.postgres.Database(t), "main="+testparts.S3(t).URL("")
	for name, text := range map[string]string{"six.yaml": sixFlow, "ask.yaml": askFlow} {
		if err := os.WriteFile(filepath.Join(p.flows, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, one := range []struct {
		name string
		test func(*testing.T, *apart)
	}{
		{"VersionsTogether", testVersionsTogether}, {"WorkerOfOneProcess", testWorkerOfOneProcess},
		{"SyncAcrossGateways", testSyncAcrossGateways}, {"DatabaseIsNotShown", testDatabaseIsNotShown},
		{"WorkerIsTerminated", testWorkerIsTerminated}, {"CancelIsQuick", testCancelIsQuick},
		{"UploadAcrossGateways", testUploadAcrossGateways},
	} {
		t.Run(one.name, func(t *testing.T) { one.test(t, p) })
	}
}

// run starts one role. Of a gateway it waits until it is ready; what the others
// are sent waits for them.
func (p *apart) run(t *testing.T, binary, role string, flags ...string) *server {
	t.Helper()
	s := &server{t: t, data: t.TempDir(), log: &tail{}, exited: make(chan struct{})}
	args := []string{
		"serve", "--roles", role, "--data", s.data, "--queue", p.nats.URL(), "--blobs", p.blobs, "--engine", filepath.Join(bin, "mediafn-engine"),
		"--lease", "5s", "--tick", "200ms", "--cores", "2", hooksAllowed, "--webhook-secret", secret, "--webhook-schedule", "200ms,500ms,1s,1s,2s",
	}
	if role != "worker" {
		args = append(args, "--state", p.state, "--flows", p.flows)
	}
	if role == "gateway" {
		address := fmt.Sprintf("127.0.0.1:%d", testparts.Port(t))
		s.url, args = "http://"+address, append(args, "--listen", address)
	}
	s.cmd = exec.Command(binary, append(args, flags...)...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	s.cmd.Stderr, s.cmd.WaitDelay = s.log, 5*time.Second
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		s.state = s.cmd.ProcessState
		close(s.exited)
	}()
	t.Cleanup(s.cleanup)
	if role == "gateway" {
		s.ready()
	}
	return s
}

// today is the binary under test.
func today() string { return filepath.Join(bin, "mediafn") }

// service answers whoever calls it a moment later, at the URL it is given.
func service(t *testing.T) (url string) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct {
			Callback string `json:"callback_url"`
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
			return // its caller died
		}
		w.WriteHeader(http.StatusAccepted)
		go func() {
			// It may come before the row is written that waits for it: then it is refused, and comes again.
			_ = within(20*time.Second, func() error {
				resp, err := http.Post(asked.Callback, "application/json", strings.NewReader(`{"success":true,"code":"ok","facts":{"answer":42}}`))
				if err == nil {
					_ = resp.Body.Close()
					if resp.StatusCode/100 != 2 {
						err = errors.New(resp.Status)
					}
				}
				return err
			})
		}()
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// mix is tasks of every kind, submitted to several gateways in turn.
type mix struct {
	t     *testing.T
	hooks *receiver
	tasks []*wanted
}

// newMix names what shall be done: noop, six, ask, audio, sliced.
func newMix(t *testing.T, at []*server, name string, cmds ...string) *mix {
	t.Helper()
	e := &mix{t: t, hooks: receive(t)}
	source, url := at[0].upload("media-in", film(t)), ""
	if slices.Contains(cmds, "ask") {
		url = service(t)
	}
	for i, cmd := range cmds {
		rq := api.Submit{Cmd: cmd}
		switch cmd {
		case "ask":
			rq.Params = json.RawMessage(fmt.Sprintf(`{"url":%q}`, url))
		case "audio":
			rq = api.Submit{Cmd: "derive.audio", Inputs: []media.Ref{source}}
		case "sliced":
			rq = api.Submit{Cmd: "video.transcode", Inputs: []media.Ref{source}, Params: json.RawMessage(`{"preset":"ultrafast","height":90}`),
				Extra: task.Extra{Slice: "force"}}
		}
		rq.MsgID = fmt.Sprintf("%s-%d", name, i)
		rq.NotifyURL = e.hooks.url + "/" + rq.MsgID
		w := &wanted{Submit: rq}
		w.id = at[i%len(at)].submit(rq)
		e.tasks = append(e.tasks, w)
	}
	return e
}

// verify holds that each ended well, with one result, one succeeded attempt of
// every part and one callback.
func (e *mix) verify(at *server) {
	e.t.Helper()
	for _, one := range e.tasks {
		end := at.succeeded(one.id)
		media := 0
		if len(one.Inputs) > 0 {
			media = 1
		}
		if len(end.Outputs) != media {
			e.t.Errorf("%s: %d results", one.MsgID, len(end.Outputs))
		}
		history, err := at.History(e.t.Context(), one.id)
		if err != nil {
			e.t.Fatal(err)
		}
		done := map[string]int{}
		for _, a := range history.Traces {
			if a.Outcome == "succeeded" {
				done[a.WorkID]++
			}
		}
		for _, w := range end.Work {
			if w.State == task.Succeeded && w.Attempt > 0 && done[w.ID] != 1 {
				e.t.Errorf("%s: %s succeeded %d times", one.MsgID, w.ID, done[w.ID])
			}
		}
		eventually(e.t, time.Minute, func() error {
			if e.hooks.at("/"+one.MsgID).times == 0 {
				return fmt.Errorf("no callback for %s", one.MsgID)
			}
			return nil
		})
	}
	for _, one := range e.tasks { // asked last, when others had time to come
		if n := e.hooks.at("/" + one.MsgID).times; n != 1 {
			e.t.Errorf("%s was called back %d times", one.MsgID, n)
		}
	}
}
