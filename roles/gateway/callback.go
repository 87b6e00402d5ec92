package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/span"
)

const (
	outside         = "outside" // the worker's name where an outside service did the work
	maxOutsideFiles = 1000
	maxOutsideText  = 4 << 10
)

// callback takes an outside service's answer for one attempt. The token in the
// URL, which only the platform can make, is the credential; it is checked
// before anything is looked up. The first answer counts, repeating it does no
// harm.
func (g *Gateway) callback(w http.ResponseWriter, r *http.Request) error {
	trace := r.PathValue("trace")
	secret, err := g.callbackSecret(r.Context())
	if err != nil {
		return err
	}
	if !job.CallbackAllowed(secret, trace, r.URL.Query().Get("token")) {
		return errs.New(errs.Denied, "callback", "the token does not belong to this trace")
	}
	var body api.OutsideAnswer
	if err := decode(w, r, g.cfg.MaxBody, &body); err != nil {
		return err
	}
	row, err := g.parts.Store.WorkByTrace(r.Context(), trace)
	if errs.Is(err, errs.NotFound) {
		return g.lateCallback(w, r, trace)
	}
	if err != nil {
		return err
	}
	answer := job.Answer{Schema: job.Schema, Work: row.ID, Attempt: row.Attempt, Trace: trace, Worker: outside, Traceparent: span.Traceparent(r.Context())}
	if err := g.checkAnswer(r.Context(), &row, &body, &answer); err != nil {
		return err
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		return errs.As(errs.Internal, "callback", err)
	}
	err = g.parts.Queue.Append(r.Context(), job.StreamAnswered, job.AnswerSubject(row.TaskID), raw, trace+"-callback")
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, api.Response{Success: true, TaskID: row.TaskID})
	return nil
}

// lateCallback answers for an attempt that does not run. One that an answer has
// ended is told yes again: its first answer may have got lost on the way back.
func (g *Gateway) lateCallback(w http.ResponseWriter, r *http.Request, trace string) error {
	t, err := g.parts.Store.Trace(r.Context(), trace)
	switch {
	case errs.Is(err, errs.NotFound):
		// The token says that the attempt was ours, and every end but success is
		// kept as a trace of its own.
		writeJSON(w, http.StatusAccepted, api.Response{Success: true, Existed: true})
		return nil
	case err != nil:
		return err
	case t.Outcome == string(task.Succeeded) || t.Outcome == string(task.Failed):
		writeJSON(w, http.StatusAccepted, api.Response{Success: true, TaskID: t.TaskID, Existed: true})
		return nil
	}
	return errs.New(errs.Conflict, "callback", "the attempt is over: %s", t.Outcome)
}

// callbackSecret signs callback URLs; all processes share it.
func (g *Gateway) callbackSecret(ctx context.Context) ([]byte, error) {
	g.mu.Lock()
	known := g.secret
	g.mu.Unlock()
	if known != nil {
		return known, nil
	}
	secret, err := g.parts.Store.CallbackSecret(ctx)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.secret = secret
	g.mu.Unlock()
	return secret, nil
}

// checkAnswer validates what a service says and puts it into the answer.
func (g *Gateway) checkAnswer(ctx context.Context, row *task.Work, body *api.OutsideAnswer, answer *job.Answer) error {
	if body.Success == nil {
		return errs.InField("success", "is required")
	}
	if len(body.Message) > maxOutsideText {
		return errs.InField("message", "must be at most %d bytes", maxOutsideText)
	}
	if !*body.Success {
		kind := errs.ParseKind(body.Code)
		if kind.String() != body.Code || kind == errs.Canceled {
			return errs.InField("code", "must be the kind of an error, as invalid, unsupported, transient, timeout or internal, not %q", body.Code)
		}
		if len(body.Outputs) > 0 || body.Facts != nil {
			return errs.InField("success", "what failed has neither output_files nor facts")
		}
		answer.Fault = &job.Fault{Kind: kind, Message: body.Message}
		return nil
	}
	if body.Code != "" && body.Code != "ok" {
		return errs.InField("code", "must be ok, or absent, where success is true")
	}
	if text := strings.TrimSpace(string(body.Facts)); text != "" && text[0] != '{' {
		return errs.InField("facts", "must be an object")
	}
	if len(body.Outputs) > maxOutsideFiles {
		return errs.InField("output_files", "must be at most %d", maxOutsideFiles)
	}
	answer.Outcome = &job.Outcome{Facts: body.Facts}
	for i := range body.Outputs {
		object, err := g.outsideFile(ctx, row, fmt.Sprintf("output_files.%d", i), &body.Outputs[i])
		if err != nil {
			return err
		}
		answer.Outcome.Outputs = append(answer.Outcome.Outputs, object)
	}
	return nil
}

// outsideFile finds a file that a service says it made. It must be there, and
// be where the task's tenant may read, or under the attempt's own key.
func (g *Gateway) outsideFile(ctx context.Context, row *task.Work, field string, f *api.CallbackFile) (media.Object, error) {
	ref := media.Ref{Cloud: f.Cloud, Bucket: f.Bucket, Key: f.Key}
	if !g.inAttempt(row, &ref) {
		if err := g.checkRef(ctx, row.Tenant, field, &ref, true); err != nil {
			return media.Object{}, err
		}
	}
	store, err := g.parts.Blobs.Get(ref.Cloud)
	if err != nil {
		return media.Object{}, errs.InField(field+".cloud", "no store is named %q", ref.Cloud)
	}
	attr, err := store.Stat(ctx, ref.Bucket, ref.Key)
	if errs.Is(err, errs.NotFound) {
		return media.Object{}, errs.InField(field+".key", "there is no such object")
	}
	if err != nil {
		return media.Object{}, err
	}
	name := f.Extra.Name
	if name == "" {
		name = ref.Key[strings.LastIndexByte(ref.Key, '/')+1:]
	}
	if len(name) > 255 || strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == '/' || r == 0x7f }) {
		return media.Object{}, errs.InField(field+".extra.name", "is no file name")
	}
	mime := f.Extra.Mime
	if mime == "" {
		mime = attr.Mime
	}
	kind := media.Kind(mime[:max(strings.IndexByte(mime, '/'), 0)])
	if !isKind(kind) {
		kind = ""
	}
	return media.Object{Ref: ref, Name: name, Kind: kind, Mime: mime, Size: attr.Size, SHA256: attr.SHA256}, nil
}

// inAttempt reports whether ref lies where the attempt itself may store.
func (g *Gateway) inAttempt(row *task.Work, ref *media.Ref) bool {
	var j job.Job
	if json.Unmarshal(row.Job, &j) != nil || j.Out.Prefix == "" {
		return false
	}
	cloud := ref.Cloud
	if cloud == "" {
		cloud = g.parts.Blobs.Default()
	}
	own := j.Out.Prefix + "/" + row.Trace + "/"
	if cloud != j.Out.Cloud || ref.Bucket != j.Out.Bucket || !strings.HasPrefix(ref.Key, own) || strings.Contains(ref.Key, "..") {
		return false
	}
	ref.Cloud = cloud
	return true
}
