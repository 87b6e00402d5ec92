package front_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/mediafn/mediafn/tools/container/front"
)

func box(kind string, body ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(body)))
	return append(append(b, kind...), body...)
}

func large(kind string, body ...byte) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, 1), kind...)
	return append(binary.BigEndian.AppendUint64(b, uint64(16+len(body))), body...)
}

func toEnd(kind string, body ...byte) []byte {
	return append(append([]byte{0, 0, 0, 0}, kind...), body...)
}

func join(boxes ...[]byte) []byte { return bytes.Join(boxes, nil) }

// within reads below a byte only: what has not arrived is never asked for.
type within struct {
	t    *testing.T
	b    []byte
	most int64
}

func (w within) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > w.most {
		w.t.Errorf("read %d bytes at %d of the %d that are there", len(p), off, w.most)
	}
	return copy(p, w.b[off:]), nil
}

func TestLook(t *testing.T) {
	ftyp, moov, data := box("ftyp", []byte("isom\x00\x00\x00\x00")...), box("moov", box("mvhd", 1, 2, 3)...), make([]byte, 100)
	for _, c := range []struct {
		name string
		file []byte
		need int64 // -1 = all, -2 = all, but it can be entered
		from int   // it is known once so much is there
	}{
		{"faststart", join(ftyp, moov, box("mdat", data...)), 43, 43},
		{"free between", join(ftyp, moov, box("free", 0, 0), box("mdat", data...)), 53, 53},
		{"large mdat", join(ftyp, moov, large("mdat", data...)), 51, 51},
		{"mdat to the end", join(ftyp, moov, toEnd("mdat", data...)), 43, 43},
		{"index behind", join(ftyp, box("mdat", data...), moov), -1, 24},
		{"more behind", join(ftyp, moov, box("mdat", data...), box("free", 1)), -1, 43},
		{"announced fragments", join(ftyp, box("moov", join(box("mvhd", 1), box("mvex", 2))...), box("moof", 1), box("mdat", data...)), -2, 42},
		{"fragments at once", join(ftyp, box("moof", 1), box("mdat", data...)), -2, 24},
		{"a box beyond the end", join(ftyp, box("moov")[:7], []byte{'v'}, box("mdat", data...))[:40], -1, 32},
		{"too short a box", join(ftyp, []byte{0, 0, 0, 4}, []byte("moov"), data), -1, 24},
		{"no media data", join(ftyp, moov), -1, 35},
		{"matroska", join([]byte{0x1A, 0x45, 0xDF, 0xA3}, data), -2, 12},
		{"transport stream", join([]byte{0x47}, data), -2, 12},
		{"transport stream with times", join([]byte{0, 1, 2, 3, 0x47}, data), -2, 12},
		{"text", []byte("hello, this is no media"), -1, 12},
		{"short", []byte("short"), -1, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			size := int64(len(c.file))
			for arrived := range size + 1 {
				need, why, err := front.Look(within{t, c.file, arrived}, size, arrived)
				if err != nil {
					t.Fatal(err)
				}
				switch {
				case need == 0 && why == "" && int(arrived) < c.from:
				case need == c.need && why != "" && int(arrived) >= c.from:
				default:
					t.Fatalf("with %d of %d bytes: %d, %q; want %d from %d on", arrived, size, need, why, c.need, c.from)
				}
			}
			if need, _, _ := front.Look(within{t, c.file, size}, -1, size); need != 0 {
				t.Error("told of a file whose size is not known")
			}
		})
	}
}

func FuzzLook(f *testing.F) {
	f.Add(join(box("ftyp", 1, 2, 3, 4), box("moov", box("mvhd", 1)...), box("mdat", 1)), int64(30))
	f.Add(join(box("ftyp", 1, 2, 3, 4), large("mdat", 1)), int64(20))
	f.Fuzz(func(t *testing.T, file []byte, arrived int64) {
		size := int64(len(file))
		arrived = min(max(arrived, 0), size)
		need, _, err := front.Look(within{t, file, arrived}, size, arrived)
		if err != nil || need < -2 || need > arrived+16 {
			t.Errorf("%d of %d bytes: %d, %v", arrived, size, need, err)
		}
		if need, why, _ := front.Look(within{t, file, size}, size, size); size > 0 && (need == 0 || why == "") && size >= 12 {
			t.Errorf("nothing is known of the whole file: %d, %q", need, why)
		}
	})
}
