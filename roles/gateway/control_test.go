package gateway_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/core/task/chart"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
)

func TestPriority(t *testing.T) {
	r := newRig(t)
	id := r.submit("m", "in-1")
	rows := []task.Work{
		{ID: task.EventID(id, "A"), TaskID: id, Component: "A", Order: -1, State: task.Ready, Priority: 5},
		{ID: task.EventID(id, "B"), TaskID: id, Component: "B", Order: -1, State: task.Running, Attempt: 1, Priority: 5},
	}
	if err := r.store.Apply(t.Context(), []state.Change{{Insert: rows}})[0]; err != nil {
		t.Fatal(err)
	}
	woken := make(chan *task.Task, 1)
	sub, err := r.queue.Subscribe(t.Context(), job.TaskSubject(id), "", func(_ context.Context, m queue.Message) {
		_, announced, _ := task.ParseAnnouncement(m.Data)
		woken <- announced
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	if v := read[api.Task](t, r.do("PATCH", "/v1/tasks/"+id, `{"priority":9}`), 202); v.Priority != 9 {
		t.Errorf("%+v", v)
	}
	v, err := r.store.View(t.Context(), id)
	if err != nil || v.Task.Request.Priority != 9 || v.Work[rows[0].ID].Priority != 9 || v.Work[rows[1].ID].Priority != 5 {
		t.Errorf("%+v, %v", v, err)
	}
	if a := <-woken; a == nil || a.Version != v.Task.Version || a.Request.Priority != 9 {
		t.Errorf("announced %+v, the row is at version %d", a, v.Task.Version)
	}
	for body, field := range map[string]string{`{}`: "priority", `{"priority":10}`: "priority", `{"priority":"x"}`: "priority", `{"cmd":"x"}`: "cmd"} {
		if p := read[api.Problem](t, r.do("PATCH", "/v1/tasks/"+id, body), 400); p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	r.end(id, task.Succeeded)
	read[api.Problem](t, r.do("PATCH", "/v1/tasks/"+id, `{"priority":1}`), 409)
	read[api.Problem](t, r.do("PATCH", "/v1/tasks/nobody", `{"priority":1}`), 404)
}

func TestCancelTwice(t *testing.T) {
	r := newRig(t)
	id := r.submit("m", "in-1")
	for range 2 {
		if v := read[api.Task](t, r.do("DELETE", "/v1/tasks/"+id, ""), 202); v.Ending != task.Canceled {
			t.Errorf("%+v", v)
		}
	}
}

// TestGraph draws a task while a part of it runs and says how far it is.
func TestGraph(t *testing.T) {
	r := newRig(t)
	id := r.submit("m", "in-1")
	g := read[chart.Graph](t, r.do("GET", "/v1/tasks/"+id+"/graph", ""), 200)
	if len(g.Nodes) != 1 || g.Nodes[0].State != chart.Pending || g.Nodes[0].Fn != "t.work" || g.TaskID != id {
		t.Errorf("%+v", g)
	}
	row := task.Work{ID: task.EventID(id, "Run"), TaskID: id, Component: "Run", Order: -1, Fn: "t.work", State: task.Running, Attempt: 2, Worker: "w1"}
	if err := r.store.Apply(t.Context(), []state.Change{{Insert: []task.Work{row}}})[0]; err != nil {
		t.Fatal(err)
	}
	stop, silent := make(chan struct{}), make(chan struct{})
	go func() { // a worker
		defer close(silent)
		body, _ := json.Marshal(api.Event{Type: "progress", TaskID: id, Component: "Run", Progress: &fn.Progress{Done: 0.25}})
		for {
			select {
			case <-stop:
				return
			default:
				_ = r.queue.Publish(context.Background(), job.SubjectEvents+id, body)
			}
		}
	}()
	n := read[chart.Graph](t, r.do("GET", "/v1/tasks/"+id+"/graph", ""), 200).Nodes[0]
	close(stop)
	<-silent
	if n.State != task.Running || n.Worker != "w1" || n.Attempt != 2 || n.Progress == nil || *n.Progress != 0.25 {
		t.Errorf("%+v", n)
	}
	if n := read[chart.Graph](t, r.do("GET", "/v1/tasks/"+id+"/graph", ""), 200).Nodes[0]; n.State != task.Running || n.Progress != nil {
		t.Errorf("of a worker that says nothing: %+v", n)
	}
	read[api.Problem](t, r.do("GET", "/v1/tasks/nobody/graph", ""), 404)
}

func TestRetryOfAPart(t *testing.T) {
	r := newRig(t)
	id := r.submit("m", "in-1")
	row := task.Work{ID: task.EventID(id, "Run"), TaskID: id, Component: "Run", Order: -1, State: task.Succeeded, Attempt: 1}
	if err := r.store.Apply(t.Context(), []state.Change{{Insert: []task.Work{row}}})[0]; err != nil {
		t.Fatal(err)
	}
	r.end(id, task.Failed)
	for body, field := range map[string]string{`{"segment":1}`: "segment", `{"component":"Nothing"}`: "component", `{"component":"Run","segment":3}`: "segment", `{"colour":1}`: "colour"} {
		if p := read[api.Problem](t, r.do("POST", "/v1/tasks/"+id+"/retry", body), 400); p.Field != field {
			t.Errorf("%s: %+v", body, p)
		}
	}
	if v := read[api.Task](t, r.do("POST", "/v1/tasks/"+id+"/retry", `{"component":"Run"}`), 202); v.State != task.Queued || len(v.Work) != 1 || v.Work[0].State != task.Ready {
		t.Errorf("%+v", v)
	}
}
