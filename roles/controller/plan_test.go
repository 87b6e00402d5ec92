package controller

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/core/task"
)

type none struct{}

// The plan rests on what was learned, not on what the function declares.
func TestPlanTakesTheLearnedPrice(t *testing.T) {
	f := fn.Define(fn.Spec{
		Name: "t.cut", Version: "1", Summary: "test", Purity: fn.Exact, Slicing: fn.Slicing{Mode: fn.Independent},
	}, fn.Body[none]{
		Price:    func(*none, []*media.Info) fn.Price { return fn.Price{CPUSeconds: 1, Cores: 1} },
		Assembly: func(*none, *media.Info) fn.Assembly { return fn.Assembly{Container: "mp4"} },
		Run:      func(fn.Context, *fn.Call, *none) (*fn.Result, error) { return nil, nil },
	})
	v := media.VideoStream{Width: 640, Height: 480, TimeBase: media.Rational{Num: 1, Den: 25}, Frames: 2500,
		Timing: &media.Timing{LastPTS: 2499, LastDur: 1}, GOP: &media.GOP{}}
	for at := int64(0); at < v.Frames; at += 25 {
		v.GOP.Keys = append(v.GOP.Keys, media.Key{PTS: at, Frame: at})
	}
	v.GOP.Count = len(v.GOP.Keys)
	profile, err := json.Marshal(media.Info{Kind: media.Video, Format: "mp4", Duration: 100, Video: []media.VideoStream{v}})
	if err != nil {
		t.Fatal(err)
	}
	plan := func(cpu float64) (p slice.Plan) {
		raw, err := PlanSlices(NewCores(8))(task.InlineCall{
			Task: &task.Task{Request: task.Request{Params: json.RawMessage("{}")}}, Function: f, Docs: map[string]json.RawMessage{"profile": profile},
			Price: func(source *media.Info) fn.Price {
				if source.MainVideo() == nil || source.Duration != 100 {
					t.Errorf("priced for %+v", source)
				}
				return fn.Price{CPUSeconds: cpu, Cores: 1}
			},
		})
		if err == nil {
			err = json.Unmarshal(raw, &p)
		}
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := plan(1); p.Sliced || p.Code != slice.NoGain {
		t.Errorf("a second of work: %s, %s", p.Code, p.Reason)
	}
	if p := plan(100); !p.Sliced || math.Abs(p.Prediction.WholeCost-100) > 0.1 {
		t.Errorf("a hundred: %s, %s, %+v", p.Code, p.Reason, p.Prediction)
	}
}
