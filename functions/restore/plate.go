package restore

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
)

// plate.go: a clean plate, the picture as it is without what stands in it. Every
// slice leaves samples of the region (an analysis); of all samples together the
// median of each pixel is the plate. Which frames are sampled depends on their
// times alone, so that slices sample what the whole does.

// layout is a planar pixel format.
type layout struct {
	Name   string // FFmpeg's
	Bytes  int    // a sample
	Depth  int    // bits of it
	SubW   int    // luma samples a chroma sample is wide, as a power of two
	SubH   int
	Planes int
}

// layouts are those worked in; others are converted to the first of their depth.
var layouts = []layout{
	{"yuv420p", 1, 8, 1, 1, 3}, {"yuvj420p", 1, 8, 1, 1, 3}, {"yuv422p", 1, 8, 1, 0, 3}, {"yuvj422p", 1, 8, 1, 0, 3},
	{"yuv444p", 1, 8, 0, 0, 3}, {"yuvj444p", 1, 8, 0, 0, 3},
	{"yuv420p10le", 2, 10, 1, 1, 3}, {"yuv422p10le", 2, 10, 1, 0, 3}, {"yuv444p10le", 2, 10, 0, 0, 3},
}

func layoutOf(pixels string, depth int) layout {
	i := slices.IndexFunc(layouts, func(l layout) bool { return l.Name == pixels })
	switch {
	case i >= 0:
		return layouts[i]
	case depth > 8:
		return layouts[6]
	}
	return layouts[0]
}

// plane is the size in samples of a plane of a picture of w×h.
func (l layout) plane(i, w, h int) (int, int) {
	if i == 0 {
		return w, h
	}
	return (w + 1<<l.SubW - 1) >> l.SubW, (h + 1<<l.SubH - 1) >> l.SubH
}

// size is that of a picture in bytes.
func (l layout) size(w, h int) int {
	n := 0
	for i := range l.Planes {
		pw, ph := l.plane(i, w, h)
		n += pw * ph * l.Bytes
	}
	return n
}

// Small pictures of the whole frame tell whether the camera stands still.
const smallW, smallH = 32, 18

// samples is the head of a file of samples: one line of JSON, then the small
// pictures, then the region of each sample, in order. A plate is one sample
// without a small picture.
type samples struct {
	Mediafn string `json:"mediafn"` // "plate 1"
	Layout  string `json:"layout"`
	Box     box    `json:"box"`
	Count   int    `json:"count"`
	Small   int    `json:"small"` // bytes of a small picture; 0 = none
}

const plateName = "plate 1"

// writeSamples joins the files ffmpeg wrote to one, and removes them.
func writeSamples(path string, l layout, b box, small, regions string) (int, error) {
	size := func(path string, one int) (int, error) {
		st, err := os.Stat(path)
		if os.IsNotExist(err) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		return int(st.Size()) / one, nil
	}
	n, err1 := size(small, smallW*smallH)
	m, err2 := size(regions, l.size(b.W, b.H))
	if err1 != nil || err2 != nil || n != m {
		return 0, errs.New(errs.Internal, "plate", "%d small pictures for %d samples: %v %v", n, m, err1, err2)
	}
	head, _ := json.Marshal(samples{plateName, l.Name, b, n, smallW * smallH})
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, errs.As(errs.Transient, "plate", err)
	}
	defer func() { _ = out.Close() }()
	_, err = out.Write(append(head, '\n'))
	for _, part := range []string{small, regions} {
		if err != nil || n == 0 {
			break
		}
		var in *os.File
		if in, err = os.Open(part); err == nil {
			_, err = io.Copy(out, in)
			_ = in.Close()
			_ = os.Remove(part)
		}
	}
	if err == nil {
		err = out.Close()
	}
	return n, errs.As(errs.Transient, "plate", err)
}

// opened is a file of samples being read.
type opened struct {
	samples
	r    io.ReaderAt
	from int64 // where the small pictures begin
	one  int   // bytes of a region
}

// openSamples checks what an analysis says against what is looked for.
func openSamples(r io.ReaderAt, size int64, l layout, b box) (*opened, error) {
	line, err := bufio.NewReaderSize(io.NewSectionReader(r, 0, min(size, 4096)), 4096).ReadBytes('\n')
	o := &opened{r: r, from: int64(len(line)), one: l.size(b.W, b.H)}
	if err == nil {
		err = json.Unmarshal(line, &o.samples)
	}
	if err != nil || o.Mediafn != plateName || o.Layout != l.Name || o.Box != b || o.Count < 0 ||
		o.Small != 0 && o.Small != smallW*smallH || size != o.from+int64(o.Count)*int64(o.Small+o.one) {
		return nil, errs.New(errs.Internal, "plate", "an analysis does not fit this call: %.200q", line)
	}
	return o, nil
}

func (o *opened) small(i int) ([]byte, error) {
	buf := make([]byte, o.Small)
	_, err := o.r.ReadAt(buf, o.from+int64(i)*int64(o.Small))
	return buf, err
}

// region reads part of a sample's region.
func (o *opened) region(buf []byte, i, at int) error {
	_, err := o.r.ReadAt(buf, o.from+int64(o.Count)*int64(o.Small)+int64(i)*int64(o.one)+int64(at))
	if err == io.EOF {
		err = nil // of the last one
	}
	return err
}

// fewest samples make a plate, and restless is how far, in levels of 255, the small
// pictures of one unmoved camera may lie from their median.
const (
	fewest   = 3
	restless = 12
)

// count is how many samples there are.
func count(all []*opened) (n int) {
	for _, o := range all {
		n += o.Count
	}
	return n
}

// still fails unless there are enough samples and all show the same place: what most of the picture
// beside the region looks like hardly changes, but for its brightness.
func still(all []*opened, b box, w, h int) error {
	if n := count(all); n < fewest {
		return errs.New(errs.Unsupported, "plate", "the region is uncovered in %d sample(s), %d make a clean plate", n, fewest)
	}
	var cells []int
	for i := range smallW * smallH {
		x0, y0 := i%smallW*w/smallW, i/smallW*h/smallH
		x1, y1 := (i%smallW+1)*w/smallW, (i/smallW+1)*h/smallH
		if x1 <= b.X || x0 >= b.X+b.W || y1 <= b.Y || y0 >= b.Y+b.H {
			cells = append(cells, i)
		}
	}
	if len(cells) < smallW*smallH/10 {
		return nil // too little beside the region to tell
	}
	var seen [][]int
	for _, o := range all {
		for i := range o.Count {
			s, err := o.small(i)
			if err != nil {
				return errs.As(errs.Transient, "plate", err)
			}
			at := make([]int, len(cells))
			for j, c := range cells {
				at[j] = int(s[c])
			}
			seen = append(seen, at)
		}
	}
	usual := make([]int, len(cells))
	column := make([]int, len(seen))
	for j := range cells {
		for i := range seen {
			column[i] = seen[i][j]
		}
		usual[j] = median(column)
	}
	off := make([]int, len(cells))
	for i := range seen {
		for j := range cells {
			off[j] = seen[i][j] - usual[j]
		}
		shift := median(slices.Clone(off))
		for j := range off {
			off[j] = max(off[j]-shift, shift-off[j])
		}
		if median(off) > restless {
			return errs.New(errs.Unsupported, "plate", "sample %d of %d shows another picture: the camera moves or the scene is cut; only one scene of an unmoved camera has a clean plate", i+1, len(seen))
		}
	}
	return nil
}

// median is the lower one; it sorts.
func median(v []int) int {
	slices.Sort(v)
	return v[(len(v)-1)/2]
}

// writePlate makes the plate of all samples and writes it as one.
func writePlate(path string, l layout, b box, all []*opened) error {
	total := count(all)
	var out bytes.Buffer
	head, _ := json.Marshal(samples{plateName, l.Name, b, 1, 0})
	out.Write(append(head, '\n'))
	const chunk = 1 << 16
	size := l.size(b.W, b.H)
	bufs := make([][]byte, total)
	values := make([]int, total)
	for at := 0; at < size; at += chunk {
		n := min(chunk, size-at)
		k := 0
		for _, o := range all {
			for i := range o.Count {
				if bufs[k] == nil {
					bufs[k] = make([]byte, chunk)
				}
				if err := o.region(bufs[k][:n], i, at); err != nil {
					return errs.As(errs.Transient, "plate", err)
				}
				k++
			}
		}
		for i := 0; i < n; i += l.Bytes {
			for k, buf := range bufs {
				if values[k] = int(buf[i]); l.Bytes == 2 {
					values[k] = int(binary.LittleEndian.Uint16(buf[i:]))
				}
			}
			m := median(values)
			out.WriteByte(byte(m))
			if l.Bytes == 2 {
				out.WriteByte(byte(m >> 8))
			}
		}
	}
	return errs.As(errs.Transient, "plate", os.WriteFile(path, out.Bytes(), 0o600))
}

// cover is how much of every pixel of a picture is replaced, 0–1: all where inside
// says so, fading over feather pixels around.
func cover(w, h, feather int, inside func(x, y int) bool) []float64 {
	far := float64(w + h)
	dist := make([]float64, w*h)
	for i := range dist {
		if !inside(i%w, i/w) {
			dist[i] = far
		}
	}
	// Chamfer distances: once forwards, once backwards.
	reach := func(i, dx, dy int, cost float64) {
		x, y := i%w+dx, i/w+dy
		if x >= 0 && x < w && y >= 0 && y < h {
			dist[i] = min(dist[i], dist[y*w+x]+cost)
		}
	}
	for i := range dist {
		reach(i, -1, 0, 1)
		reach(i, 0, -1, 1)
		reach(i, -1, -1, math.Sqrt2)
		reach(i, 1, -1, math.Sqrt2)
	}
	for i := len(dist) - 1; i >= 0; i-- {
		reach(i, 1, 0, 1)
		reach(i, 0, 1, 1)
		reach(i, 1, 1, math.Sqrt2)
		reach(i, -1, 1, math.Sqrt2)
	}
	for i := range dist {
		dist[i] = max(0, 1-dist[i]/float64(feather+1))
	}
	return dist
}

// writePictures writes the plate and the mask as raw pictures of the whole frame.
func writePictures(dir string, l layout, b box, w, h int, plate []byte, alpha []float64) error {
	full, mask := make([]byte, l.size(w, h)), make([]byte, l.size(w, h))
	most := float64(int(1)<<l.Depth - 1)
	from, to := 0, 0
	for p := range l.Planes {
		fw, fh := l.plane(p, w, h)
		bw, bh := l.plane(p, b.W, b.H)
		sw, sh := 0, 0
		if p > 0 {
			sw, sh = l.SubW, l.SubH
		}
		x0, y0 := b.X>>sw, b.Y>>sh
		for y := range bh {
			copy(full[to+((y0+y)*fw+x0)*l.Bytes:][:bw*l.Bytes], plate[from+y*bw*l.Bytes:])
		}
		for y := range fh {
			for x := range fw {
				sum, n := 0.0, 0
				for dy := range 1 << sh {
					for dx := range 1 << sw {
						if xx, yy := x<<sw+dx, y<<sh+dy; xx < w && yy < h {
							sum, n = sum+alpha[yy*w+xx], n+1
						}
					}
				}
				v := int(math.Round(sum / float64(n) * most))
				if i := to + (y*fw+x)*l.Bytes; l.Bytes == 2 {
					binary.LittleEndian.PutUint16(mask[i:], uint16(v))
				} else {
					mask[i] = byte(v)
				}
			}
		}
		from, to = from+bw*bh*l.Bytes, to+fw*fh*l.Bytes
	}
	for name, data := range map[string][]byte{platePicture: full, maskPicture: mask} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return errs.As(errs.Transient, "plate", err)
		}
	}
	return nil
}

const platePicture, maskPicture = "plate.yuv", "mask.yuv"

// readAll reads a whole plate behind its head.
func (o *opened) readAll() ([]byte, error) {
	buf := make([]byte, o.one)
	if err := o.region(buf, 0, 0); err != nil {
		return nil, errs.As(errs.Transient, "plate", err)
	}
	return buf, nil
}

// openInput opens an input of an internal slot.
func openInput(in *fn.Input, l layout, b box) (*opened, error) {
	if in.Data == nil {
		return nil, errs.New(errs.Internal, "plate", "slot %s has no data", in.Slot)
	}
	return openSamples(in.Data, in.Size, l, b)
}
