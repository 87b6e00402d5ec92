package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/span"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/state"
)

// submit takes a task: 202 when it is stored, or with "Prefer: wait=N" 200
// with the callback when it ended in time.
func (g *Gateway) submit(w http.ResponseWriter, r *http.Request, tenant string) error {
	var body api.Submit
	began := g.parts.Now()
	s, err := g.take(w, r, tenant, &body)
	g.parts.Metrics.submitted(tenant, s, g.parts.Now().Sub(began), err)
	if err == nil {
		defer s.forget()
		err = g.answer(w, r, s)
	}
	if err != nil {
		return &codedError{body.MsgID, err}
	}
	return nil
}

// submission is a request whose task is stored.
type submission struct {
	task    task.Task
	existed bool
	wait    time.Duration // zero = the caller does not wait
	told    waiter
	forget  func()
}

// take checks and stores a request. How many do so at once is bounded, so that
// a crowd is turned away before it costs memory.
func (g *Gateway) take(w http.ResponseWriter, r *http.Request, tenant string, body *api.Submit) (*submission, error) {
	select {
	case g.taking <- struct{}{}:
		defer func() { <-g.taking }()
	default:
		return nil, errs.New(errs.Busy, "gateway", "too many tasks are being submitted")
	}
	if err := decode(w, r, g.cfg.MaxBody, body); err != nil {
		return nil, err
	}
	wait, err := g.wait(r.Header.Get("Prefer"))
	if err != nil {
		return nil, err
	}
	t, err := g.check(r.Context(), tenant, body)
	if err != nil {
		return nil, err
	}
	t.Traceparent = span.Traceparent(r.Context())
	s := &submission{wait: wait, forget: func() {}}
	if wait > 0 {
		select {
		case g.waits <- struct{}{}:
		default:
			return nil, errs.New(errs.Busy, "gateway", "too many requests wait for their task")
		}
		t.ReplyTo = g.cfg.Name
		var end func()
		s.told, end = g.expect(t.ID)
		s.forget = func() { end(); <-g.waits }
	}
	if s.task, s.existed, err = g.parts.Store.Submit(r.Context(), t); err != nil {
		s.forget()
		return nil, err
	}
	g.parts.Reached("accepted")
	// A client that hangs up now must not keep the task from being decided.
	g.wake(context.WithoutCancel(r.Context()), &s.task)
	return s, nil
}

// answer waits for the task, if the caller does, and answers.
func (g *Gateway) answer(w http.ResponseWriter, r *http.Request, s *submission) error {
	var ended *task.Task
	var err error
	switch {
	case s.wait == 0:
	case s.task.State.Final():
		ended = &s.task
	case s.existed: // whoever submitted it first is told of its end
		told, stop, e := g.overhear(r.Context(), s.task.ID)
		if e != nil {
			return e
		}
		defer stop()
		ended, err = g.await(r.Context(), s.task.ID, told, s.wait)
	default:
		ended, err = g.await(r.Context(), s.task.ID, s.told, s.wait)
	}
	if err != nil {
		return err
	}
	if ended != nil {
		return g.reply(w, r, ended, s.wait)
	}
	w.Header().Set("Location", "/v1/tasks/"+s.task.ID)
	writeJSON(w, http.StatusAccepted, api.Response{
		MsgID: s.task.Request.MsgID, Success: true, TaskID: s.task.ID, Existed: s.existed, Flow: s.task.Flow,
	})
	return nil
}

// wake tells the controller of the task's partition. It may get lost: the
// reaper finds the row.
func (g *Gateway) wake(ctx context.Context, t *task.Task) {
	if err := g.parts.Queue.Publish(ctx, job.TaskSubject(t.ID), task.Announce(t)); err != nil {
		g.parts.Log.Warn("task not announced; the reaper will find it", task.Ids(t.ID, ""), "err", err)
	}
}

// check validates a submission completely and builds its task.
func (g *Gateway) check(ctx context.Context, tenant string, body *api.Submit) (task.Task, error) {
	now := g.parts.Now().UTC().Truncate(time.Millisecond) // as rows keep it
	req := task.Request{
		CreateTime: body.CreateTime, MsgID: body.MsgID, NotifyURL: body.NotifyURL, Priority: 5, Params: body.Params,
		Inputs: body.Inputs, Outputs: body.Outputs, Cmd: body.Cmd, Extra: body.Extra,
	}
	if req.MsgID == "" {
		req.MsgID = task.NewID()
	}
	if body.Priority != nil {
		req.Priority = *body.Priority
	}
	if err := g.checkFields(ctx, tenant, &req); err != nil {
		return task.Task{}, err
	}
	plan, err := g.checkCall(&req)
	if err != nil {
		return task.Task{}, err
	}
	return task.Task{
		ID: task.NewID(), Tenant: tenant, Request: req, Flow: plan.Name, FlowVer: plan.Version,
		State: task.Queued, CreatedAt: now,
	}, nil
}

func (g *Gateway) checkFields(ctx context.Context, tenant string, req *task.Request) error {
	switch {
	case req.Cmd == "":
		return errs.InField("cmd", "is required: the name of a function or a flow")
	case len(req.MsgID) > 128 || strings.ContainsFunc(req.MsgID, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return errs.InField("msg_id", "must be at most 128 characters without control characters")
	case req.Priority < 0 || req.Priority > 9:
		return errs.InField("priority", "must be 0–9")
	case req.CreateTime < 0:
		return errs.InField("create_time", "must be Unix milliseconds")
	case req.Extra.Deadline < 0:
		return errs.InField("extra.deadline", "must be Unix milliseconds")
	}
	switch req.Extra.Slice {
	case "", "auto", "force", "off":
	default:
		return errs.InField("extra.slice", "must be auto, force or off, not %q", req.Extra.Slice)
	}
	if req.NotifyURL != "" {
		if err := checkURL("notify_url", req.NotifyURL); err != nil {
			return err
		}
	}
	for i := range req.Inputs {
		err := g.checkRef(ctx, tenant, fmt.Sprintf("input_files.%d", i), &req.Inputs[i], true)
		if err != nil && !g.named(ctx, tenant, req, i) {
			return err
		}
	}
	for i := range req.Outputs {
		if err := g.checkRef(ctx, tenant, fmt.Sprintf("output_files.%d", i), &req.Outputs[i], false); err != nil {
			return err
		}
	}
	return nil
}

// checkRef checks where media lies and fills in the default store.
func (g *Gateway) checkRef(ctx context.Context, tenant, field string, ref *media.Ref, input bool) error {
	switch {
	case !input && ref.URL != "":
		return errs.InField(field+".url", "results go to a bucket, not to a URL")
	case ref.URL != "" && (ref.Bucket != "" || ref.Key != "" || ref.Cloud != "" || ref.Upload != ""):
		return errs.InField(field, "must be either url or cloud, bucket and key")
	case ref.URL != "":
		return checkURL(field+".url", ref.URL)
	case ref.Upload != "":
		return g.checkUpload(ctx, tenant, field, ref, input)
	case ref.Bucket == "" && ref.Key == "":
		return errs.InField(field, "is empty: give url, upload, or bucket and key")
	}
	if err := blob.CheckBucket(field+".bucket", ref.Bucket); err != nil {
		return err
	}
	if !input {
		ref.Key = strings.TrimSuffix(ref.Key, "/") // a folder for several files may be written as one
	}
	if err := blob.CheckKey(field+".key", ref.Key); err != nil {
		return err
	}
	if ref.Cloud == "" {
		ref.Cloud = g.parts.Blobs.Default()
	}
	if _, err := g.parts.Blobs.Get(ref.Cloud); err != nil {
		return errs.InField(field+".cloud", "no store is named %q", ref.Cloud)
	}
	if input && ref.Bucket == g.parts.Place.Results {
		if !g.owns(ctx, tenant, ref.Key) { // a result may feed another task of its owner
			return errs.InField(field+".key", "there is no such object")
		}
		return nil
	}
	return g.mayUse(tenant, field+".bucket", *ref)
}

// checkUpload checks an upload that is named as an input, and fills in where its
// object is, or will be.
func (g *Gateway) checkUpload(ctx context.Context, tenant, field string, ref *media.Ref, input bool) error {
	field += ".upload"
	if !input || ref.Bucket != "" || ref.Key != "" || ref.Cloud != "" {
		return errs.InField(field, "stands alone, and for an input")
	}
	all, err := g.parts.Store.Uploads(ctx, ref.Upload)
	switch {
	case err != nil:
		return err
	case len(all) == 0 || all[0].Tenant != tenant:
		return errs.InField(field, "there is no such upload; one that was done a while ago is named by its object")
	case all[0].Concat == "partial":
		return errs.InField(field, "is a part; name the upload made of it")
	case all[0].State == arrival.Gone:
		return errs.InField(field, "is over: %s", all[0].Why)
	}
	ref.Cloud, ref.Bucket, ref.Key = all[0].Place.Cloud, all[0].Place.Bucket, all[0].Place.Key
	return nil
}

// named reports whether the same message named the same upload before, which may
// be over or forgotten by now, and fills in the place it had: the task is there.
func (g *Gateway) named(ctx context.Context, tenant string, req *task.Request, i int) bool {
	ref := &req.Inputs[i]
	if ref.Upload == "" || *ref != (media.Ref{Upload: ref.Upload, Type: ref.Type}) {
		return false
	}
	had, err := g.parts.Store.Tasks(ctx, state.Filter{Tenant: tenant, MsgID: req.MsgID, Limit: 1})
	if err != nil || len(had) == 0 || i >= len(had[0].Request.Inputs) || had[0].Request.Inputs[i].Upload != ref.Upload {
		return false
	}
	was := &had[0].Request.Inputs[i]
	ref.Cloud, ref.Bucket, ref.Key = was.Cloud, was.Bucket, was.Key
	return true
}

func checkURL(field, raw string) error {
	u, err := url.Parse(raw)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || len(raw) > 8<<10 {
		return errs.InField(field, "is not an http or https URL")
	}
	return nil
}

// checkCall checks cmd, number of inputs and parameters, and picks the flow.
func (g *Gateway) checkCall(req *task.Request) (*flow.Plan, error) {
	plan, f, err := g.parts.Flows.Choose(req.Cmd, g.parts.Functions)
	if err != nil || f == nil {
		return plan, err
	}
	spec := f.Spec()
	if spec.Missing != "" {
		return nil, &errs.Error{Kind: errs.Unsupported, Field: "cmd", Msg: req.Cmd + ": " + spec.Missing}
	}
	slots, err := spec.Assign(len(req.Inputs))
	if err != nil {
		return nil, err
	}
	kinds := make([]media.Kind, len(slots))
	for i, name := range slots {
		kind := media.Kind(req.Inputs[i].Type)
		if slot := spec.Slot(name); isKind(kind) && !slot.Accepts(kind) {
			return nil, errs.InField(fmt.Sprintf("input_files.%d.type", i), "%s takes %v here, not %s", req.Cmd, slot.Kinds, kind)
		}
	}
	if most := spec.MostOutputs(); most >= 0 && len(req.Outputs) > most {
		return nil, errs.InField("output_files", "%s gives at most %d file(s), got %d places", req.Cmd, most, len(req.Outputs))
	}
	req.Params, err = f.Check(req.Params, kinds)
	return plan, err
}

func isKind(k media.Kind) bool {
	switch k {
	case media.Image, media.Video, media.Audio, media.Text, media.Package, media.Stream:
		return true
	}
	return false
}

// wait reads "Prefer: wait=N" (RFC 7240), N in seconds.
func (g *Gateway) wait(prefer string) (time.Duration, error) {
	for _, part := range strings.Split(prefer, ",") {
		value, ok := strings.CutPrefix(strings.TrimSpace(part), "wait=")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return 0, errs.InField("Prefer", "wait must be a number of seconds")
		}
		return min(time.Duration(n)*time.Second, g.cfg.MaxWait), nil
	}
	return 0, nil
}
