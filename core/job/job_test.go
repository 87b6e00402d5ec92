package job

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

func good() Job {
	return Job{
		Trace: "t-1", Fn: "video.transcode", Version: "1", Params: json.RawMessage(`{"crf":23}`),
		Inputs: []Input{
			{Slot: "source", Ref: media.Ref{Cloud: "main", Bucket: "in", Key: "a.mp4"}},
			{Slot: "plan", Doc: json.RawMessage(`{}`)},
		},
		Out: Place{Cloud: "main", Bucket: "work", Prefix: "task/event/t-1"}, Threads: 2,
		Deadline: time.Unix(1700000000, 0).UTC(),
	}
}

func TestJobTravels(t *testing.T) {
	want := good()
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Job
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	if k := got.Out.Key("out.mp4"); k != "task/event/t-1/out.mp4" {
		t.Error(k)
	}
}

func TestValidate(t *testing.T) {
	publish := func(j *Job) { j.Fn, j.Inputs = Publish, j.Inputs[:1] }
	for want, change := range map[string]func(*Job){
		"path element":      func(j *Job) { j.Trace = "../x" },
		"no function":       func(j *Job) { j.Fn = "" },
		"threads":           func(j *Job) { j.Threads = -1 },
		"exactly one":       func(j *Job) { j.Inputs[0].Ref.URL = "http://x/" },
		"input 1 needs":     func(j *Job) { j.Inputs[1].Doc = nil },
		"no bucket":         func(j *Job) { j.Out.Bucket = "" },
		"key of attempt":    func(j *Job) { j.Out.Prefix = "task/event/other" },
		"final places":      func(j *Job) { j.Out.Final = []media.Ref{{Bucket: "b", Key: "k"}} },
		"1 inputs to pub":   publish,
		"not a bucket and ": func(j *Job) { publish(j); j.Out.Final = []media.Ref{{URL: "http://x"}} },
	} {
		j := good()
		change(&j)
		err := j.Validate()
		if !errs.Is(err, errs.Internal) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}
