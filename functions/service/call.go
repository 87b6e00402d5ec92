// Package service holds functions whose work is done elsewhere: by services
// outside the platform.
package service

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

const (
	maxAnswer = 1 << 20  // bytes of what a service answers
	maxBody   = 64 << 10 // bytes of the parameter body
)

var callSpec = fn.Spec{
	Name:    job.Service,
	Version: "1",
	Summary: "Hand files and facts to an outside service",
	Doc: "Posts a JSON object to url: trace_id (one an attempt, also in the header Idempotency-Key), params (the parameter body), input_files (slot, type, " +
		"cloud, bucket and key or url), documents, and output_place (cloud, bucket and the beginning of the keys it may store files under). " +
		"In a component with async: true the object also has callback_url; a 2xx answer means that the service has the work, and it posts the result there when it " +
		"is done, any time before the component's timeout. Otherwise the answer is the result: a JSON object of at most 1 MiB, which becomes the facts; it has to come " +
		"within 30 seconds. An answer 429 counts as busy, 408 and 5xx as transient and are tried again; 401 and 403 are denied, any other is invalid. " +
		"Redirects are not followed, and only addresses are called that inputs may be fetched from.",
	Inputs: []fn.Slot{
		{Name: "files", Kinds: anything, Help: "files, handed over by place"},
		{Name: "documents", Kinds: []media.Kind{media.Text}, Help: "facts of other components, handed over as they are"},
	},
	Purity:  fn.Impure,
	Timeout: fn.Timeout{Base: 15 * time.Minute},
	Outside: true,
}

var anything = []media.Kind{media.Image, media.Video, media.Audio, media.Text, media.Package, media.Stream}

type header struct {
	Name  string `json:"name" required:"true" min:"1" max:"64" pattern:"[A-Za-z0-9-]+" help:"name of the header"`
	Value string `json:"value" required:"true" max:"4096" pattern:"[\\x20-\\x7e\\t]*" help:"its value; kept with the task, so give keys that may be changed"`
}

type callParams struct {
	URL     string                     `json:"url" required:"true" min:"1" max:"8192" help:"where to post, http or https" example:"https://moderation.example/v1/jobs"`
	Body    map[string]json.RawMessage `json:"body" help:"handed over as params, at most 64 KiB"`
	Headers []header                   `json:"headers" max:"16" help:"further headers of the request, such as Authorization"`
}

// request is what a service is sent.
type request struct {
	TraceID     string                     `json:"trace_id"`
	CallbackURL string                     `json:"callback_url,omitempty"`
	Params      map[string]json.RawMessage `json:"params"`
	Inputs      []input                    `json:"input_files"`
	Documents   []json.RawMessage          `json:"documents,omitempty"`
	Place       media.Ref                  `json:"output_place"`
}

type input struct {
	media.Ref
	Slot   string `json:"slot"`
	Format string `json:"format,omitempty"` // what it really is: mp4, jpeg
	Size   int64  `json:"file_size,omitempty"`
}

// Poster sends a body to an address and returns status and answer, which is at
// most so many bytes long. It judges which addresses may be called.
type Poster interface {
	Ask(ctx fn.Context, addr string, header http.Header, body []byte, most int64) (int, []byte, error)
}

// Call returns service.call.
func Call(poster Poster) fn.Function {
	spec := callSpec
	if poster == nil {
		spec.Missing = "outside services can't be called here"
	}
	return fn.Define(spec, fn.Body[callParams]{
		Check: checkCall,
		Price: func(*callParams, []*media.Info) fn.Price { return fn.Price{CPUSeconds: 0.01, Memory: 16 << 20} },
		Run: func(ctx fn.Context, call *fn.Call, p *callParams) (*fn.Result, error) {
			return runCall(ctx, poster, call, p)
		},
	})
}

func checkCall(p *callParams, _ []media.Kind) error {
	u, err := url.Parse(p.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return errs.InField("params.url", "is not an http or https URL")
	}
	size := 0
	for name, value := range p.Body {
		size += len(name) + len(value)
	}
	if size > maxBody {
		return errs.InField("params.body", "has more than %d bytes", maxBody)
	}
	for _, h := range p.Headers {
		switch name := http.CanonicalHeaderKey(h.Name); name {
		case "Host", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "Upgrade", "Trailer", "Te", "Expect", "Idempotency-Key":
			return errs.InField("params.headers", "%s is set by the platform", name)
		}
	}
	return nil
}

func runCall(ctx fn.Context, poster Poster, call *fn.Call, p *callParams) (*fn.Result, error) {
	out := request{TraceID: call.Trace, CallbackURL: call.Callback, Params: p.Body, Inputs: []input{}, Place: call.Place}
	if out.Params == nil {
		out.Params = map[string]json.RawMessage{}
	}
	for _, in := range call.Inputs {
		if in.Doc != nil {
			out.Documents = append(out.Documents, in.Doc)
			continue
		}
		ref := in.Ref
		ref.Type = string(in.Kind)
		out.Inputs = append(out.Inputs, input{Ref: ref, Slot: in.Slot, Format: in.Format, Size: in.Size})
	}
	body, err := json.Marshal(out)
	if err != nil {
		return nil, errs.As(errs.Internal, "request", err)
	}
	headers := http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {call.Trace}}
	for _, h := range p.Headers {
		headers.Add(h.Name, h.Value)
	}
	status, answer, err := poster.Ask(ctx, p.URL, headers, body, maxAnswer)
	if err != nil {
		return nil, err
	}
	if status < 200 || status > 299 {
		return nil, refusal(status, answer)
	}
	if call.Callback != "" {
		return &fn.Result{Pending: true}, nil
	}
	facts, err := factsOf(answer)
	return &fn.Result{Facts: facts}, err
}

// refusal is the error of an answer that is no success. What the service says
// itself goes with it, shortened.
func refusal(status int, answer []byte) error {
	kind := errs.Invalid
	switch {
	case status == http.StatusTooManyRequests:
		kind = errs.Busy
	case status == http.StatusRequestTimeout || status >= 500:
		kind = errs.Transient
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		kind = errs.Denied
	}
	tail := strings.ToValidUTF8(string(answer[:min(len(answer), 1000)]), "")
	return &errs.Error{Kind: kind, Msg: strings.TrimSpace(fmt.Sprintf("the service answered %d %s", status, http.StatusText(status))), Tail: tail}
}

// factsOf reads the answer of a service that is not asked to call back.
func factsOf(answer []byte) (json.RawMessage, error) {
	answer = bytes.TrimSpace(answer)
	if len(answer) == 0 {
		return json.RawMessage("{}"), nil
	}
	if answer[0] != '{' || !json.Valid(answer) {
		return nil, errs.New(errs.Invalid, "answer", "the service answered no JSON object")
	}
	return answer, nil
}
