package e2e_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// refusedOnce waits for a task to fail for good at the first attempt, with one
// of the kinds that blame the input.
func (s *server) refusedOnce(t *testing.T, id string, kinds ...errs.Kind) {
	t.Helper()
	end := s.ended(id)
	if end.State != task.Failed || end.Error == nil {
		t.Fatalf("ended %s: %s", end.State, shown(end))
	}
	known := false
	for _, k := range kinds {
		known = known || end.Error.Kind == k
	}
	if !known {
		t.Errorf("kind %s, want %v: %s", end.Error.Kind, kinds, shown(end))
	}
	if end.Error.Message == "" || end.Error.Component == "" {
		t.Errorf("the error says too little: %+v", end.Error)
	}
	// An attempt that a worker without room handed back was none.
	history, err := s.History(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, a := range history.Traces {
		if a.Outcome != "succeeded" && a.Outcome != "returned" {
			failed++
		}
	}
	if failed != 1 {
		t.Errorf("%d attempts failed: %s", failed, shown(end))
	}
}

// trap counts who connects to it.
func trap(t *testing.T) (port int, caught *atomic.Int64) {
	t.Helper()
	caught = &atomic.Int64{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			caught.Add(1)
			_ = c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, caught
}

// bomb is the head of a PNG that claims to be enormous.
func bomb(w, h uint32) []byte {
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(name string, body []byte) {
		_ = binary.Write(&b, binary.BigEndian, uint32(len(body)))
		all := append([]byte(name), body...)
		b.Write(all)
		_ = binary.Write(&b, binary.BigEndian, crc32.ChecksumIEEE(all))
	}
	chunk("IHDR", append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h), 8, 2, 0, 0, 0))
	chunk("IDAT", []byte("x\x9cc\x00\x00\x00\x01\x00\x01"))
	chunk("IEND", nil)
	return b.Bytes()
}

// TestHostile sends files that are not what they say. Each task fails once,
// for a reason that lies with the file, and leaves nothing.
func TestHostile(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	port, caught := trap(t)
	whole, err := os.ReadFile(film(t))
	if err != nil {
		t.Fatal(err)
	}
	tail, err := os.ReadFile(clip(t, "tail.mp4", "-f lavfi -i testsrc2=s=192x108:r=25:d=3 -c:v libx264 -preset ultrafast -pix_fmt yuv420p"))
	if err != nil {
		t.Fatal(err)
	}
	still, err := os.ReadFile(picture(t))
	if err != nil {
		t.Fatal(err)
	}
	type hostile struct {
		name, cmd string
		body      []byte
	}
	cases := []hostile{
		{"text.mp4", "video.transcode", []byte("this is no film, " + string(bytes.Repeat([]byte("really not. "), 100)))},
		{"noise.mp4", "video.transcode", bytes.Repeat([]byte{0x17, 0xa5, 0x3c, 0xfe, 0x01}, 4000)},
		{"picture.mp4", "video.transcode", still},
		{"film.png", "image.transform", whole},
		{"huge.png", "image.transform", bomb(100000, 100000)},
		{"huge2.png", "image.transform", bomb(1<<31-1, 1<<31-1)},
		{"none.png", "image.transform", bomb(0, 0)},
		{"half.png", "image.transform", still[:len(still)/2]},
		{"playlist.mp4", "video.transcode", []byte("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")},
		{"port.mp4", "video.transcode", fmt.Appendf(nil, "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:%d/a.ts\n#EXT-X-ENDLIST\n", port)},
		{"private.mp4", "video.transcode", []byte("#EXTM3U\n#EXTINF:10,\nhttp://169.254.169.254/latest/meta-data\n#EXT-X-ENDLIST\n")},
		{"concat.mp4", "derive.frames", []byte("ffconcat version 1.0\nfile '/etc/passwd'\n")},
		{"dash.mp4", "inspect.probe", fmt.Appendf(nil, `<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet><BaseURL>http://127.0.0.1:%d/</BaseURL></AdaptationSet></Period></MPD>`, port)},
	}
	for _, cmd := range []string{"video.transcode", "image.transform", "derive.audio", "derive.frames", "inspect.probe"} {
		cases = append(cases, hostile{cmd + ".empty", cmd, nil})
	}
	// The index of film.mp4 lies in front, that of tail.mp4 behind.
	for i, at := range []float64{0.001, 0.01, 0.05, 0.2, 0.5, 0.9} {
		cases = append(cases,
			hostile{fmt.Sprintf("film%d.mp4", i), "video.transcode", whole[:int(at*float64(len(whole)))]},
			hostile{fmt.Sprintf("tail%d.mp4", i), []string{"video.transcode", "derive.frames", "inspect.probe"}[i%3], tail[:int(at*float64(len(tail)))]})
	}
	dir := t.TempDir()
	ids := make([]string, len(cases))
	for i, c := range cases {
		path := filepath.Join(dir, c.name)
		if err := os.WriteFile(path, c.body, 0o600); err != nil {
			t.Fatal(err)
		}
		ids[i] = s.submit(api.Submit{Cmd: c.cmd, Inputs: []media.Ref{s.upload("in", path)}})
	}
	for i, c := range cases {
		t.Run(c.cmd+" "+c.name, func(t *testing.T) {
			s.refusedOnce(t, ids[i], errs.Invalid, errs.Unsupported, errs.TooLarge, errs.Denied)
		})
	}
	// A drawing is a picture, whatever it would like to fetch.
	vector := filepath.Join(dir, "vector.svg")
	if err := os.WriteFile(vector, fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="9" height="9">
		<image xlink:href="http://127.0.0.1:%[1]d/a.png" href="http://127.0.0.1:%[1]d/a.png" width="9" height="9"/></svg>`, port), 0o600); err != nil {
		t.Fatal(err)
	}
	s.ended(s.submit(api.Submit{Cmd: "image.transform", Inputs: []media.Ref{s.upload("in", vector)}}))
	if n := caught.Load(); n > 0 {
		t.Errorf("%d connections to an address a file names", n)
	}
	quiet(t, s)
	s.stop()
}

// TestEgress asks for files at addresses that are nobody's to fetch.
func TestEgress(t *testing.T) {
	t.Parallel()
	port, caught := trap(t)
	// A receiver that is allowed, and points elsewhere.
	turn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, fmt.Sprintf("http://127.0.0.1:%d/film.mp4", port), http.StatusFound)
	}))
	defer turn.Close()
	s := serve(t, t.TempDir(), "", "--egress-allow", turn.Listener.Addr().String())
	for _, url := range []string{
		fmt.Sprintf("http://127.0.0.1:%d/film.mp4", port),
		fmt.Sprintf("http://localhost:%d/film.mp4", port),
		fmt.Sprintf("http://[::1]:%d/film.mp4", port),
		fmt.Sprintf("http://[::ffff:127.0.0.1]:%d/film.mp4", port),
		fmt.Sprintf("http://0.0.0.0:%d/film.mp4", port),
		fmt.Sprintf("http://2130706433:%d/film.mp4", port), // some resolvers know it
		"http://169.254.169.254/latest/meta-data",
		"http://10.0.0.1/film.mp4",
		"http://192.168.1.1/film.mp4",
		turn.URL + "/film.mp4",
	} {
		kinds := []errs.Kind{errs.Denied}
		if strings.Contains(url, "//2130706433") {
			kinds = append(kinds, errs.NotFound)
		}
		for _, cmd := range []string{"video.transcode", "image.transform"} {
			t.Run(cmd+" "+url, func(t *testing.T) {
				s.refusedOnce(t, s.submit(api.Submit{Cmd: cmd, Inputs: []media.Ref{{URL: url}}}), kinds...)
			})
		}
	}
	if n := caught.Load(); n > 0 {
		t.Errorf("%d connections to a forbidden address", n)
	}
	quiet(t, s)
	s.stop()
}
