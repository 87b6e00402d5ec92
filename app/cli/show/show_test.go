package show

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/core/task/chart"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // times are shown in local time
	os.Exit(m.Run())
}

func at(seconds float64) time.Time {
	return time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
}

func same(t *testing.T, got *bytes.Buffer, want string) {
	t.Helper()
	var lines []string
	for _, line := range strings.Split(got.String(), "\n") {
		lines = append(lines, strings.TrimRight(line, " "))
	}
	if d := cmp.Diff(strings.TrimPrefix(want, "\n"), strings.Join(lines, "\n")); d != "" {
		t.Error(d)
	}
}

func graph() *chart.Graph {
	begun, done, over := at(1), 0.345, at(2.5)
	return &chart.Graph{
		TaskID: "t1", Flow: "f", Version: "v1", State: task.Running, Status: "processing",
		Nodes: []chart.Node{
			{Component: "Probe", Module: "Prepare", Fn: "inspect.probe", State: task.Succeeded, Attempt: 2, Reused: true, StartedAt: &begun, EndedAt: &over},
			{Component: "Segments", Module: "Process", Fn: "video.transcode", State: task.Waiting, Progress: &done, Segments: &chart.Segments{Total: 10, Done: 3, Reused: 1, Running: 2, Failed: 1}},
			{Component: "Sound", Module: "Process", Fn: "derive.audio", State: task.Running, Attempt: 1, Worker: "w1"},
			{Component: "Say", Module: "Process", Fn: "x", State: task.Failed, Attempt: 1, Error: &task.Fault{Kind: errs.Invalid, Message: `"no" #1`}},
			{Component: "Merge", Module: "Process", Fn: "assemble.merge", State: chart.Pending},
			{Component: "Redo", Module: "Process", Fn: "video.transcode", State: chart.LeftOut},
		},
		Edges: []chart.Edge{{From: "Segments", To: "Merge", Kind: "depends"}, {From: "Sound", To: "Merge", Kind: "depends"}, {From: "Say", To: "Sound", Kind: "fallback"}},
	}
}

func TestGraph(t *testing.T) {
	var b bytes.Buffer
	Graph(&b, graph())
	same(t, &b, `
task t1: running, processing
flow f, version v1
Prepare
  Probe     inspect.probe    succeeded  reused, attempt 2, 1.50 s
Process
  Segments  video.transcode  running    3 of 10 done, 1 reused, 2 running, 1 failed, 34 %
  Sound     derive.audio     running    attempt 1, on w1                                   after Say failing
  Say       x                failed     invalid: "no" #1
  Merge     assemble.merge   pending                                                       after Segments, Sound
  Redo      video.transcode  left out
`)
}

func TestMermaid(t *testing.T) {
	var b bytes.Buffer
	Mermaid(&b, graph())
	text, _, _ := strings.Cut(b.String(), "  classDef")
	same(t, bytes.NewBufferString(text), `
flowchart LR
  subgraph "Prepare"
    n0["Probe<br>succeeded, reused, attempt 2, 1.50 s"]:::succeeded
  end
  subgraph "Process"
    n1["Segments<br>running, 3 of 10 done, 1 reused, 2 running, 1 failed, 34 %"]:::waiting
    n2["Sound<br>running, attempt 1, on w1"]:::running
    n3["Say<br>failed, invalid: #quot;no#quot; #35;1"]:::failed
    n4["Merge<br>pending"]:::pending
    n5["Redo<br>left out"]:::left_out
  end
  n1 --> n4
  n2 --> n4
  n3 -. fallback .-> n2
`)
}

// TestHistory puts what is kept in four places into one order.
func TestHistory(t *testing.T) {
	end, begun := at(20), at(15)
	shown := &api.Task{Cmd: "x", Priority: 5, State: task.Failed, CreatedAt: at(0), EndedAt: &end, Error: &task.Fault{Kind: errs.Timeout, Message: "too late\nand more"},
		Work: []api.Work{{ID: "t_B_3", State: task.Running, Attempt: 1, Worker: "w2", StartedAt: &begun}, {ID: "t_A", State: task.Succeeded, Attempt: 2, StartedAt: &begun},
			{ID: "t_B_1", State: task.Succeeded, StartedAt: &begun, EndedAt: &end, Usage: fn.Usage{Reused: 1}}}}
	var b bytes.Buffer
	History(&b, shown, &api.History{
		Traces: []task.Trace{
			{WorkID: "t_A", Attempt: 1, Worker: "w1", Outcome: "lost", StartedAt: at(1), EndedAt: at(9.25), Error: &task.Fault{Kind: errs.Transient, Message: "gone"}},
			{WorkID: "t_A", Attempt: 2, Worker: "w2", Outcome: "succeeded", StartedAt: at(10), EndedAt: at(12)},
		},
		Notes:      []task.Note{{WorkID: "t_A", Kind: "lost", Detail: "its lease ran out", At: at(9.25)}, {Kind: "cancel", Detail: "asked for by the caller", At: at(19)}},
		Deliveries: []task.Delivery{{URL: "http://c/", Attempt: 1, Status: 204, At: at(21)}, {URL: "http://c/", Attempt: 2, Error: "refused", At: at(22)}},
	})
	same(t, &b, `

TIME                     SINCE     PART       WHAT
2026-11-21 09:00:00.000  0.000 s              accepted: x, priority 5
2026-11-21 09:00:01.000  1.000 s   A          attempt 1 started on w1
2026-11-21 09:00:09.250  9.250 s   A          attempt 1 lost after 8.25 s: transient: gone
2026-11-21 09:00:09.250  9.250 s   A          lost: its lease ran out
2026-11-21 09:00:10.000  10.000 s  A          attempt 2 started on w2
2026-11-21 09:00:12.000  12.000 s  A          attempt 2 succeeded after 2.00 s
2026-11-21 09:00:15.000  15.000 s  B slice 4  attempt 1 started on w2
2026-11-21 09:00:19.000  19.000 s             cancel: asked for by the caller
2026-11-21 09:00:20.000  20.000 s  B slice 2  reused: 1 of its files were computed before
2026-11-21 09:00:20.000  20.000 s             failed: timeout: too late
2026-11-21 09:00:21.000  21.000 s             webhook try 1 to http://c/: 204
2026-11-21 09:00:22.000  22.000 s             webhook try 2 to http://c/: refused
`)
}

func TestOperate(t *testing.T) {
	var b bytes.Buffer
	Pools(&b, &api.Pools{
		Pools:   []job.PoolStatus{{Pool: fn.CPU, Ready: 3, Running: 2, OldestSeconds: 4.25}, {Pool: fn.GPU, Paused: true}},
		Tenants: []job.TenantStatus{{Name: "a", Ready: 3, Running: 2, Weight: 1.5}, {Name: "b", Limit: 4, Weight: 1}},
		Reasons: []job.WaitingBecause{{Reason: "no worker has the memory", Count: 3}},
	})
	Workers(&b, &api.Workers{At: at(5), Workers: []job.WorkerStatus{{Name: "w1", Pools: []fn.Pool{fn.CPU, fn.GPU}, Sizes: []string{"small"}, Cores: 1, Memory: 3 << 30, Running: 2,
		Load: job.Load{Cores: 2, Busy: 1.5, Outside: 0.25, Pressure: 0.125}, Draining: true, SeenAt: at(4.5)}}})
	Controllers(&b, &api.Controllers{
		Controllers: []api.Member{{Name: "c1", Until: at(1)}, {Name: "c2", Until: at(2)}},
		Duties:      []api.Duty{{Name: "match", Holder: "c2", Epoch: 3}, {Name: "reap", Holder: "c2", Epoch: 1}, {Name: "relay", Holder: "r1", Epoch: 1, Until: at(3)}},
	})
	Prices(&b, &api.Prices{Prices: []api.Price{{Fn: "video.transcode@1", Class: "1080p", Attempts: 12, Declared: 10, Actual: 25.5, Factor: 2.55, Memory: 1 << 29}}})
	same(t, &b, `
POOL  STATE   READY  RUNNING  OLDEST WAITS
cpu   open    3      2        4.2 s
gpu   paused  0      0

TENANT  READY  RUNNING  LIMIT  WEIGHT
a       3      2        none   1.5
b       0      0        4      1

WAITS BECAUSE             WORK
no worker has the memory  3
WORKER  STATE     POOLS    SIZES  RUNNING  FREE CORES  FREE MEMORY  BUSY      OUTSIDE  PRESSURE  SEEN
w1      draining  cpu,gpu  small  2        1           3.0 GiB      1.5 of 2  0.2      12 %      500ms ago
PROCESS  ROLE        DUTIES (EPOCH)       UNTIL
c1       controller                       2026-11-21 09:00:01
c2       controller  match (3), reap (1)  2026-11-21 09:00:02
r1                   relay (1)            2026-11-21 09:00:03
FUNCTION           CLASS  ATTEMPTS  DECLARED  ACTUAL   FACTOR  MEMORY
video.transcode@1  1080p  12        10.00 s   25.50 s  2.55    512.0 MiB
`)
}

func TestPlan(t *testing.T) {
	var b bytes.Buffer
	Plan(&b, &api.Plan{Sliced: true, Code: slice.Sliced, Reason: "cut into 2 slices: 1.1 s predicted against 2.0 s whole, on 2 cores", Class: "480p h264 fast", Attempts: 12,
		Price: fn.Price{CPUSeconds: 2}, Declared: fn.Price{CPUSeconds: 4},
		Parts: []fn.Part{{Order: 0, TimeBase: media.Rational{Num: 1, Den: 25}, End: 250, Frames: 250, DropTail: 5, Share: 0.5}, {Order: 1, TimeBase: media.Rational{Num: 1, Den: 25}, Start: 250, End: 500, Frames: 250, DropHead: 5, Share: 0.52}},
		Curve: []slice.Prediction{{Workers: 1, WholeSeconds: 2.01, WholeCost: 2}, {Workers: 2, Slices: 2, SlicedSeconds: 1.1, SlicedCost: 2.2, WholeSeconds: 1.25, WholeCost: 2.1}}})
	same(t, &b, `
decision  sliced  cut into 2 slices: 1.1 s predicted against 2.0 s whole, on 2 cores
price     2.00 s  CPU of the whole, class "480p h264 fast", learned of 12 attempts; declared are 4.00 s

SLICE  START     LENGTH    FRAMES  BESIDE THEM  SHARE
0      0.000 s   10.000 s  250     5            50.0 %
1      10.000 s  10.000 s  250     5            52.0 %

CORES  SLICES  SLICED  CPU     WHOLE   CPU     SLICED ÷ WHOLE
1                              2.01 s  2.00 s
2      2       1.10 s  2.20 s  1.25 s  2.10 s  0.880
`)
}
