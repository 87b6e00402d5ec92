package roles_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/roles/gateway"
)

// door is a gateway of the cluster. It is called directly; its listener only
// keeps it running.
type door struct {
	c       *cluster
	handler http.Handler
	stop    func()
}

func (c *cluster) gateway(name string) *door {
	cfg := gateway.Default(name)
	cfg.Poll = time.Hour // a lost message would be seen as a wait of an hour
	g := gateway.New(cfg, gateway.Parts{
		Store: c.store, Queue: c.queue, Blobs: blob.NewStores(), Functions: c.menu, Flows: c.book, Log: c.log,
		Place: task.Place{Cloud: "main", Results: "results", Segments: "segments"},
	})
	d := &door{c: c, handler: g}
	d.stop = c.part(func(ctx context.Context) error { return g.Run(ctx, &nobody{closed: make(chan struct{})}) })
	synctest.Wait()
	return d
}

// nobody is a listener to which nobody ever connects.
type nobody struct {
	once   sync.Once
	closed chan struct{}
}

func (n *nobody) Accept() (net.Conn, error) { <-n.closed; return nil, net.ErrClosed }
func (n *nobody) Close() error              { n.once.Do(func() { close(n.closed) }); return nil }
func (n *nobody) Addr() net.Addr            { return &net.TCPAddr{} }

// call submits to this gateway and waits; the answer comes on the channel.
func (d *door) call(ctx context.Context, cmd, msgID string, wait int) <-chan *httptest.ResponseRecorder {
	answered := make(chan *httptest.ResponseRecorder, 1)
	req := httptest.NewRequestWithContext(ctx, "POST", "/v1/tasks", strings.NewReader(fmt.Sprintf(`{"cmd":%q,"msg_id":%q,"notify_url":"http://caller/"}`, cmd, msgID)))
	req.Header.Set("Prefer", fmt.Sprintf("wait=%d", wait))
	go func() {
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, req)
		answered <- w
	}()
	synctest.Wait()
	return answered
}

func decoded[T any](t *testing.T, w *httptest.ResponseRecorder, status int) (v T) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d: %s", w.Code, status, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// slow takes a time of its own.
func slow(d time.Duration) behave {
	return func(_ context.Context, j job.Job, _ func(fn.Progress)) (job.Outcome, error) {
		time.Sleep(d) // synctest's time
		return produce(j), nil
	}
}

// TestEachReplyFindsItsGateway has callers wait at two gateways for tasks that
// end in any order: each gets the result of its own task.
func TestEachReplyFindsItsGateway(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		gates := []*door{c.gateway("g1"), c.gateway("g2")}
		c.controller()
		c.worker("w1")
		c.worker("w2")
		waiting := map[string]<-chan *httptest.ResponseRecorder{}
		for i := range 20 {
			msgID := fmt.Sprint("m", i)
			waiting[msgID] = gates[i%2].call(t.Context(), "pair", msgID, 60)
		}
		for msgID, answered := range waiting {
			if a := decoded[api.Callback](t, <-answered, 200); a.MsgID != msgID || !a.Success || len(a.Outputs) != 1 {
				t.Errorf("%s: %+v", msgID, a)
			}
		}
	})
}

// TestTwoCallersOfOneMessage sends one message to two gateways, and twice to
// one of them: it is one task, and all are told at once.
func TestTwoCallersOfOneMessage(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.run.do["t.a"] = slow(5 * time.Second)
		g1, g2 := c.gateway("g1"), c.gateway("g2")
		c.controller()
		c.worker("w1")
		var all []api.Callback
		for _, answered := range []<-chan *httptest.ResponseRecorder{
			g1.call(t.Context(), "lone", "m", 60), g2.call(t.Context(), "lone", "m", 60), g1.call(t.Context(), "lone", "m", 60),
		} {
			all = append(all, decoded[api.Callback](t, <-answered, 200))
		}
		if all[0].TaskID == "" || all[1].TaskID != all[0].TaskID || all[2].TaskID != all[0].TaskID || !all[1].EndedAt.Equal(all[0].EndedAt) {
			t.Errorf("%+v", all)
		}
		if n := c.run.count("t.a"); n != 1 {
			t.Errorf("it ran %d times", n)
		}
	})
}

// TestWaitThatRunsOut answers with the id, and the task goes on.
func TestWaitThatRunsOut(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.run.do["t.a"] = slow(5 * time.Second)
		g1 := c.gateway("g1")
		c.controller()
		c.worker("w1")
		a := decoded[api.Response](t, <-g1.call(t.Context(), "lone", "m", 2), 202)
		if s := c.view(a.TaskID).Task.State; s != task.Running {
			t.Errorf("it is %s", s)
		}
		c.ends(a.TaskID, task.Succeeded, 20*time.Second)
		if n := c.run.count("t.a"); n != 1 {
			t.Errorf("it ran %d times", n)
		}
	})
}

// TestGatewayGoesWhileACallerWaits ends the gateway that holds a request, or
// the caller's connection to it: the task goes on, and the same message sent to
// another gateway is answered with its result.
func TestGatewayGoesWhileACallerWaits(t *testing.T) {
	for name, end := range map[string]func(g *door, hangUp func()){
		"shutdown": func(g *door, _ func()) { g.stop() },
		"killed":   func(_ *door, hangUp func()) { hangUp() }, // what the rest sees of it: nobody waits any more
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, c *cluster) {
				c.run.do["t.a"] = slow(5 * time.Second)
				g1, g2 := c.gateway("g1"), c.gateway("g2")
				c.controller()
				c.worker("w1")
				ctx, hangUp := context.WithCancel(t.Context())
				defer hangUp()
				first := g1.call(ctx, "lone", "m", 60)
				end(g1, hangUp)
				if w := <-first; name == "shutdown" {
					if a := decoded[api.Response](t, w, 202); a.TaskID == "" {
						t.Errorf("%+v", a)
					}
				}
				a := decoded[api.Callback](t, <-g2.call(t.Context(), "lone", "m", 60), 200)
				if !a.Success || c.run.count("t.a") != 1 {
					t.Errorf("it ran %d times: %+v", c.run.count("t.a"), a)
				}
			})
		})
	}
}
