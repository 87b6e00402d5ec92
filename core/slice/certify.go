package slice

import (
	"strings"

	"github.com/mediafn/mediafn/core/media"
)

// Measured is what was read from a merged result, and from the source again.
type Measured struct {
	Result *media.Info // main picture track with FrameList
	// Source holds the presentation times of the source's frames, rising, in
	// ticks of the promise's time base; not needed where the rate changes.
	Source []int64
	// Coded is the result's pictures in decode order; nil where that is not known.
	Coded []Sample
	// Inferred says that the container stores the order, but no decode times
	// (Matroska): those of Coded follow from presentation. Waits is by how many
	// places the latest picture is decoded behind its turn to be shown.
	Inferred bool
	Waits    int
	// Seams describe the result at each of the promise's joints.
	Seams []Seam
	// Sound is what comparing sound told; empty = not compared.
	Sound []Shift
	// Order is what comparing pictures at slice starts told; nil = not compared.
	Order *Order
}

// Sample is one coded picture.
type Sample struct {
	DTS  int64 // ticks
	Dur  int64 // ticks to the next
	Size int   // bytes
}

// Seam is how the bitstream starts at a joint.
type Seam struct {
	Entry string `json:"entry"` // idr | key (codecs that know no other) | open | none
	// SameSets: the parameter sets in force are those of the first slice.
	SameSets bool   `json:"same_parameter_sets"`
	Detail   string `json:"detail,omitempty"`
}

// Order is the outcome of comparing pictures of result and source at the
// starts of some slices.
type Order struct {
	Compared  int   // slices looked at
	Misplaced []int // those that look like another slice's place in the source
}

// Shift is how far one stretch of the result's sound lies behind the source's.
type Shift struct {
	Track int
	At    float64 // seconds
	Lag   float64 // seconds; later is positive
	Clear bool    // the two were alike enough to tell
}

// Check is one line of a certificate.
type Check struct {
	// Rendition is the file that was looked at, if there are several.
	Rendition string `json:"rendition,omitempty"`

	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Want   string `json:"want"`
	Got    string `json:"got"`
	Detail string `json:"detail,omitempty"`
}

// JointReport is one joint as found.
type JointReport struct {
	Rendition string `json:"rendition,omitempty"`

	Order int     `json:"order"` // of the slice that begins here
	Frame int64   `json:"frame"`
	Time  float64 `json:"time"` // seconds
	Seam
}

// Certificate says whether a merged result is what the profile promised.
type Certificate struct {
	OK     bool          `json:"ok"`
	Checks []Check       `json:"checks"`
	Joints []JointReport `json:"joints"`
}

// Failed lists the names of the checks that did not pass.
func (c *Certificate) Failed() []string {
	var names []string
	for _, k := range c.Checks {
		if !k.OK {
			names = append(names, strings.TrimPrefix(k.Rendition+" "+k.Name, " "))
		}
	}
	return names
}

// Together is the certificate of several files: all of their checks and joints.
func Together(all []Certificate) Certificate {
	c := Certificate{OK: len(all) > 0, Joints: []JointReport{}}
	for _, one := range all {
		c.OK = c.OK && one.OK
		c.Checks, c.Joints = append(c.Checks, one.Checks...), append(c.Joints, one.Joints...)
	}
	return c
}

// Certify compares a result with its promise. Every check is always present,
// in the same order; one that has nothing to look at passes and says so.
func Certify(p Promise, m Measured) Certificate {
	c := Certificate{OK: true, Joints: []JointReport{}}
	add := func(k Check) {
		k.Rendition = p.Rendition
		c.Checks = append(c.Checks, k)
		c.OK = c.OK && k.OK
	}
	v := &media.VideoStream{}
	if main := m.Result.MainVideo(); main != nil {
		v = main
	}
	j := judge{p: &p, m: &m, v: v}
	j.want = p.times(m.Source)
	for _, f := range v.FrameList {
		j.got = append(j.got, v.TimeBase.Seconds(f.PTS))
	}
	j.within = tolerance(p, v.TimeBase)
	for _, check := range []func() Check{
		j.streams, j.frameCount, j.firstPTS, j.lastPTS, j.dtsRising, j.frameTimes, j.duration, j.audioSamples, j.audioOffset,
		j.colorTags, j.hdr, j.orientation, j.displaySize, j.parameterSets, j.entries, j.keyframes, j.order, j.vbv,
	} {
		add(check())
	}
	for i, joint := range p.Joints {
		r := JointReport{Rendition: p.Rendition, Order: i + 1, Frame: joint.Frame, Time: p.TimeBase.Seconds(joint.PTS)}
		if i < len(m.Seams) {
			r.Seam = m.Seams[i]
		}
		c.Joints = append(c.Joints, r)
	}
	return c
}
