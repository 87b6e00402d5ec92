package wire

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ends(t testing.TB) (a, b *net.UnixConn) {
	a, f, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	if b, err = Conn(f); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close(); _ = b.Close() })
	return a, b
}

func TestFrames(t *testing.T) {
	a, b := ends(t)
	body := bytes.Repeat([]byte("body"), 200_000) // more than a socket buffer
	file, err := MemoryFile([]byte("picture"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sent := make(chan error, 1)
	go func() {
		err := Write(a, OpInfo, 7, Request{Format: "png"}, body, file)
		_ = a.Close()
		sent <- err
	}()
	f, err := Read(b, int64(len(body)))
	if err != nil || f.Op != OpInfo || f.ID != 7 || f.Size != int64(len(body)) || f.File == nil || !bytes.Contains(f.Header, []byte(`"png"`)) {
		t.Fatalf("%v %+v", err, f)
	}
	defer f.File.Close()
	got := make([]byte, f.Size)
	if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, body) {
		t.Fatal(err)
	}
	data, unmap, ok := Map(f.File, 7)
	if !ok || string(data) != "picture" {
		t.Fatalf("%v %q", ok, data)
	}
	unmap()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if _, err := Read(b, 0); err != io.EOF {
		t.Errorf("after the end: %v", err)
	}
}

func TestOnlySealedFilesAreMapped(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("picture"); err != nil {
		t.Fatal(err)
	}
	if _, _, ok := Map(f, 7); ok {
		t.Error("a file that can be cut short was mapped")
	}
}

func TestBodyLimit(t *testing.T) {
	a, b := ends(t)
	if err := Write(a, OpPing, 1, nil, []byte("12345"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(b, 4); err == nil {
		t.Error("no error")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("MF\x01\x01\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01{}x"))
	f.Fuzz(func(t *testing.T, in []byte) {
		a, b := ends(t)
		if len(in) > 64<<10 { // what the socket takes at once
			in = in[:64<<10]
		}
		if _, err := a.Write(in); err != nil {
			t.Fatal(err)
		}
		_ = a.Close()
		fr, err := Read(b, 1000)
		if err == nil && (fr.Size > 1000 || len(fr.Header) > MaxHeader) {
			t.Fatalf("%+v", fr)
		}
	})
}
