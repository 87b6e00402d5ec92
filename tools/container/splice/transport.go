package splice

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
)

// transport.go: MPEG-TS (ISO/IEC 13818-1) can be entered at every packet, given
// the tables that say what its packets are.

const (
	tables  = 4 << 20 // they lie in so many bytes
	inStep  = 8       // packets in a row that must begin where packets do
	pidMost = 1 << 13
	entries = 8 << 20 // how far the next marked keyframe may be
)

type transport struct {
	r      io.ReaderAt
	size   int64
	base   int64 // where the first packet begins
	packet int64 // its length: 188, or 192 with a time before it, or 204 with a sum behind it
	lead   int64 // what lies before its 0x47
	front  []byte
	video  int // PID of the first picture track; 0 = not known
}

func openTransport(r io.ReaderAt, size int64) (*transport, error) {
	head, err := upto(r, size, 0, tables)
	if err != nil {
		return nil, err
	}
	t := &transport{r: r, size: size}
	if !t.align(head) {
		return nil, refuse("the packets can't be told apart")
	}
	if !t.read(head[t.base:]) {
		return nil, refuse("the first %d MiB do not say what the packets hold", tables>>20)
	}
	return t, nil
}

// align finds where packets begin.
func (t *transport) align(head []byte) bool {
	for _, form := range [][2]int64{{188, 0}, {192, 4}, {204, 0}} {
		for base := range form[0] {
			if n := inSync(head, base+form[1], form[0]); n >= inStep {
				t.base, t.packet, t.lead = base, form[0], form[1]
				return true
			}
		}
	}
	return false
}

// inSync counts the packets in a row that begin at off and where the next ones do,
// up to inStep.
func inSync(b []byte, off, packet int64) (n int) {
	for ; n < inStep && off < int64(len(b)) && b[off] == 0x47; off += packet {
		n++
	}
	return n
}

// read keeps the packets with tables, once all are whole.
func (t *transport) read(b []byte) bool {
	begun := map[int]int{} // tables that were begun, by PID
	programs := []int(nil)
	for ; int64(len(b)) >= t.packet; b = b[t.packet:] {
		p := b[t.lead:][:188]
		if p[0] != 0x47 {
			return false
		}
		pid := int(binary.BigEndian.Uint16(p[1:])) & (pidMost - 1)
		if pid != 0 && !slices.Contains(programs, pid) {
			continue
		}
		t.front = append(t.front, b[:t.packet]...)
		if p[1]&0x40 == 0 {
			continue
		}
		begun[pid]++
		section := payload(p)
		if len(section) > 0 && int(section[0]) < len(section) {
			section = section[1+int(section[0]):]
		}
		if pid == 0 && programs == nil {
			programs = association(section)
		} else if pid != 0 && t.video == 0 {
			t.video = pictures(section)
		}
		// A table is whole when it begins once more, or for all one can tell.
		if len(programs) > 0 && !slices.ContainsFunc(programs, func(pid int) bool { return begun[pid] < 2 }) {
			return true
		}
	}
	return len(programs) > 0 && !slices.ContainsFunc(programs, func(pid int) bool { return begun[pid] == 0 })
}

// payload is what a packet carries behind its header.
func payload(p []byte) []byte {
	switch p[3] >> 4 & 3 {
	case 1:
		return p[4:]
	case 3:
		if n := 5 + int(p[4]); n < len(p) {
			return p[n:]
		}
	}
	return nil
}

// section is the body of a table of a kind, without its sum, as far as it lies in
// the packet.
func section(b []byte, kind byte) []byte {
	if len(b) < 3 || b[0] != kind {
		return nil
	}
	n := 3 + int(binary.BigEndian.Uint16(b[1:])&0xfff) - 4
	return b[3:max(min(n, len(b)), 3)]
}

// association lists the PIDs of program tables.
func association(b []byte) (pids []int) {
	if b = section(b, 0); len(b) < 5 {
		return nil
	}
	for b = b[5:]; len(b) >= 4; b = b[4:] {
		if binary.BigEndian.Uint16(b) != 0 { // 0 is the network's own
			pids = append(pids, int(binary.BigEndian.Uint16(b[2:]))&(pidMost-1))
		}
	}
	return pids
}

// pictures is the PID of the first picture track of a program table.
func pictures(b []byte) int {
	if b = section(b, 2); len(b) < 9 {
		return 0
	}
	for b = b[min(9+int(binary.BigEndian.Uint16(b[7:])&0xfff), len(b)):]; len(b) >= 5; {
		if slices.Contains([]byte{0x01, 0x02, 0x10, 0x1b, 0x24, 0xd1, 0xea}, b[0]) { // MPEG-1, -2, -4, H.264, H.265, Dirac, VC-1
			return int(binary.BigEndian.Uint16(b[1:])) & (pidMost - 1)
		}
		b = b[min(5+int(binary.BigEndian.Uint16(b[3:])&0xfff), len(b)):]
	}
	return 0
}

// sync is the next packet that is marked as the beginning of a keyframe; the next
// packet where none is near.
func (t *transport) sync(off int64) (int64, error) {
	first, err := t.aligned(off)
	if err != nil || first >= t.size || t.video == 0 {
		return first, err
	}
	for at, tries := first, 0; at < min(first+entries, t.size) && tries < 3*entries/block; tries++ {
		b, err := upto(t.r, t.size, at, int(block/t.packet*t.packet))
		if err != nil {
			return 0, err
		}
		if int64(len(b)) < t.packet {
			break // the end
		}
		for ; int64(len(b)) >= t.packet; at, b = at+t.packet, b[t.packet:] {
			p := b[t.lead:][:188]
			if p[0] == 0x47 && !t.marked(p) {
				continue
			}
			// A place to begin at, or bytes were lost: where are packets?
			next, err := t.aligned(at)
			if err != nil || next == at {
				return at, err
			}
			at = next
			break
		}
	}
	return first, nil
}

// marked reports whether a packet of the pictures has the random access indicator.
func (t *transport) marked(p []byte) bool {
	return p[0] == 0x47 && p[1]&0x40 != 0 && int(binary.BigEndian.Uint16(p[1:]))&(pidMost-1) == t.video && p[3]&0x20 != 0 && p[4] > 0 && p[5]&0x40 != 0
}

// aligned is where the next packets begin, wherever that is: bytes may have been lost.
func (t *transport) aligned(off int64) (int64, error) {
	at := max(off, t.base)
	b, err := upto(t.r, t.size, at, block)
	if err != nil {
		return 0, err
	}
	for i := range int64(max(len(b)-int(t.packet*inStep), 1)) {
		if n := inSync(b, i+t.lead, t.packet); n == inStep || n > 0 && i+t.lead+int64(n)*t.packet >= int64(len(b)) {
			return at + i, nil
		}
	}
	if at+int64(len(b)) >= t.size {
		return t.size, nil
	}
	return 0, refuse("packets are out of step at byte %d", off)
}

func (t *transport) from(at int64) io.Reader {
	return io.MultiReader(bytes.NewReader(t.front), io.NewSectionReader(t.r, at, t.size-at))
}
