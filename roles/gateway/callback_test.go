package gateway_test

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/state"
)

const secret = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" // 32 bytes

// outside has a task of tenant a whose one component an outside service works
// on, and the path the service was given.
func (r *rig) outside() (row task.Work, path string) {
	r.t.Helper()
	ctx := context.Background()
	if _, err := r.store.Agree(ctx, "callback-secret", secret); err != nil {
		r.t.Fatal(err)
	}
	if err := r.queue.Declare(ctx, queue.Stream{Name: job.StreamAnswered, Subjects: []string{job.StreamAnswered + ".*"}, MaxAge: time.Hour, UntilAcked: true}); err != nil {
		r.t.Fatal(err)
	}
	id := r.as("key-a").submit("m", "bucket-a")
	row = task.Work{ID: task.EventID(id, "Run"), TaskID: id, Component: "Run", Order: -1, Tenant: "a", State: task.Running, Attempt: 3,
		Trace: task.NewID(), Job: json.RawMessage(`{"out":{"cloud":"main","bucket":"segments","prefix":"segments/` + id + `/Run"}}`)}
	if err := r.store.Apply(ctx, []state.Change{{Insert: []task.Work{row}}})[0]; err != nil {
		r.t.Fatal(err)
	}
	u, err := url.Parse(job.CallbackURL("http://public", decode64(r.t, secret), row.Trace))
	if err != nil {
		r.t.Fatal(err)
	}
	return row, u.RequestURI()
}

// answers takes what the controllers would.
func (r *rig) answers(n int) (all []job.Answer) {
	r.t.Helper()
	c, err := r.queue.Consume(r.t.Context(), job.StreamAnswered, queue.Durable{Name: "test"})
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for len(all) < n {
		got, err := c.Fetch(r.t.Context(), 9)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, d := range got {
			var a job.Answer
			if err := json.Unmarshal(d.Data, &a); err != nil || d.Ack() != nil {
				r.t.Fatal(err)
			}
			all = append(all, a)
		}
	}
	return all
}

func TestCallbackOfAnOutsideService(t *testing.T) {
	r := newRig(t, tenants)
	row, path := r.outside()
	own := "segments/" + row.TaskID + "/Run/" + row.Trace + "/b.txt"
	r.as("key-a").do("PUT", "/v1/objects/bucket-a/made.mp4", "12345", "Content-Type: video/mp4")
	r.put("segments", own, "123")
	body := `{"msg_id":"theirs","success":true,"code":"ok","message":"","facts":{"words":3},"output_files":[
	 {"bucket":"bucket-a","key":"made.mp4"},{"cloud":"main","bucket":"segments","key":"` + own + `","extra":{"mime":"text/plain","name":"words.txt"}}]}`
	for range 3 { // a service that got no answer sends the same again
		if a := read[api.Response](t, r.do("POST", path, body), 202); !a.Success || a.TaskID != row.TaskID {
			t.Errorf("%+v", a)
		}
	}
	got := r.answers(1)
	for i := range got[0].Outcome.Outputs {
		got[0].Outcome.Outputs[i].SHA256 = ""
	}
	want := []job.Answer{{Schema: job.Schema, Work: row.ID, Attempt: 3, Trace: row.Trace, Worker: "outside", Outcome: &job.Outcome{
		Facts: json.RawMessage(`{"words":3}`),
		Outputs: []media.Object{
			{Ref: media.Ref{Cloud: "main", Bucket: "bucket-a", Key: "made.mp4"}, Name: "made.mp4", Kind: media.Video, Mime: "video/mp4", Size: 5},
			{Ref: media.Ref{Cloud: "main", Bucket: "segments", Key: own}, Name: "words.txt", Kind: media.Text, Mime: "text/plain", Size: 3},
		},
	}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestCallbackOfAFailure(t *testing.T) {
	r := newRig(t, tenants)
	row, path := r.outside()
	read[api.Response](t, r.do("POST", path, `{"success":false,"code":"unsupported","message":"no such language"}`), 202)
	got := r.answers(1)[0]
	if got.Work != row.ID || got.Outcome != nil || got.Fault == nil || got.Fault.Kind != errs.Unsupported || got.Fault.Message != "no such language" {
		t.Errorf("%+v", got)
	}
}

func TestBadCallbacks(t *testing.T) {
	r := newRig(t, tenants)
	row, path := r.outside()
	r.as("key-b").do("PUT", "/v1/objects/bucket-b/x", "5")
	r.put("segments", "segments/"+row.TaskID+"/Run/other/x", "5")
	file := func(bucket, key string) string {
		return `{"success":true,"output_files":[{"bucket":"` + bucket + `","key":"` + key + `"}]}`
	}
	for _, c := range []struct {
		body, field string
		status      int
	}{
		{`{`, "", 400}, {`{}`, "success", 400}, {`{"success":true,"colour":1}`, "colour", 400}, {`{"success":true,"code":"timeout"}`, "code", 400},
		{`{"success":true,"facts":[1]}`, "facts", 400}, {`{"success":false,"code":"E42"}`, "code", 400}, {`{"success":false,"code":"canceled"}`, "code", 400},
		{`{"success":false,"code":"internal","facts":{}}`, "success", 400}, {`{"success":true,"message":"` + strings.Repeat("x", 4097) + `"}`, "message", 400},
		{file("bucket-b", "x"), "output_files.0.bucket", 403}, {file("bucket-a", "nothing"), "output_files.0.key", 400},
		{file("bucket-a", "../x"), "output_files.0.key", 400}, {file("segments", "segments/"+row.TaskID+"/Run/other/x"), "output_files.0.bucket", 403},
		{file("results", row.TaskID+"/Run/x"), "output_files.0.key", 400},
		{`{"success":true,"output_files":[{"cloud":"nowhere","bucket":"bucket-a","key":"x"}]}`, "output_files.0.cloud", 400},
		{`{"success":true,"output_files":[` + strings.Repeat(`{},`, 1000) + `{}]}`, "output_files", 400},
	} {
		if p := read[api.Problem](t, r.do("POST", path, c.body), c.status); p.Field != c.field {
			t.Errorf("%.80s: field %q, want %q", c.body, p.Field, c.field)
		}
	}
	ok := `{"success":true}`
	for _, bad := range []string{
		"/v1/callbacks/" + row.Trace, path + "x", strings.Replace(path, row.Trace, task.NewID(), 1), // a token opens its own trace only
	} {
		if p := read[api.Problem](t, r.do("POST", bad, ok), 403); p.ErrorCode != "denied" {
			t.Errorf("%s: %+v", bad, p)
		}
	}
	read[api.Response](t, r.do("POST", path, ok), 202) // none of them did any harm
	if got := r.answers(1); len(got) != 1 {
		t.Errorf("%+v", got)
	}
}

// TestCallbackAfterTheEnd answers for attempts that do not run any more.
func TestCallbackAfterTheEnd(t *testing.T) {
	for outcome, status := range map[string]int{"succeeded": 202, "failed": 202, "lost": 409, "canceled": 409} {
		r := newRig(t, tenants)
		row, path := r.outside()
		c := state.Change{
			Update: []state.Guarded{{Work: row.Done(time.Now()), Was: task.Running, Attempt: 3}},
			Traces: []state.Trace{{ID: row.Trace, WorkID: row.ID, TaskID: row.TaskID, Attempt: 3, Outcome: outcome, EndedAt: time.Now()}},
		}
		if outcome == "succeeded" {
			c.Traces = nil // the row itself says it
		}
		if err := r.store.Apply(t.Context(), []state.Change{c})[0]; err != nil {
			t.Fatal(err)
		}
		w := r.do("POST", path, `{"success":true}`)
		if w.Code != status || status == 202 && !strings.Contains(w.Body.String(), `"existed":true`) {
			t.Errorf("%s: %d %s", outcome, w.Code, w.Body)
		}
	}
}
