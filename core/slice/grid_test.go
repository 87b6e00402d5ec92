package slice_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
)

// The picture that begins an interval is the first at or behind its instant,
// whether or not the frame rate has a picture there.
func TestKeyframesAreCertified(t *testing.T) {
	r := request(clip(90, ntsc, 30000, 60))
	r.Assembly.KeySeconds = 2
	_, m := perfect()
	p := *slice.Document(r).Promise
	list := m.Result.Video[0].FrameList
	for n, at := range []int64{0, 60, 120, 180, 240} { // 2.002 s, 4.004 s …: no frame lies on the grid
		if got := slice.Interval(p.TimeBase.Seconds(1001*at), 2); got != int64(n) {
			t.Fatalf("frame %d is of interval %d, want %d", at, got, n)
		}
		if n > 0 && slice.Interval(p.TimeBase.Seconds(1001*(at-1)), 2) != int64(n-1) {
			t.Fatalf("frame %d begins an interval too", at-1)
		}
	}
	at := int64(-1)
	for i := range list {
		if n := slice.Interval(p.TimeBase.Seconds(list[i].PTS), 2); n != at {
			at, list[i].Key = n, true
		}
	}
	if c := slice.Certify(p, m); !c.OK {
		t.Fatal(c.Failed())
	}
	list[33].Key = true // the start of a slice
	if c := slice.Certify(p, m); !c.OK {
		t.Fatal(c.Failed())
	}
	list[120].Key, list[121].Key = false, true
	if c := slice.Certify(p, m); !slices.Equal(c.Failed(), []string{"keyframes"}) {
		t.Fatal(c.Failed())
	}
}

func TestEveryRenditionIsCertified(t *testing.T) {
	r := request(clip(90, ntsc, 30000, 60))
	bt709 := &media.Color{Range: "tv", Primaries: "bt709", Transfer: "bt709", Matrix: "bt709"}
	r.Assembly.Renditions = []fn.Rendition{{Name: "720p", Width: 1280, Height: 720, Color: bt709}, {Name: "360p", Width: 640, Height: 360, Color: bt709, MaxRate: 1, BufSize: 1}}
	plan := slice.Document(r)
	promises := plan.Promises()
	if len(promises) != 2 || len(promises[0].Sound) != 1 || len(promises[1].Sound) != 0 || promises[1].BufSize != 1 {
		t.Fatalf("%+v", promises)
	}
	var all []slice.Certificate
	for i, p := range promises {
		_, m := perfect()
		if i > 0 {
			m.Result.Audio = nil
		}
		m.Coded = nil
		all = append(all, slice.Certify(p, m))
	}
	c := slice.Together(all)
	if want := []string{"360p display_size"}; c.OK || !slices.Equal(c.Failed(), want) || len(c.Checks) != 36 || len(c.Joints) != 2*len(plan.Promise.Joints) {
		t.Fatal(c.Failed(), len(c.Checks))
	}
	if c := slice.Together(nil); c.OK {
		t.Fatal("nothing is certified")
	}
	if fmt.Sprint(c.Joints[len(c.Joints)-1].Rendition) != "360p" {
		t.Fatal(c.Joints)
	}
}

// Sound that is filled with silence is as long as the pictures.
func TestFilledSoundIsPromised(t *testing.T) {
	r := request(clip(90, ntsc, 30000, 60))
	r.Source.Audio[0].StartTime, r.Source.Audio[0].Samples = 3, 40*48000
	if s := slice.Document(r).Promise.Sound[0]; s.Offset != 3 || s.Duration != 40 {
		t.Fatal(s)
	}
	r.Assembly.Filled = true
	if s := slice.Document(r).Promise.Sound[0]; s.Offset != 0 || s.Duration < 89.9 {
		t.Fatal(s)
	}
}
