package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// TestBusinessFlows runs each shipped flow on real media and holds what comes
// out to what the flow promises.
func TestBusinessFlows(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "", hooksAllowed)
	source, still := s.upload("in", film(t)), s.upload("in", picture(t))
	run := func(cmd, params string, inputs ...media.Ref) *api.Task {
		t.Helper()
		return s.succeeded(s.submit(api.Submit{Cmd: cmd, Params: json.RawMessage(params), Inputs: inputs}))
	}
	// lookup finds a field of a task's result.
	lookup := func(v *api.Task, names ...string) any {
		t.Helper()
		var at any
		if err := json.Unmarshal(v.Result, &at); err != nil {
			t.Fatalf("%s: result %s: %v", v.Cmd, v.Result, err)
		}
		for _, name := range names {
			m, _ := at.(map[string]any)
			at = m[name]
		}
		return at
	}
	kinds := func(v *api.Task, want ...media.Kind) {
		t.Helper()
		var got []media.Kind
		for _, o := range v.Outputs {
			got = append(got, o.Kind)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%s gave %v, want %v", v.Cmd, got, want)
		}
	}

	t.Run("video.publish", func(t *testing.T) {
		v := run("video.publish", `{"mark":{"logo":{"scale":0.5,"position":"top-left"}}}`, source, still)
		kinds(v, media.Video, media.Image, media.Image, media.Image, media.Audio)
		marked := s.download(v.Outputs[0].Ref)
		if n := probe(t, marked, "v:0", "stream=nb_read_frames"); n != "150" {
			t.Errorf("the film has %s frames, the source 150", n)
		}
		if codec := probe(t, s.download(v.Outputs[4].Ref), "a:0", "stream=codec_name"); codec != "aac" {
			t.Errorf("the sound is %s", codec)
		}
		// The logo changed the picture where it lies, and nothing where it does not.
		if inside, outside := likeness(t, film(t), marked, "90:60:4:4"), likeness(t, film(t), marked, "80:50:108:54"); inside > 20 || outside < 30 {
			t.Errorf("the pictures agree to %.1f dB where the logo is, and to %.1f dB where it is not", inside, outside)
		}
		if posters, _ := lookup(v, "posters").([]any); len(posters) != 3 || lookup(v, "source", "duration") != 6.0 || lookup(v, "loudness") == nil {
			t.Errorf("it reports %s", v.Result)
		}
		if status := v.Status; status != "done" {
			t.Errorf("its status is %s", status)
		}
	})

	t.Run("video.publish to a folder", func(t *testing.T) {
		v := s.succeeded(s.submit(api.Submit{
			Cmd: "video.publish", Inputs: []media.Ref{source, still}, Outputs: []media.Ref{{Bucket: "out", Key: "films/1"}},
		}))
		kinds(v, media.Video, media.Image, media.Image, media.Image, media.Audio)
		for _, o := range v.Outputs {
			if o.Bucket != "out" || path.Dir(o.Key) != "films/1" {
				t.Errorf("published at %s", o.Ref)
			}
			s.download(o.Ref)
		}
	})

	t.Run("image.variants", func(t *testing.T) {
		large := s.upload("in", clip(t, "large.png", "-f lavfi -i testsrc2=s=1600x1200 -frames:v 1"))
		v := s.succeeded(s.submit(api.Submit{
			Cmd: "image.variants", Inputs: []media.Ref{large}, Outputs: []media.Ref{{Bucket: "out", Key: "pictures/1"}},
		}))
		kinds(v, media.Image, media.Image, media.Image, media.Image)
		for i, want := range []struct{ folder, size string }{{"Thumb", "200\n200"}, {"Small", "640\n480"}, {"Medium", "1280\n960"}, {"Large", "1600\n1200"}} {
			o := v.Outputs[i]
			if path.Dir(o.Key) != "pictures/1/"+want.folder || o.Mime != "image/webp" {
				t.Errorf("variant %d is %s at %s", i, o.Mime, o.Ref)
			}
			if size := probe(t, s.download(o.Ref), "v:0", "stream=width,height"); size != want.size {
				t.Errorf("%s is %q, want %q", want.folder, size, want.size)
			}
		}
		if lookup(v, "large", "width") != 1600.0 || lookup(v, "thumb", "height") != 200.0 {
			t.Errorf("it reports %s", v.Result)
		}
	})

	t.Run("audio.podcast", func(t *testing.T) {
		v := run("audio.podcast", ``, s.upload("in", clip(t, "talk.wav", "-f lavfi -i anoisesrc=d=40:c=pink:r=48000:a=0.05 -ac 2")))
		kinds(v, media.Audio, media.Audio, media.Audio)
		for i, want := range []string{"mp3\n44100\n2", "aac\n48000\n1", "pcm_s16le\n16000\n1"} {
			if got := probe(t, s.download(v.Outputs[i].Ref), "a:0", "stream=codec_name,sample_rate,channels"); got != want {
				t.Errorf("file %d is %q, want %q", i, got, want)
			}
		}
		if d := probe(t, s.download(v.Outputs[1].Ref), "a:0", "stream=duration"); !strings.HasPrefix(d, "30.") && !strings.HasPrefix(d, "29.9") {
			t.Errorf("the preview lasts %s s", d)
		}
		if reached, ok := lookup(v, "loudness", "reached").(float64); ok && (reached < -17 || reached > -15) {
			t.Errorf("the episode is at %v LUFS", reached)
		}
		if before, _ := lookup(v, "loudness", "integrated").(float64); before > -20 || before == 0 {
			t.Errorf("the recording was measured at %v LUFS", before)
		}
	})

	t.Run("video.preview", func(t *testing.T) {
		for source, frames := range map[media.Ref]string{source: "150", s.upload("in", reel(t)): "250"} {
			v := run("video.preview", ``, source)
			kinds(v, append([]media.Kind{media.Video}, slices.Repeat([]media.Kind{media.Image}, 9)...)...)
			small := s.download(v.Outputs[0].Ref)
			if n := probe(t, small, "v:0", "stream=nb_read_frames"); n != frames {
				t.Errorf("%s: the clip has %s frames, want %s", source, n, frames)
			}
			if all := probe(t, small, "a", "stream=codec_name"); all != "" {
				t.Errorf("%s: the clip has sound: %s", source, all)
			}
			left := 0
			for _, w := range v.Work {
				if w.Component == "Beginning" || w.Component == "Short" {
					left++
				}
			}
			if left != 1 {
				t.Errorf("%s: %d of the two clips were made", source, left)
			}
		}
	})
}

// likeness is the PSNR in dB of two films inside a rectangle.
func likeness(t *testing.T, a, b, crop string) float64 {
	t.Helper()
	said := ffmpeg(t, "-v", "info", "-i", a, "-i", b, "-lavfi", "[0:v]crop="+crop+"[x];[1:v]crop="+crop+"[y];[x][y]psnr", "-f", "null", "-")
	_, text, _ := strings.Cut(said, "average:")
	value, _, _ := strings.Cut(text, " ")
	db, err := strconv.ParseFloat(value, 64)
	if err != nil {
		t.Fatalf("psnr said %q", said)
	}
	return db
}

// desk is two outside services and the caller that hears of the task.
type desk struct {
	t      *testing.T
	verify *standardwebhooks.Webhook

	mu       sync.Mutex
	judged   int
	asked    []map[string]any
	callback []api.Callback
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Error(err)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch r.URL.Path {
	case "/judge": // a service that is down
		d.judged++
		http.Error(w, "no model today", http.StatusServiceUnavailable)
	case "/desk": // people: they take it, and answer later
		var ask map[string]any
		if err := json.Unmarshal(body, &ask); err != nil {
			d.t.Error(err)
		}
		d.asked = append(d.asked, ask)
		w.WriteHeader(http.StatusAccepted)
	case "/hook":
		var c api.Callback
		if err := d.verify.Verify(body, r.Header); err != nil {
			d.t.Errorf("webhook: %v", err)
		}
		if err := json.Unmarshal(body, &c); err != nil {
			d.t.Error(err)
		}
		d.callback = append(d.callback, c)
	}
}

// TestReviewFlow: the judging service is down, so people at a desk are asked;
// their answers, given at the signed URL, decide whether there is a film. The
// caller hears of frames, verdict and end.
func TestReviewFlow(t *testing.T) {
	t.Parallel()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	for _, verdict := range []string{"pass", "reject"} {
		t.Run(verdict, func(t *testing.T) {
			d := &desk{t: t, verify: hook}
			outside := httptest.NewServer(d)
			defer outside.Close()
			s := serve(t, t.TempDir(), "", hooksAllowed)
			params, err := json.Marshal(map[string]any{
				"review": map[string]any{"url": outside.URL + "/judge"},
				"desk":   map[string]any{"url": outside.URL + "/desk", "body": map[string]any{"queue": "films"}},
			})
			if err != nil {
				t.Fatal(err)
			}
			id := s.submit(api.Submit{Cmd: "video.review", Params: params, Inputs: []media.Ref{s.upload("in", film(t))}, NotifyURL: outside.URL + "/hook"})
			var ask map[string]any
			eventually(t, time.Minute, func() error {
				d.mu.Lock()
				defer d.mu.Unlock()
				if len(d.asked) == 0 {
					return io.EOF
				}
				ask = d.asked[0]
				return nil
			})
			if files, _ := ask["input_files"].([]any); len(files) != 8 || d.judged != 2 {
				t.Errorf("the desk was given %d frames, the service asked %d times", len(files), d.judged)
			}
			if docs, _ := ask["documents"].([]any); len(docs) != 1 {
				t.Errorf("the desk was given %d documents", len(docs))
			}
			url, _ := ask["callback_url"].(string)
			answer := func(url, body string) int {
				t.Helper()
				resp, err := http.Post(url, "application/json", bytes.NewBufferString(body))
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				return resp.StatusCode
			}
			text := `{"success":true,"facts":{"verdict":"` + verdict + `","by":"ann"}}`
			if code := answer(strings.Replace(url, "token=", "token=x", 1), text); code != http.StatusForbidden {
				t.Errorf("a forged answer: %d", code)
			}
			for range 2 { // the second time changes nothing
				if code := answer(url, text); code != http.StatusAccepted {
					t.Errorf("the answer: %d", code)
				}
			}
			v := s.succeeded(id)
			if (len(v.Outputs) == 1) != (verdict == "pass") || !strings.Contains(string(v.Result), `"by":"ann"`) {
				t.Errorf("%s: %d files, result %s", verdict, len(v.Outputs), v.Result)
			}
			if verdict == "pass" {
				if n := probe(t, s.download(v.Outputs[0].Ref), "v:0", "stream=nb_read_frames"); n != "150" {
					t.Errorf("the film has %s frames", n)
				}
			}
			eventually(t, time.Minute, func() error {
				d.mu.Lock()
				defer d.mu.Unlock()
				if len(d.callback) < 3 {
					return io.EOF
				}
				return nil
			})
			d.mu.Lock()
			defer d.mu.Unlock()
			drafts := map[string]api.Callback{}
			for _, c := range d.callback {
				if c.Kind == api.Draft {
					drafts[c.Message] = c
				} else if !c.Success || c.Code != "ok" {
					t.Errorf("the last word: %+v", c)
				}
			}
			if len(d.callback) != 3 || len(drafts) != 2 || len(drafts["init"].Outputs) != 8 || !strings.Contains(string(drafts["reviewing"].Result), verdict) {
				t.Errorf("%d callbacks, drafts %+v", len(d.callback), drafts)
			}
			for _, f := range drafts["init"].Outputs { // a caller may come for them after the end
				s.download(media.Ref{Cloud: f.Cloud, Bucket: f.Bucket, Key: f.Key})
			}
			if h, err := s.History(t.Context(), id); err != nil || !slices.ContainsFunc(h.Notes, func(n task.Note) bool { return n.Kind == "fallback" }) {
				t.Errorf("history %+v, %v", h, err)
			}
		})
	}
}
