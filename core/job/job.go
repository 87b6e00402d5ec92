// Package job is what a worker is told to compute and what it answers: one
// attempt (trace) of one function on one machine. It travels in grants, so
// everything in it is plain data with wire names.
package job

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

// Publish is the one function the executor carries out itself: it puts
// finished objects at the places the caller asked for.
const Publish = "assemble.publish"

// Service is the function that hands work to an outside service.
const Service = "service.call"

// Job is one computation.
type Job struct {
	Trace   string          `json:"trace"` // id of this attempt; letters, digits, "-", "_", "."
	Fn      string          `json:"fn"`
	Version string          `json:"version"` // of Fn, as the plan was made for
	Params  json.RawMessage `json:"params,omitempty"`
	Inputs  []Input         `json:"inputs,omitempty"`
	Part    *fn.Part        `json:"part,omitempty"` // the slice to compute; nil = all
	Out     Place           `json:"out"`
	// PreDownload has every input copied to scratch before the function starts,
	// instead of being read in place while it runs.
	PreDownload bool      `json:"pre_download,omitempty"`
	Threads     int       `json:"threads,omitempty"` // cores to keep busy; 0 = 1
	Deadline    time.Time `json:"deadline,omitzero"` // zero = none
	// Callback is where an outside service answers; empty unless the component is
	// asynchronous. It carries its own token.
	Callback string `json:"callback,omitempty"`
	// Async has the controller fill in Callback with every grant.
	Async bool `json:"async,omitempty"`
	// Fresh names outputs, with or without their extension, that are computed
	// though they are kept from an earlier call; "all" means every one.
	Fresh []string `json:"fresh,omitempty"`
	// Traceparent is the W3C trace context of the request; empty = none.
	Traceparent string `json:"traceparent,omitempty"`
}

// Cached is where files are kept that later calls may use again.
const Cached = "cache/"

// Input is one thing that fills a slot: media at Ref, or a JSON document.
type Input struct {
	Slot string          `json:"slot"`
	Ref  media.Ref       `json:"ref,omitzero"`
	Doc  json.RawMessage `json:"doc,omitempty"`
	// Name is that of a file of another component, where it has folders; else the
	// end of its key tells.
	Name string `json:"name,omitempty"`
	// Facts is what the platform already knows about the media at Ref.
	Facts *media.Info `json:"facts,omitempty"`
	// Pieces are read instead of the object at Ref, which is not there yet.
	Pieces *Pieces `json:"pieces,omitempty"`
}

// Pieces are what has arrived of an upload, as far as a job may read it.
type Pieces struct {
	Upload string        `json:"upload"`
	Bucket string        `json:"bucket"` // of the input's store
	Size   int64         `json:"size"`   // of the whole
	List   []media.Piece `json:"list"`
}

// Short is the error of an attempt that read what has not arrived.
type Short struct {
	Need int64 // bytes from the start that would have to be there
}

func (s *Short) Error() string { return fmt.Sprintf("byte %d has not arrived", s.Need-1) }

// Place says where outputs go.
type Place struct {
	Cloud  string `json:"cloud"`
	Bucket string `json:"bucket"`
	// Prefix is the attempt key, without a slash at either end. It holds the
	// trace id, so no two attempts ever write the same object. An output is
	// stored at Prefix + "/" + its name.
	Prefix string `json:"prefix"`
	// Cache lets outputs with a key (fn.Output.Key) be stored below Cached in the
	// same bucket instead, where later calls find them.
	Cache bool `json:"cache,omitempty"`
	// Final are the exact targets of Publish, one for each input. Other
	// functions never write to a place a caller can see.
	Final []media.Ref `json:"final,omitempty"`
}

// Outcome is what a job that succeeded produced.
type Outcome struct {
	Outputs []media.Object  `json:"outputs,omitempty"`
	Facts   json.RawMessage `json:"facts,omitempty"` // JSON object
	Usage   fn.Usage        `json:"usage"`
	// Pending says that an outside service has the work now and will answer at
	// the job's callback URL. Nothing else is set then.
	Pending bool `json:"pending,omitempty"`
}

// Validate checks what the executor relies on. A job is written by the
// controller, never by a caller, so what is wrong with it is Internal.
func (j *Job) Validate() error {
	fail := func(format string, args ...any) error {
		return errs.New(errs.Internal, "job", format, args...)
	}
	if !element(j.Trace) {
		return fail("trace %q is no path element", j.Trace)
	}
	if j.Fn == "" {
		return fail("no function")
	}
	if j.Threads < 0 {
		return fail("%d threads", j.Threads)
	}
	for i, in := range j.Inputs {
		blob, url, doc := in.Ref.Bucket != "" && in.Ref.Key != "", in.Ref.URL != "", in.Doc != nil
		if count(blob, url, doc) != 1 {
			return fail("input %d needs exactly one of url, bucket and key, document", i)
		}
	}
	if j.Fn == Publish {
		if len(j.Out.Final) != len(j.Inputs) {
			return fail("%d inputs to publish at %d targets", len(j.Inputs), len(j.Out.Final))
		}
		for i, ref := range j.Out.Final {
			if ref.URL != "" || ref.Bucket == "" || ref.Key == "" {
				return fail("target %d is not a bucket and key", i)
			}
		}
		return nil
	}
	if len(j.Out.Final) > 0 {
		return fail("only %s writes to final places", Publish)
	}
	if j.Out.Bucket == "" {
		return fail("no bucket to store outputs in")
	}
	if !strings.Contains(j.Out.Prefix, j.Trace) || strings.HasPrefix(j.Out.Prefix, "/") || strings.HasSuffix(j.Out.Prefix, "/") {
		return fail("prefix %q is not a key of attempt %s", j.Out.Prefix, j.Trace)
	}
	return nil
}

// Key is where an output of that name is stored.
func (p Place) Key(name string) string { return p.Prefix + "/" + name }

// Field names input i in errors the way requests do.
func Field(i int) string { return fmt.Sprintf("input_files.%d", i) }

func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}

// element reports whether s is safe as a file name: it becomes a directory.
func element(s string) bool {
	if s == "" || len(s) > 128 || s[0] == '.' {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
