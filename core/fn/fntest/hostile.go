package fntest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
)

// hostile puts bad files in place of the first case's first input.
func (s Suite) hostile(t *testing.T) {
	c := s.Cases[0]
	good, err := os.ReadFile(c.Inputs[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	trap := newTrap(t)
	ext := filepath.Ext(c.Inputs[0].Path)
	head := func(n int) []byte { return good[:min(n, len(good))] }
	for _, bad := range []struct {
		name, file string
		body       []byte
		may        bool // may succeed: what is left may be read
	}{
		{"empty", "empty" + ext, nil, false},
		{"one byte", "one" + ext, head(1), false},
		{"12 bytes", "head" + ext, head(12), false},
		{"first 100 bytes", "cut100" + ext, head(100), false},
		{"half", "half" + ext, head(len(good) / 2), true},
		{"without its end", "end" + ext, head(len(good) - 100), true},
		{"noise behind the head", "noise" + ext, noise(good), true},
		{"text", "text" + ext, []byte("just some words, and no media at all, in a file that says otherwise\n"), false},
		{"image named " + ext, "image" + ext, png(4, 4), true},
		{"playlist with a trap", "list" + ext, trap.playlist("http://%s/x.ts"), false},
		{"playlist with a file", "passwd" + ext, trap.playlist("file:///etc/passwd"), false},
		{"concat script", "concat" + ext, []byte("ffconcat version 1.0\nfile /etc/passwd\n"), false},
		{"huge picture", "huge.png", png(100000, 100000), false},
		{"svg with a trap", "trap.svg", fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="8" height="8"><image width="8" height="8" xlink:href="http://%s/x.png"/></svg>`, trap.addr), true},
	} {
		t.Run(bad.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), bad.file)
			if err := os.WriteFile(path, bad.body, 0o600); err != nil {
				t.Fatal(err)
			}
			hurt := c
			hurt.Inputs = append([]File{{c.Inputs[0].Slot, path}}, c.Inputs[1:]...)
			_, err := s.Call(t.Context(), t, hurt, t.TempDir())
			switch kind := errs.KindOf(err); {
			case err == nil:
				if !bad.may {
					t.Error("succeeded")
				}
			case kind != errs.Invalid && kind != errs.Unsupported && kind != errs.TooLarge && kind != errs.Denied:
				t.Errorf("kind %s: %v\n%s", kind, err, errs.TailOf(err))
			}
		})
	}
	if n := trap.close(); n > 0 {
		t.Errorf("a hostile file made the function open %d connections", n)
	}
}

// trap is a listening port nobody has reason to connect to.
type trap struct {
	ln    net.Listener
	addr  string
	count chan int
}

func newTrap(t testing.TB) *trap {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tr := &trap{ln: ln, addr: ln.Addr().String(), count: make(chan int, 1)}
	go func() {
		n := 0
		for {
			conn, err := ln.Accept()
			if err != nil {
				tr.count <- n
				return
			}
			n++
			_ = conn.Close()
		}
	}()
	return tr
}

// close returns how many connections came.
func (tr *trap) close() int {
	_ = tr.ln.Close()
	return <-tr.count
}

func (tr *trap) playlist(entry string) []byte {
	if bytes.Contains([]byte(entry), []byte("%s")) {
		entry = fmt.Sprintf(entry, tr.addr)
	}
	return []byte("#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n" + entry + "\n#EXT-X-ENDLIST\n")
}

// noise keeps the first part of a file and garbles stretches of the rest.
func noise(good []byte) []byte {
	bad := bytes.Clone(good)
	x := uint32(1)
	for i := len(bad) / 4; i < len(bad); i++ {
		x = x*1664525 + 1013904223
		if i/512%3 == 0 {
			bad[i] = byte(x >> 24)
		}
	}
	return bad
}

// png is a valid header of a w×h picture, with the pixels of none.
func png(w, h uint32) []byte {
	out := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, data []byte) {
		out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
		body := append([]byte(kind), data...)
		out = append(out, body...)
		out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	chunk("IHDR", append(header, 8, 2, 0, 0, 0))
	chunk("IDAT", []byte{0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01})
	chunk("IEND", nil)
	return out
}
