package exec

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

func TestPublish(t *testing.T) {
	b := newBench(t, copyAll, nil)
	content := movie(300_000)
	from := b.put(t, "main", "a.mp4", content)
	j := job.Job{Trace: "t1", Fn: job.Publish, Version: "1", Inputs: []job.Input{
		{Slot: "files", Ref: from}, {Slot: "files", Ref: from}, {Slot: "files", Ref: from},
	}}
	j.Out.Final = []media.Ref{{Bucket: "results", Key: "x/near.mp4"}, {Cloud: "far", Bucket: "results", Key: "far.mp4"}, from}
	for range 2 { // doing it twice gives the same
		out, err := b.Run(t.Context(), j, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range out.Outputs {
			want := j.Out.Final[i]
			if want.Cloud == "" {
				want.Cloud = "main"
			}
			if o.Ref != want || !bytes.Equal(b.get(t, o.Ref), content) || o.Size != 300_000 {
				t.Errorf("%d: %+v", i, o)
			}
		}
		if out.Usage.BytesIn != 300_000 || out.Usage.BytesOut != 900_000 { // only the far one moved through here
			t.Errorf("%+v", out.Usage)
		}
	}
	for name, c := range map[string]struct {
		change func(*job.Job)
		kind   errs.Kind
		field  string
	}{
		"gone":          {func(j *job.Job) { j.Inputs[1].Ref.Key = "gone" }, errs.NotFound, "output_files.1"},
		"a url":         {func(j *job.Job) { j.Inputs[0].Ref = media.Ref{URL: "http://x/"} }, errs.Internal, "output_files.0"},
		"no such store": {func(j *job.Job) { j.Out.Final[0].Cloud = "moon" }, errs.Invalid, ""},
		"other version": {func(j *job.Job) { j.Version = "7" }, errs.Transient, ""},
	} {
		k := j
		k.Inputs = append([]job.Input(nil), j.Inputs...)
		k.Out.Final = append([]media.Ref(nil), j.Out.Final...)
		c.change(&k)
		_, err := b.Run(t.Context(), k, nil)
		if !errs.Is(err, c.kind) || !strings.HasPrefix(errs.FieldOf(err), c.field) {
			t.Errorf("%s: %v (%q)", name, err, errs.FieldOf(err))
		}
	}
}
