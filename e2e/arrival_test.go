package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/s3"
)

// arriving is a file on its way to a server, sent step by step.
type arriving struct {
	s    *server
	at   string // Location
	body []byte
	sent int
}

// arrive begins an upload and a task on it.
func (s *server) arrive(path string, rq api.Submit) (*arriving, string) {
	s.t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	a := &arriving{s: s, body: body}
	b64 := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	resp, _ := a.do("POST", "/v1/uploads", nil, "Upload-Length", fmt.Sprint(len(body)),
		"Upload-Metadata", "bucket "+b64("media-in")+",filename "+b64(filepath.Base(path)))
	if resp.StatusCode != 201 {
		s.t.Fatal(resp.Status)
	}
	a.at = resp.Header.Get("Location")
	rq.Inputs = []media.Ref{{Upload: filepath.Base(a.at)}}
	return a, s.submit(rq)
}

func (a *arriving) do(method, path string, body io.Reader, header ...string) (*http.Response, error) {
	a.s.t.Helper()
	req, err := http.NewRequest(method, a.s.url+path, body)
	if err != nil {
		a.s.t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	return resp, err
}

// send adds the next n bytes, or what is left.
func (a *arriving) send(n int) error {
	n = min(n, len(a.body)-a.sent)
	resp, err := a.do("PATCH", a.at, bytes.NewReader(a.body[a.sent:a.sent+n]),
		"Upload-Offset", fmt.Sprint(a.sent), "Content-Type", "application/offset+octet-stream")
	if err != nil {
		return err
	}
	if resp.StatusCode != 204 {
		return fmt.Errorf("%d bytes at %d: %s", n, a.sent, resp.Status)
	}
	a.sent += n
	return nil
}

func (a *arriving) must(n int) {
	a.s.t.Helper()
	if err := a.send(n); err != nil {
		a.s.t.Fatal(err)
	}
}

// arrivalOf is what a result says of it.
func arrivalOf(t *testing.T, end *api.Task) (a struct {
	Early  bool   `json:"early"`
	Slices int    `json:"slices_before_end"`
	Reason string `json:"reason"`
}) {
	t.Helper()
	var r struct {
		Arrival json.RawMessage `json:"arrival"`
	}
	if err := json.Unmarshal(end.Result, &r); err != nil || r.Arrival == nil || json.Unmarshal(r.Arrival, &a) != nil {
		t.Fatalf("the result says nothing of the arrival: %s", end.Result)
	}
	return a
}

// nothingArrives checks that no piece is left in the store.
func nothingArrives(t *testing.T, s *server) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		if left := files(t, filepath.Join(s.data, "objects", "arriving"), ""); len(left) > 0 {
			return fmt.Errorf("pieces are left: %q", left)
		}
		return nil
	})
}

const mib = 1 << 20

// noisy is 24 s with a key a second and the index in front, in many bytes: noise
// cannot be coded in few.
func noisy(t *testing.T) string {
	return clip(t, "noisy.mp4", "-f lavfi -i testsrc2=s=320x180:r=25:d=24,noise=alls=25:allf=t -f lavfi -i sine=r=44100:d=24 "+
		"-c:v libx264 -preset ultrafast -g 25 -qp 22 -pix_fmt yuv420p -c:a aac -movflags faststart")
}

func inSlices() api.Submit {
	return api.Submit{Cmd: "video.transcode", Params: json.RawMessage(`{"height":90,"preset":"ultrafast"}`), Extra: task.Extra{Slice: "force"}}
}

// oneSliceDone waits until a slice is done while its source still arrives.
func (a *arriving) oneSliceDone(id string) (v *api.Task) {
	a.s.t.Helper()
	eventually(a.s.t, time.Minute, func() (err error) {
		if v, err = a.s.Task(a.s.t.Context(), id); err == nil && len(segments(v, task.Succeeded)) == 0 {
			err = fmt.Errorf("no slice is done: %s", shown(v))
		}
		return err
	})
	if waiting := segments(v, task.Waiting); len(waiting) != 2 || a.sent >= len(a.body) { // the event, and the last slice
		a.s.t.Fatalf("%d of %d bytes are sent: %s", a.sent, len(a.body), shown(v))
	}
	return v
}

// TestSlicesBeforeTheEnd: the slices of a film whose index comes in front are
// computed while it is still being sent, and the result is that of a film that
// was there.
func TestSlicesBeforeTheEnd(t *testing.T) {
	t.Parallel()
	path := noisy(t)
	s := serve(t, t.TempDir(), "")
	rq := inSlices()
	a, id := s.arrive(path, rq)
	if len(a.body) < 8*mib {
		t.Fatalf("the film has %d bytes only", len(a.body))
	}
	// Not even the index is there.
	a.must(mib / 2)
	v := s.planned(id)
	for _, w := range v.Work {
		if w.State != task.Waiting {
			t.Errorf("%s is %s before its bytes are there", w.ID, w.State)
		}
	}
	// All but the last bytes, in steps: the first slice is done, the last one, which
	// needs them, waits.
	for len(a.body)-a.sent > mib {
		a.must(min(mib, len(a.body)-a.sent-mib/2))
	}
	a.oneSliceDone(id)
	a.must(mib)
	end := s.succeeded(id)
	if got := arrivalOf(t, end); !got.Early || got.Slices == 0 || !strings.Contains(got.Reason, "in front") {
		t.Errorf("arrival: %+v", got)
	}
	for _, w := range end.Work {
		if w.Failures+w.Losses > 0 {
			t.Errorf("%s failed %d times and was lost %d times", w.ID, w.Failures, w.Losses)
		}
	}
	nothingArrives(t, s)

	rq.Inputs = []media.Ref{s.upload("in", path)}
	whole := s.succeeded(s.submit(rq))
	var hashes []string
	for _, v := range []*api.Task{end, whole} {
		hashes = append(hashes, ffmpegHash(t, s.download(v.Outputs[0].Ref)))
	}
	if hashes[0] != hashes[1] {
		t.Errorf("the result is another than that of a film that was there: %s %s", hashes[0], hashes[1])
	}
	quiet(t, s)
	s.stop()
}

// ffmpegHash is a hash over all packets and their times.
func ffmpegHash(t *testing.T, path string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "hash")
	ffmpeg(t, "-i", path, "-map", "0", "-c", "copy", "-f", "framehash", out)
	body, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestArrivalWaits: what has no index in front is waited for, and the result
// says so; an upload that ends before it is whole ends its task.
func TestArrivalWaits(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	source := tiny(t)
	rq := api.Submit{Cmd: "video.transcode", Params: json.RawMessage(`{"preset":"ultrafast"}`), Extra: task.Extra{Slice: "force"}}
	for _, c := range []struct{ name, args, reason string }{
		{"fragments.mp4", "-movflags frag_keyframe+empty_moov", "fragmented"},
		{"behind.mp4", "", "behind the media data"},
		{"film.mkv", "", "Matroska"},
		{"film.ts", "", "MPEG-TS"},
	} {
		path := clip(t, "arrival-"+c.name, "-i "+source+" -c copy "+c.args)
		a, id := s.arrive(path, rq)
		a.must(len(a.body) / 2)
		v := s.planned(id)
		for _, w := range v.Work {
			if w.State != task.Waiting {
				t.Errorf("%s: %s is %s before the end", c.name, w.ID, w.State)
			}
		}
		a.must(len(a.body))
		if got := arrivalOf(t, s.succeeded(id)); got.Early || got.Slices != 0 || !strings.Contains(got.Reason, c.reason) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	nothingArrives(t, s)
	quiet(t, s)
	s.stop()
}

// TestArrivalEnds: an upload that is ended, or expires, before it is whole ends
// the task that waits for it.
func TestArrivalEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ life, message string }{{"1h", "the caller ended it after"}, {"5s", "it expired"}} {
		s := serve(t, t.TempDir(), "", "--upload-life", c.life)
		a, id := s.arrive(tiny(t), api.Submit{Cmd: "video.transcode"})
		a.must(len(a.body) - 1)
		s.planned(id)
		if c.life == "1h" {
			if resp, err := a.do("DELETE", a.at, nil); err != nil || resp.StatusCode != 204 {
				t.Errorf("DELETE: %v %v", resp, err)
			}
		}
		end := s.ended(id)
		if e := end.Error; end.State != task.Failed || e == nil || e.Kind != errs.NotFound || e.Field != "input_files.0.upload" || !strings.Contains(e.Message, c.message) {
			t.Errorf("%s: %s, %+v", c.message, end.State, e)
		}
		nothingArrives(t, s)
		quiet(t, s)
		s.stop()
	}
}

// planned waits until a task has its first rows.
func (s *server) planned(id string) (v *api.Task) {
	s.t.Helper()
	eventually(s.t, time.Minute, func() (err error) {
		if v, err = s.Task(s.t.Context(), id); err == nil && len(v.Work) == 0 {
			err = fmt.Errorf("not decided on: %s", shown(v))
		}
		return err
	})
	return v
}

// TestArrivalOverARestart: the server dies in the middle of an upload, and again
// when every byte has come; upload and task go on.
func TestArrivalOverARestart(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"piece stored:2", "upload whole"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			data := t.TempDir()
			s := serve(t, data, point)
			a, id := s.arrive(tiny(t), api.Submit{Cmd: "video.transcode", Params: json.RawMessage(`{"preset":"ultrafast"}`)})
			var err error
			for err == nil && a.sent < len(a.body) {
				err = a.send(len(a.body)/5 + 1)
			}
			if err == nil {
				t.Fatal("the server lives")
			}
			s.died(time.Minute)
			s = serve(t, data, "")
			a.s = s
			resp, err := a.do("HEAD", a.at, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fmt.Sscan(resp.Header.Get("Upload-Offset"), &a.sent); err != nil || resp.StatusCode != 200 {
				t.Fatalf("after the restart: %s %v", resp.Status, err)
			}
			for a.sent < len(a.body) {
				a.must(len(a.body) / 5)
			}
			s.succeeded(id)
			nothingArrives(t, s)
			quiet(t, s)
			s.stop()
		})
	}
}

// testUploadAcrossGateways sends a film to two gateways in turns, of which one is
// killed, over an S3 store; slices begin on a worker elsewhere before its end.
func testUploadAcrossGateways(t *testing.T, p *apart) {
	one, two := p.run(t, today(), "gateway"), p.run(t, today(), "gateway")
	controller, worker := p.run(t, today(), "controller"), p.run(t, today(), "worker")
	a, id := one.arrive(noisy(t), inSlices())
	for step := 0; len(a.body)-a.sent > mib; step++ {
		if a.s = one; step%2 > 0 || step > 8 {
			a.s = two
		}
		if step == 9 {
			one.kill()
		}
		a.must(min(2*mib, len(a.body)-a.sent-mib/2))
	}
	a.s = two
	a.oneSliceDone(id)
	a.must(mib)
	if got := arrivalOf(t, two.succeeded(id)); !got.Early || got.Slices == 0 {
		t.Errorf("arrival: %+v", got)
	}
	o, err := s3.Parse(strings.TrimPrefix(p.blobs, "main="))
	if err != nil {
		t.Fatal(err)
	}
	store, err := s3.Open(o, blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	eventually(t, time.Minute, func() error {
		left, err := store.List(t.Context(), "arriving", "", "", 10)
		if err == nil && len(left) > 0 {
			err = fmt.Errorf("pieces are left: %v", left)
		}
		return err
	})
	for _, s := range []*server{two, controller, worker} {
		s.stop()
	}
}
