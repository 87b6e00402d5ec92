package ffmpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/tools/sandbox"
)

func TestRunProgress(t *testing.T) {
	tool := newTool(t)
	src, dir := clip(t, "in.mp4"), t.TempDir()
	out := filepath.Join(dir, "out.mp4")
	var seen []Progress
	s, err := tool.Run(t.Context(), Job{
		Args:      append(fileArgs(t, Input{Path: src, Demuxer: "mov"}), "-c:v", "libx264", "-threads", "1", "-c:a", "aac", out),
		ReadPaths: []string{src}, WritePaths: []string{dir}, Duration: 2, Stall: time.Minute,
		Progress: func(p Progress) { seen = append(seen, p) },
	})
	if err != nil {
		t.Fatal(err, errs.TailOf(err))
	}
	last := 0.0
	for _, p := range seen {
		if p.Percent < last {
			t.Errorf("percent fell: %v", seen)
		}
		last = p.Percent
	}
	if last != 100 || s.Frames != 50 || s.OutTime < 1900*time.Millisecond || s.Size == 0 || s.Wall == 0 || s.User+s.System == 0 {
		t.Errorf("percent %v, stats %+v", last, s)
	}
	if st, err := os.Stat(out); err != nil || st.Size() == 0 {
		t.Error(err)
	}
}

func TestRunStdinStdout(t *testing.T) {
	tool := newTool(t)
	src, err := os.ReadFile(clip(t, "in.ts", "-c:v", "mpeg2video", "-an"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	_, err = tool.Run(t.Context(), Job{
		Args:  append(fileArgs(t, Input{Stdin: true, Demuxer: "mpegts"}), "-frames:v", "3", "-f", "rawvideo", "-pix_fmt", "gray", "pipe:1"),
		Stdin: bytes.NewReader(src), Stdout: &out,
	})
	if err != nil || out.Len() != 3*160*120 {
		t.Errorf("%d bytes, %v %s", out.Len(), err, errs.TailOf(err))
	}
}

// TestRunErrors runs real failures and checks the kind given to each.
func TestRunErrors(t *testing.T) {
	tool := newTool(t)
	good := clip(t, "in.mp4", "-movflags", "+faststart")
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	in := fileArgs(t, Input{Path: good, Demuxer: "mov"})
	null := []string{"-f", "null", "-"}
	broken := func(b []byte, demuxer string) []string {
		return append(fileArgs(t, Input{Path: write(t, "b", b), Demuxer: demuxer}), null...)
	}
	dead := fmt.Sprintf("http://127.0.0.1:%d/x", closedPort(t))
	dir := t.TempDir()
	all := func(list ...[]string) (args []string) {
		for _, l := range list {
			args = append(args, l...)
		}
		return args
	}
	for _, c := range []struct {
		name string
		args []string
		want errs.Kind
	}{
		{"no moov", broken(whole[:100], "mov"), errs.Invalid},
		{"empty", broken(nil, "mov"), errs.Invalid},
		{"truncated", broken(whole[:len(whole)*2/3], "mov"), errs.Invalid},
		{"noise as ts", broken(bytes.Repeat([]byte("media?"), 999), "mpegts"), errs.Invalid},
		{"lying extension", broken(whole, "matroska"), errs.Invalid},
		{"unknown encoder", all(in, []string{"-c:v", "nosuch"}, null), errs.Unsupported},
		{"unknown decoder", all([]string{"-c:v", "nosuch"}, in, null), errs.Unsupported},
		{"unknown pixel format", all(in, []string{"-pix_fmt", "nosuch"}, null), errs.Unsupported},
		{"unknown filter", all(in, []string{"-vf", "nosuch"}, null), errs.Unsupported},
		{"unknown muxer", all(in, []string{"-f", "nosuch", "-"}), errs.Unsupported},
		{"codec not for muxer", all(in, []string{"-c", "copy", "-f", "webm", filepath.Join(dir, "o")}), errs.Unsupported},
		{"unknown option", all(in, []string{"-nosuch", "1"}, null), errs.Internal},
		{"unknown filter option", all(in, []string{"-vf", "scale=nosuch=1"}, null), errs.Internal},
		{"no such stream", all(in, []string{"-map", "0:7"}, null), errs.Invalid},
		{"huge picture", all([]string{"-f", "lavfi", "-i", "color=s=60000x60000"}, null), errs.TooLarge},
		{"too many pixels", all(fileArgs(t, Input{Path: good, Demuxer: "mov", MaxPixels: 100}), null), errs.TooLarge},
		{"disk full", all(in, []string{"-f", "mp4", "/dev/full"}), errs.Transient},
		{"disk full at the end", all(in, []string{"-f", "mpegts", "/dev/full"}), errs.Transient},
		{"not granted", all(in, []string{"-f", "mp4", "/var/tmp/escape.mp4"}), errs.Denied},
		{"connection refused", all(fileArgs(t, Input{URL: dead, Demuxer: "mov"}), null), errs.Transient},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := Job{Args: c.args, WritePaths: []string{dir, "/dev/full"}}
			for _, name := range inputsOf(c.args) {
				if path, ok := strings.CutPrefix(name, "file:"); ok {
					j.ReadPaths = append(j.ReadPaths, path)
				} else if name == dead {
					_, port, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(dead, "http://"), "/x"))
					n, _ := strconv.Atoi(port)
					j.ConnectPorts = append(j.ConnectPorts, uint16(n))
				}
			}
			_, err := tool.Run(t.Context(), j)
			if !errs.Is(err, c.want) || errs.TailOf(err) == "" {
				t.Errorf("got %v: %v\n%s", errs.KindOf(err), err, errs.TailOf(err))
			}
		})
	}
	t.Run("tolerant", func(t *testing.T) {
		args := broken(whole[:len(whole)*2/3], "mov")
		s, err := tool.Run(t.Context(), Job{Args: args, ReadPaths: []string{strings.TrimPrefix(inputsOf(args)[0], "file:")}, Tolerant: true})
		if err != nil || s.Frames == 0 || len(s.Warnings) == 0 {
			t.Errorf("%+v %v", s, err)
		}
	})
}

func closedPort(t *testing.T) int {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	return ln.Addr().(*net.TCPAddr).Port
}

// serve answers on a loopback port until the test ends.
func serve(t *testing.T, h http.HandlerFunc) (url string, port uint16) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return "http://" + ln.Addr().String() + "/clip", uint16(ln.Addr().(*net.TCPAddr).Port)
}

func TestRunStall(t *testing.T) {
	tool := newTool(t)
	url, port := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, err := tool.Run(t.Context(), Job{
		Args:         append(fileArgs(t, Input{URL: url, Demuxer: "mov"}), "-f", "null", "-"),
		ConnectPorts: []uint16{port}, Stall: 300 * time.Millisecond,
	})
	if !errs.Is(err, errs.Timeout) || !strings.Contains(err.Error(), "stalled") {
		t.Errorf("got %v", err)
	}
}

// TestRunOverHTTP reads a clip whose index is at its end, and counts what that
// costs in connections.
func TestRunOverHTTP(t *testing.T) {
	tool := newTool(t)
	src := clip(t, "in.mp4")
	remotes := map[string]int{}
	url, port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		remotes[r.RemoteAddr]++
		http.ServeFile(w, r, src)
	})
	s, err := tool.Run(t.Context(), Job{
		Args:         append(fileArgs(t, Input{URL: url, Demuxer: "mov"}), "-f", "null", "-"),
		ConnectPorts: []uint16{port}, Stall: time.Minute,
	})
	if err != nil || s.Frames != 50 {
		t.Errorf("%+v %v %s", s, err, errs.TailOf(err))
	}
	t.Logf("connections and requests: %v", remotes)
}

// TestRunCutConnection: a gate that breaks off for good must not look like
// a shorter clip.
func TestRunCutConnection(t *testing.T) {
	tool := newTool(t)
	src, err := os.ReadFile(clip(t, "in.mp4", "-movflags", "+faststart"))
	if err != nil {
		t.Fatal(err)
	}
	url, port := serve(t, func(w http.ResponseWriter, r *http.Request) {
		from := 0
		_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
		half := len(src) / 2
		if from >= half {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(src)-1, len(src)))
		w.Header().Set("Content-Length", strconv.Itoa(len(src)-from))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(src[from:half])
		panic(http.ErrAbortHandler)
	})
	_, err = tool.Run(t.Context(), Job{
		Args:         append(fileArgs(t, Input{URL: url, Demuxer: "mov"}), "-f", "null", "-"),
		ConnectPorts: []uint16{port}, Stall: time.Minute,
	})
	if !errs.Is(err, errs.Transient) {
		t.Errorf("got %v %v\n%s", errs.KindOf(err), err, errs.TailOf(err))
	}
	_, err = tool.Probe(t.Context(), Input{URL: url, Demuxer: "mov"}, ProbeOptions{Packets: true, ConnectPorts: []uint16{port}})
	if !errs.Is(err, errs.Transient) {
		t.Errorf("probe: got %v %v\n%s", errs.KindOf(err), err, errs.TailOf(err))
	}
}

// endless is a job that reports progress for ever.
func endless(up func()) Job {
	return Job{
		Args:     []string{"-re", "-f", "lavfi", "-i", "testsrc=s=64x64", "-f", "null", "-"},
		Progress: func(Progress) { up() },
	}
}

func TestRunCancel(t *testing.T) {
	tool := newTool(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var pid int
	_, err := tool.Run(ctx, endless(func() { pid = child(t); cancel() }))
	if !errs.Is(err, errs.Canceled) {
		t.Errorf("got %v", err)
	}
	if pid == 0 || unix.Kill(pid, 0) == nil {
		t.Errorf("process %d is still there", pid)
	}
}

func TestRunKilledFromOutside(t *testing.T) {
	tool := newTool(t)
	_, err := tool.Run(t.Context(), endless(func() { _ = unix.Kill(child(t), unix.SIGKILL) }))
	var exit *sandbox.ExitError
	if !errs.Is(err, errs.Transient) || !errors.As(err, &exit) || exit.Signal != unix.SIGKILL {
		t.Errorf("got %v", err)
	}
}

// child finds the ffmpeg started by this test.
func child(t *testing.T) int {
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Error(err)
	}
	for _, f := range tasks {
		b, _ := os.ReadFile(f)
		for _, s := range strings.Fields(string(b)) {
			comm, _ := os.ReadFile("/proc/" + s + "/comm")
			if strings.TrimSpace(string(comm)) == "ffmpeg" {
				pid, _ := strconv.Atoi(s)
				return pid
			}
		}
	}
	return 0
}

// TestPlaylistTrap: a playlist that calls itself clip.mp4 must not make
// anything connect to the address it names, not even where ports are open.
func TestPlaylistTrap(t *testing.T) {
	tool := newTool(t)
	called := make(chan string, 100)
	trap, port := serve(t, func(w http.ResponseWriter, r *http.Request) { called <- r.URL.Path })
	playlist := "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n" + trap + "/seg.ts\n#EXT-X-ENDLIST\n"
	concat := "ffconcat version 1.0\nfile " + trap + "\n"
	for _, body := range []string{playlist, concat} {
		for _, demuxer := range []string{"mov", "mpegts", "matroska", "avi"} {
			path := write(t, "clip.mp4", []byte(body))
			_, err := tool.Run(t.Context(), Job{
				Args:      append(fileArgs(t, Input{Path: path, Demuxer: demuxer}), "-f", "null", "-"),
				ReadPaths: []string{path}, ConnectPorts: []uint16{port},
			})
			if !errs.Is(err, errs.Invalid) {
				t.Errorf("%s: %v: %v", demuxer, errs.KindOf(err), err)
			}
		}
	}
	select {
	case path := <-called:
		t.Errorf("something fetched %s", path)
	default:
	}
}

// TestLogFlood: noise in a stream makes a decoder complain about every frame.
func TestLogFlood(t *testing.T) {
	tool := newTool(t)
	path := clip(t, "noisy.ts", "-c:v", "mpeg2video", "-an", "-t", "2", "-bsf:v", "noise=amount=20")
	s, err := tool.Run(t.Context(), Job{
		Args:      append(fileArgs(t, Input{Path: path, Demuxer: "mpegts", Loop: 30}), "-f", "null", "-"),
		ReadPaths: []string{path},
	})
	if len(s.Warnings) != maxWarnings {
		t.Errorf("%d warnings", len(s.Warnings))
	}
	if tail := errs.TailOf(err); len(tail) > 16<<10 {
		t.Errorf("tail of %d bytes", len(tail))
	}
}

func TestLists(t *testing.T) {
	tool := newTool(t)
	if v := tool.Version(); v == "" || v[0] < '0' || v[0] > '9' {
		t.Errorf("version %q", v)
	}
	for name, want := range map[string]bool{"libx264": true, "aac": true, "nosuch": false, "=": false} {
		if got, err := tool.HasEncoder(t.Context(), name); err != nil || got != want {
			t.Errorf("encoder %s: %v %v", name, got, err)
		}
	}
	for name, want := range map[string]bool{"scale": true, "nosuch": false} {
		if got, err := tool.HasFilter(t.Context(), name); err != nil || got != want {
			t.Errorf("filter %s: %v %v", name, got, err)
		}
	}
	if got, err := tool.HasDecoder(t.Context(), "h264"); err != nil || !got {
		t.Errorf("decoder h264: %v %v", got, err)
	}
}
