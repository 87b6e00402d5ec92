package slice

import (
	"fmt"
	"math"

	"github.com/mediafn/mediafn/core/media"
)

// maxOffset is how far sound may have moved against the pictures, in seconds.
const maxOffset = 0.001

// tolerance is how far a time may lie from the promised one, in seconds: half
// a tick of the coarser time base, which is what rounding to it may do, plus
// the rounding of the slices where their scale does not hold the source's
// ticks exactly.
func tolerance(p Promise, result media.Rational) float64 {
	coarser := max(p.TimeBase.Float(), result.Float())
	if p.Rate.Known() {
		coarser = max(result.Float(), 1/float64(max(p.Scale, 1)))
	}
	t := coarser/2 + 1e-9
	if !Exact(p.TimeBase, p.Scale) {
		t += 0.5 / float64(max(p.Scale, 1))
	}
	return t
}

// judge holds what the checks look at. Times are seconds.
type judge struct {
	p      *Promise
	m      *Measured
	v      *media.VideoStream // the result's
	want   []float64          // nil = not known
	got    []float64
	within float64
}

func (j *judge) streams() Check {
	videos := 0
	for i := range j.m.Result.Video {
		if !j.m.Result.Video[i].Attached {
			videos++
		}
	}
	k := compare("streams", fmt.Sprintf("1 video, %d audio", len(j.p.Sound)), fmt.Sprintf("%d video, %d audio", videos, len(j.m.Result.Audio)))
	return k
}

func (j *judge) frameCount() Check {
	k := compare("frame_count", j.p.Frames, int64(len(j.got)))
	if len(j.got) == 0 {
		k.Detail = "a slice of the source could not be decoded"
	}
	return k
}

func (j *judge) firstPTS() Check {
	return j.at("first_pts", j.p.TimeBase.Seconds(j.p.FirstPTS), 0)
}

func (j *judge) lastPTS() Check {
	want := j.p.TimeBase.Seconds(j.p.LastPTS)
	if n := len(j.want); j.p.Rate.Known() && n > 0 {
		want = j.want[n-1]
	}
	return j.at("last_pts", want, len(j.got)-1)
}

// at compares the time of one frame.
func (j *judge) at(name string, want float64, frame int) Check {
	if frame < 0 || frame >= len(j.got) {
		return Check{Name: name, Want: secs(want), Got: "no frame"}
	}
	return within(name, want, j.got[frame], j.within)
}

// mostReordered is how many pictures a decoder may hold back to reorder them
// (H.264 max_num_reorder_frames; other codecs have less).
const mostReordered = 16

func (j *judge) dtsRising() Check {
	k := Check{Name: "dts_rising", OK: true, Want: "rising", Got: "rising"}
	if j.m.Coded == nil {
		k.Got, k.Detail = "not known", "the order of decoding was not read"
		return k
	}
	if j.m.Inferred {
		k.Detail = fmt.Sprintf("inferred from the order: the container keeps no decode times; pictures wait for %d others at most", j.m.Waits)
		if j.m.Waits > mostReordered {
			k.OK, k.Got = false, fmt.Sprintf("a picture is decoded %d places behind its turn", j.m.Waits)
			return k
		}
	}
	for i := 1; i < len(j.m.Coded); i++ {
		if j.m.Coded[i].DTS <= j.m.Coded[i-1].DTS {
			k.OK, k.Got = false, fmt.Sprintf("%d after %d at sample %d", j.m.Coded[i].DTS, j.m.Coded[i-1].DTS, i)
			return k
		}
	}
	return k
}

func (j *judge) frameTimes() Check {
	k := Check{Name: "frame_times", OK: true, Want: fmt.Sprintf("within %.3f ms", j.within*1e3)}
	if j.want == nil {
		k.OK, k.Got = false, "not comparable"
		k.Detail = fmt.Sprintf("%d frame times of the source are known, %d were promised", len(j.m.Source), j.p.Frames)
		return k
	}
	worst, frame, bad := 0.0, 0, 0
	for i := range min(len(j.want), len(j.got)) {
		d := math.Abs(j.want[i] - j.got[i])
		if d > worst {
			worst, frame = d, i
		}
		if d > j.within {
			bad++
		}
	}
	k.Got = fmt.Sprintf("within %.3f ms", worst*1e3)
	if n := abs(int64(len(j.want) - len(j.got))); n > 0 {
		bad += int(n)
	}
	if bad > 0 {
		k.OK, k.Detail = false, fmt.Sprintf("%d frame(s) are elsewhere, frame %d by most", bad, frame)
	}
	return k
}

func (j *judge) duration() Check {
	want := j.p.TimeBase.Seconds(j.p.EndPTS - j.p.FirstPTS)
	if r := j.p.Rate; r.Known() { // whole frames of its own
		want = float64(j.p.Frames) / r.Float()
	}
	// Containers round a track's length to the movie's clock, often 1 ms.
	return within("duration", want, j.v.Duration, j.within+0.001+1/float64(max(j.p.Scale, 1)))
}

// audioSamples counts from the first picture to the end of the sound: encoders
// put silence in front (priming) and fill the last coded frame.
func (j *judge) audioSamples() Check {
	k := Check{Name: "audio_samples", OK: true, Want: "no sound", Got: "no sound"}
	for i := range min(len(j.m.Result.Audio), len(j.p.Sound)) { // a missing track is a matter of streams
		a, want := &j.m.Result.Audio[i], j.p.Sound[i]
		got := a.Duration
		if a.Samples > 0 && a.SampleRate > 0 {
			got = float64(a.Samples) / float64(a.SampleRate)
		}
		if want.Duration <= 0 || got <= 0 || len(j.got) == 0 {
			k.Want, k.Got, k.Detail = "not known", "not known", fmt.Sprintf("track %d: a length is not stored", i)
			continue
		}
		rate := float64(max(a.SampleRate, 1))
		slack := (max(want.Frame, codedFrame(a)) + maxOffset + j.within) * rate
		w, g := (want.Offset+want.Duration)*rate, (a.StartTime-j.got[0]+got)*rate
		k.Want, k.Got = fmt.Sprintf("%.0f ± %.0f", w, slack), fmt.Sprintf("%.0f", g)
		if math.Abs(w-g) > slack {
			k.OK, k.Detail = false, fmt.Sprintf("track %d", i)
			return k
		}
	}
	return k
}

// audioOffset compares the sound itself where that was possible, else the
// tracks' first timestamps, which may be a coded frame early: priming that the
// container does not cut off is silence, and moves nothing.
func (j *judge) audioOffset() Check {
	k := Check{Name: "audio_offset", OK: true, Want: "no sound", Got: "no sound"}
	if len(j.got) == 0 {
		k.OK, k.Got = len(j.p.Sound) == 0, "no picture"
		return k
	}
	for i := range min(len(j.m.Result.Audio), len(j.p.Sound)) {
		worst, heard := Shift{}, 0
		for _, s := range j.m.Sound {
			if s.Track == i && s.Clear {
				heard++
				if math.Abs(s.Lag) >= math.Abs(worst.Lag) {
					worst = s
				}
			}
		}
		if heard > 0 {
			allowed := maxOffset + j.within // a container's clock may round
			k.Want, k.Got = fmt.Sprintf("within %.2g ms", allowed*1e3), fmt.Sprintf("%+.3f ms", worst.Lag*1e3)
			k.Detail = fmt.Sprintf("track %d compared by ear at %d place(s), most at %.1f s", i, heard, worst.At)
			k.OK = math.Abs(worst.Lag) <= allowed
		} else {
			early := j.p.Sound[i].Offset - (j.m.Result.Audio[i].StartTime - j.got[0])
			slack := max(j.p.Sound[i].Frame, codedFrame(&j.m.Result.Audio[i])) + maxOffset + j.within
			k.Want, k.Got = "a coded frame early at most", fmt.Sprintf("%.3f ms early", early*1e3)
			k.Detail = fmt.Sprintf("track %d by its timestamps", i)
			late := maxOffset + j.within
			if j.m.Result.Audio[i].Codec == "opus" {
				late += 312.0 / 48000 // the source's first timestamp may count the codec's delay in
			}
			k.OK = early <= slack && early >= -late
		}
		if !k.OK {
			return k
		}
	}
	return k
}

func (j *judge) colorTags() Check {
	type tag struct{ name, want, got string }
	w, g := j.p.Color, j.v.Color
	k := Check{Name: "color_tags", OK: true}
	for _, t := range []tag{{"range", w.Range, g.Range}, {"primaries", w.Primaries, g.Primaries}, {"transfer", w.Transfer, g.Transfer}, {"matrix", w.Matrix, g.Matrix}} {
		if t.want == "" {
			continue // the source does not say
		}
		k.Want, k.Got = join(k.Want, t.want), join(k.Got, t.got)
		// An absent range means limited: that is each codec's default.
		if t.want != t.got && !(t.name == "range" && t.want == "tv" && t.got == "") {
			k.OK, k.Detail = false, join(k.Detail, t.name)
		}
	}
	return k
}

func (j *judge) hdr() Check {
	k := Check{Name: "hdr", OK: true, Want: describe(j.p.HDR), Got: describe(j.v.HDR)}
	if j.p.HDR == nil {
		k.Detail = "not promised"
		return k
	}
	k.OK = k.Want == k.Got
	return k
}

// describe writes HDR metadata so that equal metadata reads equal, whatever
// fractions a container keeps it in.
func describe(h *media.HDR) string {
	if h == nil {
		return "none"
	}
	s := h.Format
	if h.MaxLum.Known() {
		for _, c := range []media.Chroma{h.Primaries[0], h.Primaries[1], h.Primaries[2], h.White} {
			s += fmt.Sprintf(" %.4f,%.4f", c.X.Float(), c.Y.Float())
		}
		s += fmt.Sprintf(" %.4f–%.0f cd/m²", h.MinLum.Float(), h.MaxLum.Float())
	}
	if h.Light != nil {
		s += fmt.Sprintf(" cll %d/%d", h.Light.MaxCLL, h.Light.MaxFALL)
	}
	return s
}

func (j *judge) orientation() Check {
	w, h := j.v.DisplaySize()
	k := Check{Name: "orientation", OK: true, Want: j.p.Upright, Got: upright(w, h)}
	switch {
	case j.v.Flip:
		k.OK, k.Detail = false, "the result is marked as mirrored"
	case j.p.Width > 0 && j.p.Height > 0:
		k.Want = upright(j.p.Width, j.p.Height)
		k.OK = k.Want == k.Got
	default:
		k.OK = k.Want == "" || k.Got == "" || k.Want == k.Got
	}
	return k
}

func (j *judge) displaySize() Check {
	w, h := j.v.DisplaySize()
	k := Check{Name: "display_size", OK: true, Got: fmt.Sprintf("%dx%d", w, h)}
	if j.p.Width <= 0 || j.p.Height <= 0 {
		k.Want, k.Detail = k.Got, "not promised"
		return k
	}
	k.Want = fmt.Sprintf("%dx%d", j.p.Width, j.p.Height)
	// A sample aspect ratio is a rounded fraction; codecs want even sizes.
	k.OK = abs(int64(w-j.p.Width)) <= 2 && abs(int64(h-j.p.Height)) <= 2
	return k
}

func (j *judge) parameterSets() Check {
	k := Check{Name: "parameter_sets_equal", OK: true, Want: "equal", Got: "equal"}
	for i := range j.p.Joints {
		if i >= len(j.m.Seams) || !j.m.Seams[i].SameSets {
			k.OK, k.Got, k.Detail = false, "different", join(k.Detail, fmt.Sprintf("joint %d", i+1))
		}
	}
	return k
}

func (j *judge) entries() Check {
	k := Check{Name: "idr_at_joints", OK: true, Want: fmt.Sprint(len(j.p.Joints))}
	good := 0
	for i := range j.p.Joints {
		if i < len(j.m.Seams) && (j.m.Seams[i].Entry == "idr" || j.m.Seams[i].Entry == "key") {
			good++
			continue
		}
		k.OK, k.Detail = false, join(k.Detail, fmt.Sprintf("joint %d", i+1))
	}
	k.Got = fmt.Sprint(good)
	return k
}

func (j *judge) order() Check {
	k := Check{Name: "slice_order", OK: true, Want: "as planned", Got: "as planned"}
	switch o := j.m.Order; {
	case o == nil || o.Compared < 2:
		k.Detail = "pictures were not compared"
	case len(o.Misplaced) > 0:
		k.OK, k.Got = false, fmt.Sprintf("slices %v look like other places of the source", o.Misplaced)
	default:
		k.Detail = fmt.Sprintf("%d slice starts compared with the source", o.Compared)
	}
	return k
}

// BufferStart is how much of the decoder's buffer is full when a stream's first
// picture is taken out of it: x264's and x265's default.
const BufferStart = 0.9

// Drain fills a decoder's buffer of size bits at rate bit/s, and takes every
// picture out at its decode time (ITU-T H.264 C.1.2). fill is what it holds
// before the first. least is the lowest level, below zero for pictures that had
// not all arrived, and end the level when the next picture would be taken.
func Drain(pictures []Sample, tick, fill float64, rate, size int64) (least, end float64, under int) {
	least = float64(size)
	for _, s := range pictures {
		fill -= float64(s.Size) * 8
		least = min(least, fill)
		if fill < 0 {
			under++
		}
		fill = min(fill+tick*float64(s.Dur)*float64(rate), float64(size))
	}
	return least, fill, under
}

// vbv models the decoder's buffer over the whole stream. Each slice's encoder
// knows only its own pictures; what the one before leaves in the buffer is
// beyond it.
func (j *judge) vbv() Check {
	k := Check{Name: "vbv", OK: true, Want: "no underflow", Got: "no underflow"}
	if j.p.MaxRate <= 0 || j.p.BufSize <= 0 {
		k.Want, k.Got, k.Detail = "not asked", "not asked", ""
		return k
	}
	if j.m.Coded == nil {
		k.Got, k.Detail = "not known", "the order of decoding was not read"
		return k
	}
	size := float64(j.p.BufSize)
	least, _, under := Drain(j.m.Coded, j.v.TimeBase.Float(), BufferStart*size, j.p.MaxRate, j.p.BufSize)
	k.Detail = fmt.Sprintf("fullest demand leaves %.1f %% of the buffer", 100*least/size)
	// Encoders themselves miss by a little; a joint that drains it misses by much.
	if least < -BufferSlack*size {
		k.OK, k.Got = false, fmt.Sprintf("%d underflow(s)", under)
	}
	return k
}

// BufferSlack is the part of the buffer by which encoders may miss.
const BufferSlack = 0.05

func compare[T comparable](name string, want, got T) Check {
	return Check{Name: name, OK: want == got, Want: fmt.Sprint(want), Got: fmt.Sprint(got)}
}

func within(name string, want, got, tolerance float64) Check {
	return Check{Name: name, OK: math.Abs(want-got) <= tolerance, Want: fmt.Sprintf("%s ± %.6f", secs(want), tolerance), Got: secs(got)}
}

func secs(s float64) string { return fmt.Sprintf("%.6f", s) }

func join(list, s string) string {
	if list == "" {
		return s
	}
	return list + " " + s
}
