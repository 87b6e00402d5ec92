package task_test

import (
	"encoding/json"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

type speed struct {
	Preset string `json:"preset" default:"medium" help:"test"`
}

// Two presets share nothing but the function: what one was learned to take says
// nothing of the other.
func TestPricesAreLearnedByClass(t *testing.T) {
	video := []media.Kind{media.Video}
	f := fn.Define(fn.Spec{
		Name: "t.encode", Version: "2", Summary: "test", Purity: fn.Exact,
		Inputs: []fn.Slot{{Name: "in", Kinds: video, Min: 1, Max: 1}}, Outputs: []fn.Slot{{Name: "out", Kinds: video}},
	}, fn.Body[speed]{
		Price: func(p *speed, _ []*media.Info) fn.Price { return fn.Price{CPUSeconds: 10, Cores: 4, Class: p.Preset} },
		Run:   func(fn.Context, *fn.Call, *speed) (*fn.Result, error) { return nil, nil },
	})
	d := task.Decider{Learned: map[task.PriceKey]task.Learned{
		{Fn: "t.encode@2", Class: "1080p medium"}: {N: 20, Declared: 100, Actual: 250},
		{Fn: "t.encode@2", Class: "1080p"}:        {N: 20, Declared: 100, Actual: 900},
		{Fn: "t.encode@2", Class: "medium"}:       {N: 20, Declared: 100, Actual: 400},
		{Fn: "t.encode@1", Class: "1080p slow"}:   {N: 20, Declared: 100, Actual: 900},
	}}
	hd := &media.Info{Video: []media.VideoStream{{Width: 1920, Height: 1080}}}
	for _, c := range []struct {
		preset string
		source *media.Info
		class  string
		want   float64
	}{
		{"medium", hd, "1080p medium", 25},
		{"slow", hd, "1080p slow", 10}, // never seen in this version
		{"medium", nil, "medium", 40},
	} {
		price, declared, class := d.PriceOf(f, json.RawMessage(`{"preset":"`+c.preset+`"}`), []*media.Info{c.source})
		if price.CPUSeconds != c.want || class != c.class || declared.CPUSeconds != 10 || price.Cores != 4 {
			t.Errorf("%s: %+v of %+v in class %q, want %v in %q", c.preset, price, declared, class, c.want, c.class)
		}
	}
}
