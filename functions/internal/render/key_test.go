package render

import (
	"slices"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/functions/internal/encode"
	"github.com/mediafn/mediafn/tools/ffmpeg"
)

// TestNoKey: what has no name is not kept.
func TestNoKey(t *testing.T) {
	no := false
	o := Order{Params: &encode.Params{}, Threads: 1, Files: []string{"a text"}, Info: &media.Info{Kind: media.Video, Format: "mp4", Duration: 1,
		Video: []media.VideoStream{{Width: 320, Height: 180, PixelFormat: "yuv420p", TimeBase: media.Rational{Num: 1, Den: 25}, VFR: &no}}}}
	o.Params.Normalize()
	p, err := o.plan()
	if err != nil {
		t.Fatal(err)
	}
	named := []fn.Input{{Slot: "source", Demuxer: "mov", Location: "/in", Identity: "x"}}
	if o.key("ffmpeg 5", &fn.Call{Inputs: named}, p) == "" {
		t.Fatal("no key where all is known")
	}
	for name, key := range map[string]string{
		"an input without a name": o.key("ffmpeg 5", &fn.Call{Inputs: []fn.Input{{Slot: "source", Demuxer: "mov", Location: "/in"}}}, p),
		"a tool without a name":   o.key("", &fn.Call{Inputs: named}, p),
		"a file of nobody's": Order{Params: o.Params, Info: o.Info, Extra: []ffmpeg.Input{{Path: "/else"}}}.
			key("ffmpeg 5", &fn.Call{Inputs: named}, p),
	} {
		if key != "" {
			t.Errorf("%s has a key", name)
		}
	}
	if two := o; o.key("ffmpeg 5", &fn.Call{Inputs: named}, p) == func() string { two.Files = []string{"b"}; return two.key("ffmpeg 5", &fn.Call{Inputs: named}, p) }() {
		t.Error("another text makes no difference")
	}
	internal := append(slices.Clone(named), fn.Input{Slot: "reduced", Location: "/r", Identity: "r1"})
	one := o.key("ffmpeg 5", &fn.Call{Inputs: internal}, p)
	internal[1].Identity = "r2"
	if two := o.key("ffmpeg 5", &fn.Call{Inputs: internal}, p); one == two {
		t.Error("what other slices found out makes no difference")
	}
}

// TestRecallOfRenditions: each is found, and computed, for itself.
func TestRecallOfRenditions(t *testing.T) {
	no := false
	rung := func(name string, height int) Rendition {
		r := Rendition{Name: name, Params: &encode.Params{Height: height, Preset: "medium"}}
		r.Params.Normalize()
		return r
	}
	o := Order{Params: &encode.Params{}, Threads: 1, Part: &fn.Part{Stream: fn.Pictures, TimeBase: media.Rational{Num: 1, Den: 25}, End: 25, Frames: 25, Scale: 25},
		Info: &media.Info{Kind: media.Video, Format: "mp4", Duration: 1,
			Video: []media.VideoStream{{Width: 320, Height: 180, PixelFormat: "yuv420p", TimeBase: media.Rational{Num: 1, Den: 25}, VFR: &no}}}}
	o.Params.Normalize()
	kept := map[string]bool{}
	call := &fn.Call{Inputs: []fn.Input{{Slot: "source", Demuxer: "mov", Location: "/in", Identity: "x"}},
		Stored: func(key string) (media.Object, bool) { return media.Object{}, kept[key] }}
	for _, c := range []struct {
		name         string
		ladder, want []Rendition // asked for, and computed
	}{
		{"the first time", []Rendition{rung("a", 180), rung("b", 90)}, []Rendition{rung("a", 180), rung("b", 90)}},
		{"one more, in front", []Rendition{rung("c", 120), rung("a", 180), rung("b", 90)}, []Rendition{rung("c", 120)}},
		{"one of another size", []Rendition{rung("a", 160), rung("b", 90)}, []Rendition{rung("a", 160)}},
		{"all there", []Rendition{rung("b", 90), rung("c", 120)}, nil},
	} {
		o.Ladder = c.ladder
		rest, outs, err := o.recall("ffmpeg 5", call)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for i, f := range outs {
			if f.Name != c.ladder[i].Name+".mp4" || f.Key == "" {
				t.Errorf("%s: file %d is %+v", c.name, i, f)
			}
			if f.Object == nil {
				names = append(names, f.Name)
				kept[f.Key] = true
			}
		}
		var want []string
		for _, r := range c.want {
			want = append(want, r.Name+".mp4")
		}
		if !slices.Equal(names, want) || want != nil && len(rest.Ladder) != len(want) {
			t.Errorf("%s: computed %v of %v, want %v", c.name, names, rest.Ladder, want)
		}
	}
}
