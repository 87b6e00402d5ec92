package ahead_test

import (
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/functions/inspect"
	"github.com/mediafn/mediafn/functions/internal/ahead"
	"github.com/mediafn/mediafn/functions/internal/fnrig"
)

func TestMain(m *testing.M) { fnrig.Main(m) }

type none struct{}

// probe is a function that says which slice it was given.
func probe(mode fn.Mode, given **fn.Call) fn.Function {
	return fn.Define(fn.Spec{Name: "t.probe", Version: "1", Summary: "test", Purity: fn.Exact, Slicing: fn.Slicing{Mode: mode},
		Inputs: []fn.Slot{{Name: "source", Kinds: []media.Kind{media.Video}, Min: 1, Max: 1}}},
		fn.Body[none]{Assembly: func(*none, *media.Info) fn.Assembly { return fn.Assembly{} },
			Run: func(_ fn.Context, call *fn.Call, _ *none) (*fn.Result, error) {
				*given = call
				return &fn.Result{}, nil
			}})
}

// broken reads as far as it goes.
type broken struct {
	io.ReaderAt
	end int64
}

var missing = errs.New(errs.Transient, "test", "it has not arrived")

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.end {
		return 0, missing
	}
	return b.ReaderAt.ReadAt(p, off)
}

func TestSplit(t *testing.T) {
	rig := fnrig.New(t)
	src := fnrig.Generate(t, "a.ts", strings.Fields("-f lavfi -i testsrc2=s=96x64:r=25:d=8 -c:v libx264 -preset ultrafast -bf 2 -g 25 -pix_fmt yuv420p -output_ts_offset 50")...)
	in, err := rig.Open(t, "source", src)
	if err != nil {
		t.Fatal(err)
	}
	res, err := rig.Run(t, inspect.Front(rig.FFmpeg), `{}`, nil, src)
	if err != nil {
		t.Fatal(err)
	}
	front := &media.Info{}
	if err := json.Unmarshal(res.Facts, front); err != nil {
		t.Fatal(err)
	}
	var given *fn.Call
	f := ahead.Of(rig.FFmpeg, probe(fn.Independent, &given))
	half := fn.Bytes{First: in.Size / 3, Behind: in.Size / 2}
	run := func(change func(in *fn.Input, p *fn.Part)) (*slice.Found, error) {
		own, part := in, &fn.Part{Stream: fn.Pictures, Of: 3, Order: 1, Split: &half}
		own.Info, own.Identity = front, "a"
		change(&own, part)
		given = nil
		res, err := f.Run(t.Context(), &fn.Call{Dir: t.TempDir(), Threads: 1, Params: json.RawMessage(`{}`), Inputs: []fn.Input{own}, Part: part})
		if err != nil {
			return nil, err
		}
		found := &slice.Found{}
		if res.Facts == nil {
			return nil, nil
		}
		return found, json.Unmarshal(res.Facts, found)
	}
	found, err := run(func(*fn.Input, *fn.Part) {})
	if err != nil || found.Frames <= 0 || found.Frames%25 != 0 || found.To-found.From != found.Frames*3600 || given == nil {
		t.Fatalf("%+v, %v", found, err)
	}
	p, own := given.Part, given.Inputs[0]
	if p.Split != nil || p.Start != found.From || p.End != found.To || p.Frames != found.Frames || p.First != found.From/3600-p.Entry/3600 || p.Order != 1 ||
		own.Format != "mp4" || own.Port != 0 || own.Identity == "a" || own.Info.StartTime != 0 || own.Info.MainVideo().Timing.FirstPTS != p.Entry {
		t.Errorf("%+v\n%+v %+v", p, own, own.Info)
	}
	for name, c := range map[string]struct {
		change func(in *fn.Input, p *fn.Part)
		kind   errs.Kind
	}{
		"nothing known":    {func(in *fn.Input, _ *fn.Part) { in.Info = nil }, errs.Unsupported},
		"no pictures":      {func(in *fn.Input, _ *fn.Part) { in.Info = &media.Info{} }, errs.Unsupported},
		"not held by mp4":  {func(in *fn.Input, _ *fn.Part) { in.Info = codec(front, "vp8") }, errs.Unsupported},
		"another picture":  {func(in *fn.Input, _ *fn.Part) { in.Info = codec(front, "hevc") }, errs.Invalid},
		"another format":   {func(in *fn.Input, _ *fn.Part) { in.Format = "flv" }, errs.Unsupported},
		"not arrived":      {func(in *fn.Input, _ *fn.Part) { in.Data = broken{in.Data, in.Size * 4 / 10} }, errs.Transient},
		"its end has not":  {func(in *fn.Input, _ *fn.Part) { in.Data = broken{in.Data, in.Size*5/10 + 100} }, errs.Transient},
		"nor has its head": {func(in *fn.Input, _ *fn.Part) { in.Data = broken{in.Data, 10} }, errs.Transient},
	} {
		if found, err := run(c.change); !errs.Is(err, c.kind) {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	// A range without a keyframe has no frames, and the function is not asked.
	if found, err := run(func(_ *fn.Input, p *fn.Part) { p.Split = &fn.Bytes{First: half.First + 1, Behind: half.First + 2} }); err != nil || found.Frames != 0 || given != nil {
		t.Errorf("%+v, %v", found, err)
	}
	// Other parts are the function's own.
	if found, err := run(func(_ *fn.Input, p *fn.Part) { p.Split = nil }); err != nil || found != nil || given == nil || given.Inputs[0].Format != "mpegts" {
		t.Errorf("%+v, %v", found, err)
	}
	if laps := probe(fn.Overlap, &given); ahead.Of(rig.FFmpeg, laps) != laps {
		t.Error("a function whose slices overlap takes splits")
	}
}

func codec(front *media.Info, name string) *media.Info {
	other := *front
	v := *front.MainVideo()
	v.Codec = name
	other.Video = []media.VideoStream{v}
	return &other
}
