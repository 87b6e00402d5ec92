package e2e_test

import (
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/testparts"
)

type reply struct {
	*client.Accepted
	err error
}

// ask submits at a gateway and waits; the answer comes on the channel.
func (s *server) ask(rq api.Submit, wait time.Duration) <-chan reply {
	answered := make(chan reply, 1)
	go func() {
		a, err := s.Submit(s.t.Context(), &rq, wait)
		answered <- reply{a, err}
	}()
	return answered
}

// known waits until a message is a task, and returns its id.
func (s *server) known(msgID string) (id string) {
	s.t.Helper()
	eventually(s.t, time.Minute, func() error {
		page, err := s.Tasks(s.t.Context(), client.Filter{MsgID: msgID})
		if err == nil && len(page.Tasks) == 0 {
			return errs.New(errs.NotFound, "test", "%s is not known", msgID)
		}
		if err == nil {
			id = page.Tasks[0].TaskID
		}
		return err
	})
	return id
}

// testSyncAcrossGateways: two gateways answer whoever waits at them; one that
// is killed takes nothing with it.
func testSyncAcrossGateways(t *testing.T, p *apart) {
	one, two := p.run(t, today(), "gateway"), p.run(t, today(), "gateway")
	controller, worker := p.run(t, today(), "controller"), p.run(t, today(), "worker")
	film := one.upload("media-in", film(t))
	job := func(msgID string) api.Submit {
		return api.Submit{MsgID: msgID, Cmd: "video.transcode", Inputs: []media.Ref{film}, Extra: task.Extra{Slice: "off"},
			Params: []byte(`{"codec":"h265","preset":"medium"}`)}
	}
	// One message at both: one task, and both are told.
	first, second := one.ask(job("both"), time.Minute), two.ask(job("both"), time.Minute)
	a, b := <-first, <-second
	if a.err != nil || b.err != nil || a.Callback == nil || b.Callback == nil || a.TaskID != b.TaskID || !a.Callback.Success {
		t.Fatalf("%+v, %+v", a, b)
	}
	attempts := func(id string) {
		t.Helper()
		history, err := two.History(t.Context(), id)
		if err != nil || len(history.Traces) == 0 {
			t.Fatalf("%+v, %v", history, err)
		}
		for _, a := range history.Traces {
			if a.Attempt != 1 || a.Outcome != "succeeded" {
				t.Errorf("attempt %d of %s is %s", a.Attempt, a.WorkID, a.Outcome)
			}
		}
	}
	attempts(a.TaskID)
	// A wait that runs out: the id, and the task goes on.
	worker.stop()
	if late := <-two.ask(job("late"), time.Second); late.err != nil || late.Callback != nil || late.TaskID == "" {
		t.Errorf("%+v", late)
	}
	// Killed while a caller waits: he learns of it, asks the other, and gets the result.
	waits := one.ask(job("killed"), time.Minute)
	id := two.known("killed")
	one.kill()
	if r := <-waits; !errs.Is(r.err, errs.Transient) {
		t.Errorf("of the killed gateway: %+v", r)
	}
	again := two.ask(job("killed"), time.Minute)
	worker = p.run(t, today(), "worker")
	if r := <-again; r.err != nil || r.Callback == nil || !r.Callback.Success || r.TaskID != id {
		t.Errorf("at the other gateway: %+v", r)
	}
	attempts(id)
	two.succeeded(two.known("late"))
	for _, s := range []*server{two, controller, worker} {
		s.stop()
	}
}

// testDatabaseIsNotShown: while the database is away callers are told to come
// again, and not where it is.
func testDatabaseIsNotShown(t *testing.T, shared *apart) {
	p := *shared
	line := testparts.NewLine(t, net.JoinHostPort(p.postgres.Host, strconv.Itoa(p.postgres.Port)))
	p.state = strings.Replace(p.postgres.Database(t), net.JoinHostPort(p.postgres.Host, strconv.Itoa(p.postgres.Port)), line.Endpoint, 1)
	gateway := p.run(t, today(), "gateway")
	id := gateway.submit(api.Submit{Cmd: "noop"})
	line.Cut()
	_, port, err := net.SplitHostPort(line.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		_, submitted := gateway.Submit(t.Context(), &api.Submit{Cmd: "noop"}, 0)
		_, read := gateway.Task(t.Context(), id)
		for _, err := range []error{submitted, read} {
			if !errs.Is(err, errs.Transient) {
				t.Errorf("%v: %v", errs.KindOf(err), err)
			} else if text := err.Error(); strings.Contains(text, port) || strings.Contains(text, "user") || strings.Contains(text, "database=") {
				t.Errorf("callers read %q", text)
			}
		}
	}
	if !strings.Contains(gateway.log.String(), port) {
		t.Errorf("the log does not say what was wrong:\n%s", gateway.log)
	}
	line.Heal()
	eventually(t, time.Minute, func() error { _, err := gateway.Submit(t.Context(), &api.Submit{Cmd: "noop"}, 0); return err })
	gateway.stop()
}
