package assemble

import (
	"bytes"
	"errors"
	"io"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/slice"
	"github.com/mediafn/mediafn/tools/container/codec"
)

// headSize is how much of a keyframe is read to see what it begins with:
// parameter sets and messages stand in front of the picture.
const headSize = 16 << 10

// seams looks at the bitstream where slices meet. config is the container's
// decoder configuration, if there is one.
func seams(r io.ReaderAt, size int64, v *media.VideoStream, config []byte, joints []slice.Joint) ([]slice.Seam, error) {
	at := map[int64]int64{}
	if v.GOP != nil {
		for _, k := range v.GOP.Keys {
			at[k.Frame] = k.Bytes
		}
	}
	known, width := config, lengthSize(v.Codec, config)
	if off, ok := at[0]; ok {
		head, err := read(r, size, off)
		if err != nil {
			return nil, err
		}
		for _, set := range parameterSets(v.Codec, head, width) {
			known = append(bytes.Clone(known), set...)
		}
	}
	all := make([]slice.Seam, len(joints))
	for i, j := range joints {
		off, ok := at[j.Frame]
		if !ok {
			all[i] = slice.Seam{Entry: "none", SameSets: true, Detail: "no keyframe where the slice begins"}
			continue
		}
		head, err := read(r, size, off)
		if err != nil {
			return nil, err
		}
		s := slice.Seam{Entry: entry(v.Codec, head, width), SameSets: true}
		for _, set := range parameterSets(v.Codec, head, width) {
			if !bytes.Contains(known, set) {
				s.SameSets, s.Detail = false, "other parameter sets than the first slice's"
			}
		}
		all[i] = s
	}
	return all, nil
}

func read(r io.ReaderAt, size, off int64) ([]byte, error) {
	if off < 0 || off >= size {
		return nil, errs.New(errs.Invalid, "assemble", "a keyframe lies at %d of %d", off, size)
	}
	b := make([]byte, min(headSize, size-off))
	n, err := r.ReadAt(b, off)
	if n < len(b) && err != nil && !errors.Is(err, io.EOF) {
		return nil, errs.Wrap("assemble", err)
	}
	return b[:n], nil
}

// lengthSize is the width of the length in front of each NAL unit; FFmpeg
// always writes 4.
func lengthSize(name string, config []byte) int {
	switch {
	case name == "h264" && len(config) > 4:
		return int(config[4]&3) + 1
	case name == "hevc" && len(config) > 21:
		return int(config[21]&3) + 1
	}
	return 4
}

// entry names how a decoder can start at a sample.
func entry(name string, head []byte, width int) string {
	if name != "h264" && name != "hevc" {
		return "key" // a container's key is one that refers to nothing before
	}
	switch codec.SampleEntry(name, head, width) {
	case codec.CleanEntry:
		return "idr"
	case codec.OpenEntry:
		return "open"
	}
	return "none"
}

// parameterSets lists the parameter sets that stand in a sample (H.264 §7.4.1
// types 7 and 8, HEVC §7.4.2.2 types 32 to 34).
func parameterSets(name string, sample []byte, width int) (sets [][]byte) {
	if name != "h264" && name != "hevc" {
		return nil
	}
	for len(sample) > width {
		n := 0
		for _, c := range sample[:width] {
			n = n<<8 | int(c)
		}
		sample = sample[width:]
		if n <= 0 || n > len(sample) {
			break // the picture itself, cut off
		}
		nal := sample[:n]
		if t := nal[0] & 0x1f; name == "h264" && (t == 7 || t == 8) {
			sets = append(sets, nal)
		} else if t := nal[0] >> 1 & 0x3f; name == "hevc" && t >= 32 && t <= 34 {
			sets = append(sets, nal)
		}
		sample = sample[n:]
	}
	return sets
}
