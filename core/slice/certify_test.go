package slice_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
)

// perfect is a promise and what a perfect merge measures.
func perfect() (slice.Promise, slice.Measured) {
	r := request(clip(90, ntsc, 30000, 60))
	v := &r.Source.Video[0]
	v.Color = media.Color{Range: "tv", Primaries: "bt709", Transfer: "bt709", Matrix: "bt709"}
	p := *slice.Document(r).Promise
	m := slice.Measured{Order: &slice.Order{Compared: 4}}
	out := *v
	out.Duration = v.TimeBase.Seconds(v.Timing.LastPTS + v.Timing.LastDur)
	for f := range v.Frames {
		pts := f * 1001
		m.Source = append(m.Source, pts)
		out.FrameList = append(out.FrameList, media.Frame{PTS: pts})
		m.Coded = append(m.Coded, slice.Sample{DTS: pts, Dur: 1001, Size: 1000})
	}
	for range p.Joints {
		m.Seams = append(m.Seams, slice.Seam{Entry: "idr", SameSets: true})
	}
	m.Result = &media.Info{Video: []media.VideoStream{out}, Audio: slices.Clone(r.Source.Audio)}
	return p, m
}

func TestCertificateFindsEachFault(t *testing.T) {
	faults := []struct {
		name   string
		change func(*slice.Promise, *slice.Measured, *media.VideoStream)
		want   []string
	}{
		{"nothing", func(*slice.Promise, *slice.Measured, *media.VideoStream) {}, nil},
		{"no picture", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) { m.Result.Video = nil },
			[]string{"streams", "frame_count", "first_pts", "last_pts", "frame_times", "duration", "audio_offset", "color_tags"}},
		{"source unknown", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) { m.Source = nil }, []string{"frame_times"}},
		{"equal decode times", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) { m.Coded[9].DTS = m.Coded[8].DTS }, []string{"dts_rising"}},
		{"decoded out of turn", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) { m.Inferred, m.Waits = true, 17 }, []string{"dts_rising"}},
		{"reordered as codecs do", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) { m.Inferred, m.Waits = true, 4 }, nil},
		{"everything late", func(_ *slice.Promise, _ *slice.Measured, v *media.VideoStream) {
			for i := range v.FrameList {
				v.FrameList[i].PTS += 30
			}
		}, []string{"first_pts", "last_pts", "frame_times"}},
		{"longer", func(_ *slice.Promise, _ *slice.Measured, v *media.VideoStream) { v.Duration += 0.03 }, []string{"duration"}},
		{"range lost is limited range", func(_ *slice.Promise, _ *slice.Measured, v *media.VideoStream) { v.Color.Range = "" }, nil},
		{"range changed", func(_ *slice.Promise, _ *slice.Measured, v *media.VideoStream) { v.Color.Range = "pc" }, []string{"color_tags"}},
		{"matrix lost", func(_ *slice.Promise, _ *slice.Measured, v *media.VideoStream) { v.Color.Matrix = "" }, []string{"color_tags"}},
		{"HDR data lost", func(p *slice.Promise, _ *slice.Measured, _ *media.VideoStream) { p.HDR = &media.HDR{Format: "hdr10"} }, []string{"hdr"}},
		{"lying on its side", func(_ *slice.Promise, _ *slice.Measured, v *media.VideoStream) { v.Rotation = 270 }, []string{"orientation"}},
		{"mirrored", func(_ *slice.Promise, _ *slice.Measured, v *media.VideoStream) { v.Flip = true }, []string{"orientation"}},
		{"wrong size", func(p *slice.Promise, _ *slice.Measured, _ *media.VideoStream) { p.Width, p.Height = 640, 360 }, []string{"display_size"}},
		{"open entry", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) { m.Seams[1].Entry = "open" }, []string{"idr_at_joints"}},
		{"seam not read", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) { m.Seams = m.Seams[:1] }, []string{"parameter_sets_equal", "idr_at_joints"}},
		{"misplaced", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) { m.Order.Misplaced = []int{2} }, []string{"slice_order"}},
		{"sound heard late", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) {
			m.Sound = []slice.Shift{{Clear: true}, {Lag: 0.5}, {Lag: 0.0011, Clear: true}}
		}, []string{"audio_offset"}},
		{"sound heard in place, priming in front", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) {
			m.Sound = []slice.Shift{{Lag: 0.0005, Clear: true}}
			m.Result.Audio[0].StartTime, m.Result.Audio[0].Duration = -0.05, 90.05
		}, nil},
		{"sound late by its timestamps", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) {
			m.Result.Audio[0].StartTime, m.Result.Audio[0].Duration = 0.01, 89.99
		}, []string{"audio_offset"}},
		{"sound too short", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) {
			m.Result.Audio[0].Samples = 89 * 48000
		}, []string{"audio_samples"}},
		{"too much sound", func(_ *slice.Promise, m *slice.Measured, _ *media.VideoStream) {
			m.Result.Audio = append(m.Result.Audio, m.Result.Audio[0])
		}, []string{"streams"}},
		{"buffer holds", func(p *slice.Promise, _ *slice.Measured, _ *media.VideoStream) {
			p.MaxRate, p.BufSize = 300_000, 100_000
		}, nil},
		{"buffer runs dry", func(p *slice.Promise, _ *slice.Measured, _ *media.VideoStream) {
			p.MaxRate, p.BufSize = 200_000, 100_000
		}, []string{"vbv"}},
		{"no decode times", func(p *slice.Promise, m *slice.Measured, _ *media.VideoStream) {
			p.MaxRate, p.BufSize, m.Coded = 1, 1, nil
		}, nil},
	}
	for _, f := range faults {
		p, m := perfect()
		f.change(&p, &m, &m.Result.Video[0])
		c := slice.Certify(p, m)
		if got := c.Failed(); !slices.Equal(got, f.want) || c.OK != (f.want == nil) || len(c.Checks) != 18 || len(c.Joints) != len(p.Joints) {
			t.Errorf("%s: %v, want %v: %+v", f.name, got, f.want, c.Checks)
		}
	}
}

// At another rate the result is whole frames long, which the source need not be.
func TestCertificateAtAnotherRate(t *testing.T) {
	r := request(clip(90.0334, media.Rational{Num: 30, Den: 1}, 15360, 60))
	r.Assembly.FrameRate, r.Assembly.Sound = pal, false
	p := *slice.Document(r).Promise
	if p.Frames != 2251 {
		t.Fatalf("%d frames", p.Frames)
	}
	v := media.VideoStream{Width: 1280, Height: 720, TimeBase: media.Rational{Num: 1, Den: 90000}}
	for k := range p.Frames {
		v.FrameList = append(v.FrameList, media.Frame{PTS: k * 3600})
	}
	m := slice.Measured{Result: &media.Info{Video: []media.VideoStream{v}}}
	for range p.Joints {
		m.Seams = append(m.Seams, slice.Seam{Entry: "idr", SameSets: true})
	}
	for _, c := range []struct {
		seconds float64
		want    []string
	}{{90.04, nil}, {90.0334, []string{"duration"}}, {90.08, []string{"duration"}}} {
		m.Result.Video[0].Duration = c.seconds
		if got := slice.Certify(p, m); !slices.Equal(got.Failed(), c.want) {
			t.Errorf("%g s: %v, want %v", c.seconds, got.Failed(), c.want)
		}
	}
}

// One frame in the wrong place is found, wherever it is and however little it
// is off; rounding to a coarser time base is not taken for it.
func TestCertificateSeesEveryFrame(t *testing.T) {
	p, m := perfect()
	list := m.Result.Video[0].FrameList
	rapid.Check(t, func(t *rapid.T) {
		i := rapid.IntRange(0, len(list)-1).Draw(t, "frame")
		off := rapid.Int64Range(-500, 500).Filter(func(n int64) bool { return n != 0 }).Draw(t, "ticks")
		list[i].PTS += off
		c := slice.Certify(p, m)
		list[i].PTS -= off
		if !slices.Contains(c.Failed(), "frame_times") {
			t.Fatalf("frame %d off by %d ticks", i, off)
		}
	})
	v := &m.Result.Video[0]
	v.TimeBase = media.Rational{Num: 1, Den: 1000}
	for i := range list {
		list[i].PTS = (int64(i)*1001*1000 + 15000) / 30000
	}
	if c := slice.Certify(p, m); !c.OK {
		t.Fatal(c.Failed())
	}
}
