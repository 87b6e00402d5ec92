// Package statetest is the suite every driver of package state passes.
package statetest

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/ports/state/driver"
)

// Run proves that what open returns keeps the contract of package state. Within
// one test, which open is told by t, every call opens the same database; the
// first finds it empty.
func Run(t *testing.T, open func(t *testing.T) driver.Driver) {
	for _, c := range []struct {
		name string
		test func(*testing.T, *bench)
	}{
		{"Submit", testSubmit},
		{"SubmitConflict", testSubmitConflict},
		{"SubmitConcurrent", testSubmitConcurrent},
		{"RoundTrip", testRoundTrip},
		{"List", testList},
		{"Stuck", testStuck},
		{"Used", testUsed},
		{"RetriedJob", testRetriedJob},
		{"ByTrace", testByTrace},
		{"Priority", testPriority},
		{"Guards", testGuards},
		{"AllOrNothing", testAllOrNothing},
		{"Neighbours", testNeighbours},
		{"OneAttemptWins", testOneAttemptWins},
		{"Renew", testRenew},
		{"Expired", testExpired},
		{"ReadyAndDue", testReadyAndDue},
		{"Outbox", testOutbox},
		{"Claim", testClaim},
		{"Backlog", testBacklog},
		{"Watch", testWatch},
		{"Record", testRecord},
		{"HostileText", testHostileText},
		{"Flows", testFlows},
		{"Uploads", testUploads},
		{"UploadParts", testUploadParts},
		{"UploadTasks", testUploadTasks},
		{"UploadsUntended", testUploadsUntended},
		{"Reopen", testReopen},
		{"Closed", testClosed},
		{"CloseUnderLoad", testCloseUnderLoad},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := &bench{t: t, open: func() driver.Driver { return open(t) }}
			b.start()
			t.Cleanup(b.stop)
			c.test(t, b)
		})
	}
}

// bench is a store under test.
type bench struct {
	t    *testing.T
	open func() driver.Driver
	*state.Store
}

func (b *bench) start() {
	b.t.Helper()
	s, err := state.New(context.Background(), b.open())
	if err != nil {
		b.t.Fatal(err)
	}
	b.Store = s
}

func (b *bench) stop() {
	if b.Store != nil {
		if err := b.Close(); err != nil {
			b.t.Error(err)
		}
		b.Store = nil
	}
}

// epoch is a time databases keep exactly.
var epoch = time.UnixMilli(1_700_000_000_000).UTC()

// NewTask is a task as a gateway makes it.
func NewTask(tenant, msgID string) task.Task {
	return task.Task{
		ID: task.NewID(), Tenant: tenant, Flow: "single", FlowVer: "1", State: task.Queued, CreatedAt: epoch, ReplyTo: "g1",
		Request: task.Request{
			MsgID: msgID, Cmd: "t.work", Priority: 5, Params: json.RawMessage(`{"a":1}`), CreateTime: 12,
			Inputs: []media.Ref{{Cloud: "main", Bucket: "in", Key: "k"}}, Extra: task.Extra{UserData: json.RawMessage(`"x"`)},
		},
	}
}

func (b *bench) submit(tenant, msgID string) task.Task {
	b.t.Helper()
	got, existed, err := b.Submit(b.t.Context(), NewTask(tenant, msgID))
	if err != nil || existed {
		b.t.Fatalf("submit: existed %v, %v", existed, err)
	}
	return got
}

// work is a row with every field set.
func work(t *task.Task, component string, order int, s task.State) task.Work {
	id := task.EventID(t.ID, component)
	if order >= 0 {
		id = task.SegmentID(id, order)
	}
	return task.Work{
		ID: id, TaskID: t.ID, Component: component, Order: order, Tenant: t.Tenant, Priority: 5, Pool: fn.CPU, Fn: "t.work",
		FnVersion: "1", State: s, Price: fn.Price{CPUSeconds: 1.5, Memory: 1 << 20, Cores: 1}, Job: json.RawMessage(`{"fn":"t.work"}`),
		Timeout: time.Minute, CreatedAt: epoch, Limit: 2,
	}
}

// insert stores rows of a task.
func (b *bench) insert(rows ...task.Work) {
	b.t.Helper()
	b.apply(state.Change{Insert: rows})
}

func (b *bench) apply(c state.Change) {
	b.t.Helper()
	if err := b.Apply(b.t.Context(), []state.Change{c})[0]; err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) row(id string) task.Work {
	b.t.Helper()
	taskID, _, _, err := task.ParseID(id)
	if err != nil {
		b.t.Fatal(err)
	}
	v, err := b.View(b.t.Context(), taskID)
	if err != nil {
		b.t.Fatal(err)
	}
	w, ok := v.Work.Get(id)
	if !ok {
		b.t.Fatalf("%s is not there", id)
	}
	return w
}

// running is a row as a grant leaves it.
func running(w task.Work, lease time.Time) task.Work {
	w.State, w.Attempt, w.Trace, w.Worker = task.Running, w.Attempt+1, fmt.Sprintf("%s-%d", w.ID, w.Attempt+1), "w1"
	w.StartedAt, w.LeaseTill, w.Deadline = epoch, lease, lease.Add(time.Hour)
	return w
}

func ids(rows []task.Work, err error) ([]string, error) {
	out := []string{}
	for _, w := range rows {
		out = append(out, w.Component)
	}
	return out, err
}
