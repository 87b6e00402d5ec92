package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/ports/state/postgres"
)

// audit looks at everything a cluster has left, beside its API: in the
// database, in the store, in the queue, in what came by webhook, on the disk
// and in the process table.
type audit struct {
	c       *cluster
	t       *testing.T
	in      *inbox
	errands []*errand
	store   *state.Store
	s3      *minio.Client
	views   map[string]task.View // by msg_id
}

func newAudit(c *cluster, in *inbox, errands []*errand) *audit {
	c.t.Helper()
	a := &audit{c: c, t: c.t, in: in, errands: errands, views: map[string]task.View{}}
	d, err := postgres.Open(c.t.Context(), c.state)
	if err != nil {
		c.t.Fatal(err)
	}
	if a.store, err = state.New(c.t.Context(), d); err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { _ = a.store.Close() })
	if a.s3, err = minio.New(c.s3.Endpoint, &minio.Options{Creds: credentials.NewStaticV4(c.s3.Access, c.s3.Secret, "")}); err != nil {
		c.t.Fatal(err)
	}
	return a
}

// settled waits until nothing is left to be done: no webhook to be sent, no
// result to be queued, nothing to be swept.
func (a *audit) settled() {
	a.t.Helper()
	eventually(a.t, 2*time.Minute, func() error {
		left, err := a.store.Backlog(a.t.Context())
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("the outbox has %v", left)
		}
		return err
	})
}

// tasks checks the rows: each errand has one, which has ended, with all of its
// work; and both gateways say the same.
func (a *audit) tasks() {
	a.t.Helper()
	for after := ""; ; {
		page, err := a.store.Tasks(a.t.Context(), state.Filter{After: after, Limit: 500})
		if err != nil {
			a.t.Fatal(err)
		}
		for _, row := range page {
			if _, twice := a.views[row.Request.MsgID]; twice {
				a.t.Errorf("%s has two tasks", row.Request.MsgID)
			}
			v, err := a.store.View(a.t.Context(), row.ID)
			if err != nil {
				a.t.Fatal(err)
			}
			a.views[row.Request.MsgID], after = v, row.ID
			if !row.State.Final() || row.Ending != "" && row.Ending != row.State {
				a.t.Errorf("task %s is %s, ending %q", row.ID, row.State, row.Ending)
			}
			for _, w := range v.Work {
				if !w.State.Final() || !w.LeaseTill.IsZero() {
					a.t.Errorf("task %s is %s, its work %s is %s, leased till %s", row.ID, row.State, w.ID, w.State, w.LeaseTill)
				}
			}
		}
		if len(page) < 500 {
			break
		}
	}
	if len(a.views) != len(a.errands) {
		a.t.Errorf("%d tasks for %d errands", len(a.views), len(a.errands))
	}
	for _, e := range a.errands {
		v := a.views[e.MsgID]
		if v.Task.ID != e.id {
			a.t.Errorf("%s was accepted as task %s and is %q", e.MsgID, e.id, v.Task.ID)
			continue
		}
		for _, g := range a.c.of("gateway") {
			err := a.c.ask(a.t.Context(), 0, 15*time.Second, func(ctx context.Context, _ *role) error {
				shown, err := g.Task(ctx, e.id)
				if err == nil && (shown.State != v.Task.State || shown.Generation != v.Task.Generation) {
					a.t.Errorf("%s says %s is %s, generation %d; its row says %s, %d", g.name, e.id, shown.State, shown.Generation, v.Task.State, v.Task.Generation)
				}
				return err
			})
			if err != nil {
				a.t.Errorf("%s: %v", g.name, err)
			}
		}
	}
}

// webhooks checks that each end of each task was told, in one way, and that
// callers who waited were told the same.
func (a *audit) webhooks() {
	a.t.Helper()
	a.in.mu.Lock()
	defer a.in.mu.Unlock()
	for id, p := range a.in.posts {
		if p.Kind != api.Draft && p.Kind != api.Final {
			a.t.Errorf("webhook %s is a %q", id, p.Kind)
		}
	}
	for _, e := range a.errands {
		v := a.views[e.MsgID]
		for g := range v.Task.Generation + 1 {
			ids := a.in.end(e.MsgID, g).ids
			if len(ids) != 1 {
				a.t.Errorf("the end of %s, generation %d of %d, was told by webhooks %v", e.MsgID, g, v.Task.Generation, ids)
				continue
			}
			told := a.in.posts[ids[0]].Callback
			if told.TaskID != e.id {
				a.t.Errorf("the webhook of %s is about task %s", e.MsgID, told.TaskID)
			}
			if g == v.Task.Generation && (told.Success != (v.Task.State == task.Succeeded) || keysOf(told.Outputs) != keys(v.Task.Outputs)) {
				a.t.Errorf("%s is %s with %q; its webhook says %+v", e.MsgID, v.Task.State, keys(v.Task.Outputs), told)
			}
			if r := e.reply; r != nil && r.Generation == g && (r.TaskID != e.id || r.Success != told.Success || keysOf(r.Outputs) != keysOf(told.Outputs)) {
				a.t.Errorf("who waited for %s was told %+v, by webhook %+v", e.MsgID, r, told)
			}
		}
		if e.Cmd != "chaos.fallback" || v.Task.State != task.Succeeded {
			continue
		}
		drafts := 0
		for _, p := range a.in.posts {
			if p.MsgID == e.MsgID && p.Kind == api.Draft {
				drafts++
			}
		}
		if drafts == 0 {
			a.t.Errorf("no webhook tells what left %s before its end", e.MsgID)
		}
	}
}

func keysOf(files []api.CallbackFile) string {
	var all []string
	for _, f := range files {
		all = append(all, media.Ref{Cloud: f.Cloud, Bucket: f.Bucket, Key: f.Key}.String())
	}
	return strings.Join(all, " ")
}

func keys(files []media.Object) string {
	var all []string
	for _, f := range files {
		all = append(all, f.Ref.String())
	}
	return strings.Join(all, " ")
}

// queue reads the result queue as a caller does.
func (a *audit) queue() {
	a.t.Helper()
	conn, err := nats.Connect(a.c.nats.URL())
	if err != nil {
		a.t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		a.t.Fatal(err)
	}
	stream, err := js.Stream(a.t.Context(), "results")
	if err != nil {
		a.t.Fatal(err)
	}
	info, err := stream.Info(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	consumer, err := stream.CreateOrUpdateConsumer(a.t.Context(), jetstream.ConsumerConfig{Durable: "audit", FilterSubject: "results.default"})
	if err != nil {
		a.t.Fatal(err)
	}
	bodies := map[string][]byte{}
	for range info.State.Msgs {
		var m jetstream.Msg
		eventually(a.t, time.Minute, func() (err error) { // servers that came back may not know the consumer yet
			m, err = consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
			return err
		})
		var c api.Callback
		if err := json.Unmarshal(m.Data(), &c); err != nil {
			a.t.Errorf("result queue: %s: %v", m.Data(), err)
		}
		if c.Kind == api.Final {
			key := c.MsgID + "/" + strconv.Itoa(c.Generation)
			if had := bodies[key]; had != nil && !bytes.Equal(had, m.Data()) {
				a.t.Errorf("the result queue has two bodies for %s:\n%s\n%s", key, had, m.Data())
			} else if had != nil {
				a.c.count("results queued twice, the same", 1)
			}
			bodies[key] = m.Data()
		}
		if err := m.DoubleAck(a.t.Context()); err != nil {
			a.t.Fatal(err)
		}
	}
	for _, e := range a.errands {
		for g := range a.views[e.MsgID].Task.Generation + 1 {
			if key := e.MsgID + "/" + strconv.Itoa(g); (bodies[key] != nil) != e.Extra.ResultQueue {
				a.t.Errorf("%s asked for the result queue: %v; is in it: %v", key, e.Extra.ResultQueue, bodies[key] != nil)
			}
		}
	}
}

// results looks at what succeeded tasks have made.
func (a *audit) results() {
	a.t.Helper()
	for _, e := range a.errands {
		v := a.views[e.MsgID].Task
		if v.State != task.Succeeded {
			continue
		}
		if len(v.Outputs) != e.files {
			a.t.Errorf("%s (%s) has %d results", e.MsgID, e.Cmd, len(v.Outputs))
		}
		for _, o := range v.Outputs {
			if len(e.Outputs) == 1 && (o.Bucket != e.Outputs[0].Bucket || o.Key != e.Outputs[0].Key) {
				a.t.Errorf("%s went to %s", e.MsgID, o.Ref)
			}
			a.decodes(e, a.fetch(o.Bucket, o.Key, o.Size))
		}
		switch e.Cmd {
		case "video.transcode":
			if r := reportOf(a.t, v.Report); !r.Sliced || r.Certificate == nil || !r.Certificate.OK {
				a.t.Errorf("%s: report %s", e.MsgID, v.Report)
			}
		case "chaos.outside":
			if string(v.Report) != `{"answer":42}` {
				a.t.Errorf("%s: report %s", e.MsgID, v.Report)
			}
		case "inspect.probe":
			if !strings.Contains(string(v.Report), `"duration"`) {
				a.t.Errorf("%s: report %s", e.MsgID, v.Report)
			}
		}
	}
}

// fetch stores an object in a file.
func (a *audit) fetch(bucket, key string, size int64) string {
	a.t.Helper()
	path := filepath.Join(a.t.TempDir(), filepath.Base(key))
	o, err := a.s3.GetObject(a.t.Context(), bucket, key, minio.GetObjectOptions{})
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = o.Close() }()
	f, err := os.Create(path)
	if err != nil {
		a.t.Fatal(err)
	}
	n, err := io.Copy(f, o)
	if err == nil {
		err = f.Close()
	}
	if err != nil || n != size {
		a.t.Errorf("%s/%s: %d bytes of %d: %v", bucket, key, n, size, err)
	}
	return path
}

// decodes checks a result by decoding all of it.
func (a *audit) decodes(e *errand, path string) {
	a.t.Helper()
	stream, want := "v:0", "1"
	switch e.Cmd {
	case "video.transcode":
		want = strconv.Itoa(tinyFrames)
	case "derive.audio":
		stream, want = "a:0", ""
	}
	got := probe(a.t, path, stream, "stream=nb_read_frames")
	if n, err := strconv.Atoi(got); err != nil || n == 0 || (want != "" && got != want) {
		a.t.Errorf("%s: %s frames, want %s", e.MsgID, got, want)
	}
}

// leases checks that whoever stopped in order has given back what it held.
func (a *audit) leases() {
	a.t.Helper()
	held, err := a.store.Leases(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	for _, l := range held {
		a.t.Errorf("%s is held by %s until %s", l.Name, l.Holder, l.Until)
	}
}

// objects checks that the store has what rows name and nothing else of the
// platform's: no fragment, no upload that was begun.
func (a *audit) objects() {
	a.t.Helper()
	named := map[string]string{} // object → why
	for _, e := range a.errands {
		v := a.views[e.MsgID]
		for _, o := range v.Task.Outputs {
			named[o.Bucket+"/"+o.Key] = "result"
		}
		for _, o := range e.Outputs { // the caller's own place
			named[o.Bucket+"/"+o.Key] = "asked for"
		}
		if v.Task.State != task.Succeeded { // parts of what may be retried
			for _, w := range v.Work {
				for _, o := range w.Outputs {
					named[o.Bucket+"/"+o.Key] = "part"
				}
			}
		}
	}
	a.in.mu.Lock()
	for _, p := range a.in.posts {
		if p.Kind == api.Draft {
			for _, o := range p.Outputs {
				named[o.Bucket+"/"+o.Key] = "draft"
			}
		}
	}
	a.in.mu.Unlock()
	buckets, err := a.s3.ListBuckets(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	there := map[string]bool{}
	for _, b := range buckets {
		for o := range a.s3.ListObjects(a.t.Context(), b.Name, minio.ListObjectsOptions{Recursive: true}) {
			if o.Err != nil {
				a.t.Fatal(o.Err)
			}
			key := b.Name + "/" + o.Key
			if there[key] = true; named[key] == "" && b.Name != "inputs" && !strings.HasPrefix(key, keptForLater) {
				a.t.Errorf("object %s (%d bytes, %s) is left behind: %s", key, o.Size, o.LastModified, a.about(o.Key))
			}
		}
		for u := range a.s3.ListIncompleteUploads(a.t.Context(), b.Name, "", true) {
			if u.Err != nil {
				a.t.Fatal(u.Err)
			}
			a.t.Errorf("an upload of %s/%s was begun and never ended", b.Name, u.Key)
		}
	}
	for key, why := range named {
		if (why == "result" || why == "part") && !there[key] {
			a.t.Errorf("object %s is gone, which a row names", key)
		}
	}
}

// about tells of the task whose object is left behind.
func (a *audit) about(key string) string {
	id, _, _ := strings.Cut(key, "/")
	v, err := a.store.View(a.t.Context(), id)
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s generation %d ended %s", v.Task.Request.Cmd, v.Task.State, v.Task.Generation, v.Task.EndedAt)
	traces, _ := a.store.Traces(a.t.Context(), id)
	for _, t := range traces {
		fmt.Fprintf(&b, "\n  %s attempt %d %s %s–%s by %s, trace %s %+v", t.WorkID, t.Attempt, t.Outcome, t.StartedAt.Format(time.TimeOnly), t.EndedAt.Format(time.TimeOnly), t.Worker, t.ID, t.Error)
	}
	return b.String()
}

// machine checks that no process and no temporary file is left.
func (a *audit) machine() {
	a.t.Helper()
	for _, r := range a.c.roles {
		eventually(a.t, 10*time.Second, func() error {
			if left := r.left(); len(left) > 0 {
				return fmt.Errorf("of %s there are still %v", r.name, left)
			}
			if left := files(a.t, filepath.Join(r.data, "scratch"), ".lock"); len(left) > 0 {
				return fmt.Errorf("%s has left %q", r.name, left)
			}
			return nil
		})
	}
}

// report prints what happened.
func (a *audit) report(seed uint64, blows int, calm, all time.Duration) {
	states, kinds := map[task.State]int{}, map[string]int{}
	var attempts, failures, losses, work int
	notes := map[string]int{}
	for _, v := range a.views {
		history, err := a.store.History(a.t.Context(), v.Task.ID)
		if err != nil {
			a.t.Error(err)
		}
		for _, n := range history {
			notes[n.Kind]++
		}
		states[v.Task.State]++
		kinds[v.Task.Request.Cmd]++
		for _, w := range v.Work {
			work++
			attempts += w.Attempt
			failures += w.Failures
			losses += w.Losses
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d tasks, %d blows in %s, all in %s\n", seed, len(a.views), blows, calm.Round(time.Second), all.Round(time.Second))
	fmt.Fprintf(&b, "  tasks by cmd: %v\n  tasks by state: %v\n", kinds, states)
	fmt.Fprintf(&b, "  parts of work: %d, attempts %d, failures %d, losses %d\n  noted: %v\n", work, attempts, failures, losses, notes)
	a.in.mu.Lock()
	defer a.in.mu.Unlock()
	a.c.mu.Lock()
	defer a.c.mu.Unlock()
	fmt.Fprintf(&b, "  webhooks: %d\n", len(a.in.posts))
	for _, counts := range []map[string]int{a.in.counts, a.c.counts} {
		names := []string{}
		for name := range counts {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(&b, "  %s: %d\n", name, counts[name])
		}
	}
	a.t.Log(b.String())
}
