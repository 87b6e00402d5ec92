package splice_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/container/splice"
)

// packet is one of MPEG-TS: begins a payload, is marked as a place to enter at.
func packet(pid int, begins, marked bool, payload []byte) []byte {
	p := bytes.Repeat([]byte{0xff}, 188)
	p[0], p[1], p[2], p[3] = 0x47, byte(pid>>8), byte(pid), 0x10
	if begins {
		p[1] |= 0x40
	}
	at := 4
	if marked {
		p[3], p[4], p[5], at = 0x30, 1, 0x40, 6
	}
	copy(p[at:], payload)
	return p
}

// transport has tables, and then n packets of pictures, those with numbers in marked
// as places to enter at.
func transport(n int, marked ...int) (b []byte) {
	pat := []byte{0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xe1, 0x00, 1, 2, 3, 4}
	pmt := []byte{0, 2, 0xb0, 23, 0, 1, 0xc1, 0, 0, 0xe1, 0x01, 0xf0, 0, 0x0f, 0xe1, 0x02, 0xf0, 0, 0x1b, 0xe1, 0x01, 0xf0, 0, 1, 2, 3, 4}
	tables := func() { b = append(append(b, packet(0, true, false, pat)...), packet(0x100, true, false, pmt)...) }
	tables()
	for i := range n {
		if i == 4 {
			tables()
		}
		b = append(b, packet(0x101, i%3 == 0, slices.Contains(marked, i), []byte{byte(i)})...)
		b = append(b, packet(0x102, true, true, nil)...) // sound may be entered anywhere
	}
	return b
}

// timed is b with a time before every packet.
func timed(b []byte) (out []byte) {
	for ; len(b) > 0; b = b[188:] {
		out = append(append(out, 0, 1, 2, 3), b[:188]...)
	}
	return out
}

func element(id uint32, body ...[]byte) []byte {
	all := slices.Concat(body...)
	head := bytes.TrimLeft(binary.BigEndian.AppendUint32(nil, id), "\x00")
	return slices.Concat(head, binary.BigEndian.AppendUint32(nil, 0x10000000|uint32(len(all))), all)
}

// unsized is an element that does not say its size.
func unsized(b []byte) []byte {
	n := len(bytes.TrimLeft(b[:4], "\x00"))
	return slices.Concat(b[:n], []byte{0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, b[n+4:])
}

func cluster(at byte, size int) []byte {
	block := bytes.Repeat([]byte{0x1f, 0x43, 0xb6, 0x75}, size/4) // as if one began here
	return element(0x1F43B675, element(0xE7, []byte{at}), element(0xA3, block), element(0xA3, block))
}

var matroskaHead = slices.Concat(element(0x1A45DFA3, []byte{1}), unsized(element(0x18538067)), element(0x1549A966, []byte{2}), element(0x1654AE6B, []byte{3}))

func box(kind string, body ...[]byte) []byte {
	all := slices.Concat(body...)
	return append(append(binary.BigEndian.AppendUint32(nil, uint32(8+len(all))), kind...), all...)
}

// fragment has its media where base says.
func fragment(n byte, base uint64, dated bool) []byte {
	tfhd := binary.BigEndian.AppendUint64([]byte{0, 0, 0, 1, 0, 0, 0, 1}, base)
	traf := box("traf", box("tfhd", tfhd))
	if dated {
		traf = box("traf", box("tfhd", tfhd), box("tfdt", make([]byte, 8)))
	}
	return slices.Concat(box("sidx", make([]byte, 20)), box("moof", box("mfhd", make([]byte, 8)), traf), box("mdat", []byte{n}, []byte("moof")))
}

var movie = slices.Concat(box("ftyp", []byte("isom")), box("free"), box("moov", box("mvex"), box("trak", box("mdia", box("minf", box("stbl", box("stsz", make([]byte, 12))))))))

func open(t *testing.T, format string, b []byte) *splice.File {
	t.Helper()
	f, err := splice.Open(bytes.NewReader(b), int64(len(b)), format)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// syncs are all places a file can be entered at, found from every byte.
func syncs(t *testing.T, f *splice.File, size int) (all []int64) {
	t.Helper()
	for off := range int64(size) {
		at, err := f.Sync(off)
		if err != nil || at < off || at > int64(size) {
			t.Fatalf("from %d on: %d, %v", off, at, err)
		}
		if len(all) == 0 || all[len(all)-1] != at {
			all = append(all, at)
		}
	}
	return all
}

func read(t *testing.T, f *splice.File, at int64) []byte {
	t.Helper()
	b, err := io.ReadAll(f.From(at))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTransport(t *testing.T) {
	b := transport(20, 6, 15)
	size := int64(len(b))
	f := open(t, "mpegts", b)
	place := func(i int64) int64 { return (4 + 2*i) * 188 } // of a packet of pictures, behind the tables
	got := syncs(t, f, len(b))
	// Behind the last mark every packet is a place; the first two are the marked ones.
	if len(got) < 3 || got[0] != place(6) || got[1] != place(15) || got[2] != place(15)+188 || got[len(got)-1] != size {
		t.Errorf("%v", got)
	}
	given := read(t, f, place(6))
	if n := len(given) - int(size-place(6)); n != 4*188 || !bytes.Equal(given[n:], b[place(6):]) || given[188+1] != 0x41 {
		t.Errorf("%d bytes in front", n)
	}
	// A time before every packet, and bytes that do not belong there.
	m := timed(b)
	f = open(t, "mpegts", m)
	if at, err := f.Sync(place(6)/188*192 - 10); err != nil || at != place(6)/188*192 {
		t.Errorf("%d %v", at, err)
	}
	broken := slices.Concat(b[:place(5)], []byte("lost"), b[place(5):])
	f = open(t, "mpegts", broken)
	if at, err := f.Sync(place(5) + 1); err != nil || at != place(6)+4 {
		t.Errorf("out of step: %d %v, want %d", at, err, place(6)+4)
	}
	if f, err := splice.Open(bytes.NewReader(b[376:1000]), 624, "mpegts"); !errs.Is(err, errs.Unsupported) {
		t.Errorf("without tables: %v %v", f, err)
	}
}

func TestMatroska(t *testing.T) {
	c1, c2, c3 := cluster(1, 400), cluster(2, 40), cluster(3, 4)
	first := int64(len(matroskaHead))
	for name, c := range map[string][2][]byte{"sized": {c1, c2}, "not sized": {unsized(c1), unsized(c2)}} {
		b := slices.Concat(matroskaHead, c[0], c[1], c3, element(0x1254C367, []byte{4}))
		f := open(t, "matroska", b)
		at2 := first + int64(len(c[0]))
		at3 := at2 + int64(len(c[1]))
		if got := syncs(t, f, len(b)); !slices.Equal(got, []int64{first, at2, at3, int64(len(b))}) {
			t.Errorf("%s: %v, want %d %d %d", name, got, first, at2, at3)
		}
		if got := read(t, f, at3); !bytes.Equal(got, slices.Concat(matroskaHead, b[at3:])) {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
	if _, err := splice.Open(bytes.NewReader(matroskaHead), first, "webm"); !errs.Is(err, errs.Unsupported) {
		t.Errorf("without clusters: %v", err)
	}
}

func TestFragments(t *testing.T) {
	base := func(parts ...[]byte) uint64 { return uint64(len(slices.Concat(parts...))) }
	b := slices.Concat(movie, fragment(1, base(movie), true))
	at2 := base(b) + 28 // behind its sidx
	b = slices.Concat(b, fragment(2, at2, true), box("mfra"))
	f := open(t, "mp4", b)
	first := int64(base(movie)) + 28
	if got := syncs(t, f, len(b)); !slices.Equal(got, []int64{first, int64(at2), int64(len(b))}) {
		t.Errorf("%v, want %d %d", got, first, at2)
	}
	// The front without what is no movie, the second fragment told where it lies now.
	got := read(t, f, int64(at2))
	front := len(movie) - 8
	if want := slices.Concat(movie[:12], movie[20:], fragment(2, uint64(front), true)[28:]); !bytes.Equal(got, want) {
		t.Errorf("\n%x\n%x", got, want)
	}
	undated := slices.Concat(movie, fragment(1, 0, false), fragment(2, 0, false))
	if _, err := io.ReadAll(open(t, "mp4", undated).From(first)); !errs.Is(err, errs.Unsupported) {
		t.Errorf("without times: %v", err)
	}
	for name, b := range map[string][]byte{"no fragments": slices.Concat(box("ftyp"), box("moov"), box("mdat")),
		"frames of its own": slices.Concat(box("ftyp"), box("moov", box("mvex"), box("trak", box("mdia", box("minf", box("stbl", box("stsz", bytes.Repeat([]byte{1}, 12))))))), fragment(1, 0, true))} {
		if _, err := splice.Open(bytes.NewReader(b), int64(len(b)), "mp4"); !errs.Is(err, errs.Unsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// counted counts what is read, and does not end before it is asked to.
type counted struct {
	*bytes.Reader
	n int64
}

func (c *counted) ReadAt(b []byte, off int64) (int, error) {
	n, err := c.Reader.ReadAt(b, off)
	c.n += int64(n)
	return n, err
}

// FuzzOpen: whatever the bytes, places are found in order, alike by everybody, and
// not much more is read than there is.
func FuzzOpen(f *testing.F) {
	formats := []string{"mpegts", "matroska", "mp4"}
	f.Add(uint8(0), int64(300), transport(20, 6, 15))
	f.Add(uint8(0), int64(300), timed(transport(20, 6, 15)))
	f.Add(uint8(1), int64(60), slices.Concat(matroskaHead, cluster(1, 80), cluster(2, 8), unsized(cluster(3, 16))))
	f.Add(uint8(2), int64(90), slices.Concat(movie, fragment(1, 7, true), fragment(2, 9, true)))
	f.Fuzz(func(t *testing.T, which uint8, off int64, b []byte) {
		size := int64(len(b))
		r := &counted{Reader: bytes.NewReader(b)}
		file, err := splice.Open(r, size, formats[int(which)%len(formats)])
		if err != nil {
			if !errs.Is(err, errs.Unsupported) {
				t.Fatal(err)
			}
			return
		}
		r.n = 0
		at, err := file.Sync(off)
		if r.n > 2*size+1<<20 {
			t.Fatalf("%d bytes read of %d", r.n, size)
		}
		if err != nil {
			return
		}
		if at < min(off, size) || at > size {
			t.Fatalf("%d from %d on, of %d", at, off, size)
		}
		if again, err := file.Sync(at); err != nil || again != at {
			t.Fatalf("%d is none: %d %v", at, again, err)
		}
		if next, err := file.Sync(at + 1); err == nil && next < at {
			t.Fatalf("%d behind %d", next, at)
		}
		if n, _ := io.Copy(io.Discard, io.LimitReader(file.From(at), 4*size+1<<20)); n > 2*size+1<<20 {
			t.Fatalf("%d bytes given of %d", n, size)
		}
	})
}
