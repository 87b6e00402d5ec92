package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// TestRangesReadOnce: all components of a sliced task together fetch an indexed
// file little more than once, also where the worker can keep less than half of it.
func TestRangesReadOnce(t *testing.T) {
	t.Parallel()
	// Pictures that do not compress: a minute of 7 Mbit/s.
	clip(t, "heavy.mp4", "-f lavfi -i testsrc2=s=640x360:r=25:d=6,noise=alls=60:allf=t -f lavfi -i anoisesrc=c=pink:d=6:seed=7:a=0.3 -shortest "+
		"-c:v libx264 -preset ultrafast -bf 0 -g 25 -b:v 7200k -minrate 7200k -maxrate 7200k -bufsize 4M -pix_fmt yuv420p -c:a aac -b:a 128k")
	long := clip(t, "heavy-60.mp4", "-stream_loop 9 -i heavy.mp4 -c copy -movflags faststart")
	size := sizeOf(t, long)
	if size < 50<<20 || size > 64<<20 {
		t.Fatalf("%s has %d bytes", long, size)
	}
	s := serve(t, t.TempDir(), "", "--block-cache", "24MiB")
	rq := api.Submit{Cmd: "video.transcode", Inputs: []media.Ref{s.upload("in", long)}, Params: json.RawMessage(`{"preset":"ultrafast","width":128}`), Extra: task.Extra{Slice: "force"}}
	done := s.succeeded(s.submit(rq))
	r := reportOf(t, done.Result)
	if !r.Sliced || r.Certificate == nil || !r.Certificate.OK || len(r.Certificate.Joints) < 1 {
		t.Fatalf("%s", done.Result)
	}
	fetched := s.gauge("mediafn_gate_fetched_bytes_total")
	t.Logf("%d slices of %.1f MB: %.3f × of it fetched", done.Figures.Slices, float64(size)/1e6, fetched/float64(size))
	if fetched < float64(size)*0.9 || fetched > 1.15*float64(size) {
		t.Errorf("%.0f bytes fetched of a file of %d", fetched, size)
	}
}

// gauge is the value of a metric without labels.
func (s *server) gauge(name string) float64 {
	s.t.Helper()
	resp, err := http.Get(s.url + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(body)
	if found == nil {
		s.t.Fatalf("no %s", name)
	}
	v, err := strconv.ParseFloat(string(found[1]), 64)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// TestProbeFar: two hours behind HTTP are known from a few ranges.
func TestProbeFar(t *testing.T) {
	t.Parallel()
	short := clip(t, "far.mp4", "-f lavfi -i testsrc2=s=160x90:r=25:d=10 -f lavfi -i sine=r=48000:d=10 -shortest -c:v libx264 -preset ultrafast -bf 2 -g 100 -b:v 100k -pix_fmt yuv420p -c:a aac -b:a 32k")
	var bytes, requests atomic.Int64
	files := http.FileServer(http.Dir(filepath.Dir(short)))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		w.Header().Set("ETag", `"one"`)
		files.ServeHTTP(&counter{w, &bytes}, r)
	}))
	defer srv.Close()
	for _, c := range []struct {
		name, options string
		frames        int64
	}{
		{"far-2h.mp4", "", 180_000},
		{"far-2h-fast.mp4", "-movflags faststart", 180_000},
		{"far-2h.mkv", "", 0}, // an index names entry points, and counts no frames
	} {
		path := clip(t, c.name, "-stream_loop 719 -i far.mp4 -c copy "+c.options)
		for _, level := range []string{"stream", "gop"} {
			bytes.Store(0)
			requests.Store(0)
			began := time.Now()
			out, err := exec.Command(filepath.Join(bin, "mediafn"), "probe", "--json", "--level", level, "--egress-allow", "127.0.0.1", srv.URL+"/"+c.name).CombinedOutput()
			if err != nil {
				t.Fatalf("%s %s: %v\n%s", c.name, level, err, out)
			}
			took := time.Since(began)
			var info media.Info
			if err := json.Unmarshal(out, &info); err != nil {
				t.Fatalf("%s: %v", out, err)
			}
			v := info.MainVideo()
			if v == nil || info.Duration < 7199 || info.Duration > 7210 || len(info.Audio) != 1 || v.Codec != "h264" || v.Width != 160 || v.Frames != c.frames && c.name != "far-2h.mkv" ||
				level == "gop" && (v.GOP == nil || len(v.GOP.Keys) < 1400 || len(v.GOP.Keys) > 2200) {
				t.Errorf("%s %s: %.0f s, %d frames, %+v", c.name, level, info.Duration, v.Frames, v.GOP != nil)
			}
			t.Logf("%s %s: %.2f of %.0f MB in %d requests, %.0f ms with the start of the program", c.name, level, float64(bytes.Load())/1e6, float64(sizeOf(t, path))/1e6, requests.Load(), took.Seconds()*1000)
			if bytes.Load() >= 16<<20 || bytes.Load() >= sizeOf(t, path)/4 {
				t.Errorf("%s %s: %d bytes read", c.name, level, bytes.Load())
			}
		}
		_ = os.Remove(path)
	}
}

// counter counts what a server gave.
type counter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// TestRemuxedTask: through the whole platform, a transport stream is sliced by
// way of a copy, and comes out as it does whole, with what lies beside it.
func TestRemuxedTask(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	noise := " -f lavfi -i anoisesrc=c=pink:d=4:seed=7:a=0.3"
	var pairs []*pair
	for name, args := range map[string]string{
		"film.ts":   "-f lavfi -i testsrc2=s=128x72:d=4:r=25" + noise + " -c:v libx264 -preset ultrafast -pix_fmt yuv420p -bf 2 -g 20 -c:a aac -metadata:s:a:0 language=deu",
		"bare.mkv":  "-f lavfi -i testsrc2=s=128x72:d=4:r=30000/1001" + noise + " -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 20 -c:a aac -live 1 -metadata title=Bare",
		"odd.avi":   "-f lavfi -i testsrc2=s=128x72:d=4:r=25" + noise + " -c:v mpeg4 -q:v 3 -bf 2 -g 20 -c:a mp3",
		"plain.mkv": "-f lavfi -i testsrc2=s=128x72:d=4:r=25" + noise + " -c:v libx264 -preset ultrafast -pix_fmt yuv420p -g 20 -c:a aac",
	} {
		pairs = append(pairs, s.both(name, clip(t, name, args), `{"preset":"ultrafast"}`))
	}
	vp8 := s.both("vp8.mkv", clip(t, "vp8.mkv", "-f lavfi -i testsrc2=s=128x72:d=4:r=25 -c:v libvpx -deadline realtime -cpu-used 8 -g 20 -live 1"), `{"preset":"ultrafast"}`)
	for _, p := range pairs {
		p.fetch(t, s)
		want := "remuxed"
		if p.name == "plain.mkv" {
			want = "forced"
		}
		if !p.report.Sliced || p.report.Code != want || p.report.Certificate == nil || !p.report.Certificate.OK {
			t.Errorf("%s: %s", p.name, p.slicedT.Result)
			continue
		}
		if err := timesOf(t, p.sliced).like(timesOf(t, p.whole)); err != nil {
			t.Errorf("%s: sliced against whole: %v", p.name, err)
		}
		const tags = "stream=width,height,pix_fmt,color_range,sample_aspect_ratio:stream_tags=language:format_tags=title"
		if a, b := entries(t, p.sliced, "v:0", tags)+entries(t, p.sliced, "a:0", "stream_tags=language"), entries(t, p.whole, "v:0", tags)+entries(t, p.whole, "a:0", "stream_tags=language"); a != b {
			t.Errorf("%s: sliced is\n%s\nwhole is\n%s", p.name, a, b)
		}
		if lag := lagOf(soundOf(t, p.whole), soundOf(t, p.sliced), 1); lag > 0.001 || lag < -0.001 {
			t.Errorf("%s: sound lies %g s behind", p.name, lag)
		}
	}
	vp8.fetch(t, s)
	if vp8.report.Sliced || vp8.report.Code != "container_not_seekable" || !regexp.MustCompile("mp4 does not hold pictures of codec vp8").MatchString(vp8.report.Reason) {
		t.Errorf("vp8: %s", vp8.slicedT.Result)
	}
	quiet(t, s)
	s.stop()
}
