package exec

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

func TestRun(t *testing.T) {
	var points []string
	b := newBench(t, copyAll, func(c *Config) { c.Hook = func(p string) { points = append(points, p) } })
	small, large := picture(20, 10), movie(500_000)
	j := jobFor(b.put(t, "main", "a.png", small), b.put(t, "far", "b.mp4", large))
	j.Inputs = append(j.Inputs, job.Input{Slot: "plan", Doc: json.RawMessage(`{"x":1}`)})
	j.Inputs[1].Ref.Type = "image/png" // a lie, never looked at
	out, err := b.Run(t.Context(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	var facts map[string]string
	if err := json.Unmarshal(out.Facts, &facts); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{
		"0": `image png "" inplace=false`, "1": `video mp4 "mov" inplace=true`, "params": `{"level":5}`, "doc": `{"x":1}`,
	} {
		if facts[k] != want {
			t.Errorf("%s: %s, want %s", k, facts[k], want)
		}
	}
	for i, want := range [][]byte{small, large} {
		o := out.Outputs[i]
		sum := sha256.Sum256(want)
		if !bytes.Equal(b.get(t, o.Ref), want) || o.Size != int64(len(want)) || o.SHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("output %d: %+v", i, o)
		}
		if o.Cloud != "main" || o.Bucket != "work" || o.Key != fmt.Sprintf("task/event/t1/%d.bin", i) || o.Name != fmt.Sprintf("%d.bin", i) {
			t.Errorf("output %d: %+v", i, o)
		}
	}
	if out.Outputs[0].Mime != "image/png" || out.Outputs[1].Kind != media.Video {
		t.Errorf("%+v", out.Outputs)
	}
	u := out.Usage
	if u.CPUSeconds != 0.5 || u.WallSeconds <= 0 || u.FetchSeconds <= 0 || u.StoreSeconds <= 0 || u.BytesOut != int64(len(small)+len(large)) || u.BytesIn != u.BytesOut {
		t.Errorf("%+v", u)
	}
	if strings.Join(points, ",") != "inputs fetched,outputs stored" {
		t.Error(points)
	}
	if s := b.Stats(); s.Fetched != 500_000 || s.Served < 1_000_000 {
		t.Errorf("read twice, fetched once: %+v", s)
	}
}

func TestURLs(t *testing.T) {
	small, large := picture(20, 10), movie(500_000)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		content := map[string][]byte{"/small": small, "/large": large, "/plain": large, "/huge": large}[r.URL.Path]
		switch {
		case content == nil:
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path == "/plain":
			w.Write(content)
		default:
			w.Header().Set("ETag", `"1"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		}
	}))
	defer s.Close()
	b := newBench(t, copyAll, nil)
	out, err := b.Run(t.Context(), jobFor(media.Ref{URL: s.URL + "/small"}, media.Ref{URL: s.URL + "/large"}, media.Ref{URL: s.URL + "/plain"}), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]byte{small, large, large} {
		if !bytes.Equal(b.get(t, out.Outputs[i].Ref), want) {
			t.Errorf("output %d", i)
		}
	}
	if !strings.Contains(string(out.Facts), `"1":"video mp4 \"mov\" inplace=true"`) || !strings.Contains(string(out.Facts), `"2":"video mp4 \"mov\" inplace=false"`) {
		t.Error(string(out.Facts))
	}
	_, err = b.Run(t.Context(), jobFor(media.Ref{URL: s.URL + "/small"}, media.Ref{URL: s.URL + "/gone?sig=secret"}), nil)
	if !errs.Is(err, errs.NotFound) || errs.FieldOf(err) != "input_files.1" || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v (%q)", err, errs.FieldOf(err))
	}
	_, err = b.Run(t.Context(), jobFor(media.Ref{URL: "http://10.0.0.1/"}), nil)
	if !errs.Is(err, errs.Denied) || errs.FieldOf(err) != "input_files.0" {
		t.Error(err)
	}
	_, err = b.Run(t.Context(), jobFor(media.Ref{URL: "file:///etc/passwd"}), nil)
	if !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != "input_files.0" {
		t.Errorf("%v (%q)", err, errs.FieldOf(err))
	}
	limited := newBench(t, copyAll, func(c *Config) { c.MaxDownload = 100_000 })
	if _, err = limited.Run(t.Context(), jobFor(media.Ref{URL: s.URL + "/plain"}), nil); !errs.Is(err, errs.TooLarge) {
		t.Error(err)
	}
	without := newBench(t, copyAll, func(c *Config) { c.Egress = nil })
	if _, err = without.Run(t.Context(), jobFor(media.Ref{URL: s.URL + "/small"}), nil); !errs.Is(err, errs.Unsupported) {
		t.Error(err)
	}
}

func TestInputsAreChecked(t *testing.T) {
	b := newBench(t, copyAll, func(c *Config) { c.MaxPixels, c.MaxInput = 1000, 400_000 }, media.Image)
	with := func(change func(*job.Job)) job.Job {
		j := jobFor(b.put(t, "main", "ok.png", picture(2, 2)))
		change(&j)
		return j
	}
	ref := func(name string, content []byte) func(*job.Job) {
		r := b.put(t, "main", name, content)
		return func(j *job.Job) { j.Inputs[0].Ref = r }
	}
	for name, c := range map[string]struct {
		change func(*job.Job)
		kind   errs.Kind
		field  string
	}{
		"a video for an image": {ref("v.png", movie(1000)), errs.Invalid, "input_files.0"},
		"a large video":        {ref("w.png", movie(200_000)), errs.Invalid, "input_files.0"},
		"text":                 {ref("t.png", []byte("this is only some text\n")), errs.Invalid, "input_files.0"},
		"a playlist":           {ref("l.png", []byte("#EXTM3U\nhttp://127.0.0.1/x\n")), errs.Unsupported, "input_files.0"},
		"nothing":              {ref("e.png", nil), errs.Invalid, "input_files.0"},
		"too many pixels":      {ref("p.png", picture(100, 11)), errs.TooLarge, "input_files.0"},
		"too many bytes":       {ref("b.png", movie(400_001)), errs.TooLarge, "input_files.0"},
		"no such object":       {func(j *job.Job) { j.Inputs[0].Ref.Key = "gone" }, errs.NotFound, "input_files.0"},
		"no such store":        {func(j *job.Job) { j.Inputs[0].Ref.Cloud = "moon" }, errs.Invalid, "input_files.0"},
		"no such slot":         {func(j *job.Job) { j.Inputs[0].Slot = "mask" }, errs.Internal, ""},
		"an empty slot":        {func(j *job.Job) { j.Inputs = nil }, errs.Invalid, "input_files"},
		"too many":             {func(j *job.Job) { i := j.Inputs[0]; j.Inputs = []job.Input{i, i, i, i} }, errs.Invalid, "input_files.3"},
		"params":               {func(j *job.Job) { j.Params = json.RawMessage(`{"level":10}`) }, errs.Invalid, "params.level"},
		"other version":        {func(j *job.Job) { j.Version = "2" }, errs.Transient, ""},
		"other function":       {func(j *job.Job) { j.Fn = "test.other" }, errs.Invalid, "cmd"},
		"a bad job":            {func(j *job.Job) { j.Trace = "../.." }, errs.Internal, ""},
	} {
		_, err := b.Run(t.Context(), with(c.change), nil)
		if !errs.Is(err, c.kind) || errs.FieldOf(err) != c.field {
			t.Errorf("%s: %v (%v, field %q)", name, err, errs.KindOf(err), errs.FieldOf(err))
		}
		b.empty(t)
	}
	// Large images are read from scratch too: the raster engine has no network.
	big := append(picture(20, 20), make([]byte, 150_000)...)
	if out, err := b.Run(t.Context(), jobFor(b.put(t, "main", "big.png", big)), nil); err != nil || !strings.Contains(string(out.Facts), "inplace=false") || out.Usage.BytesIn != int64(len(big)) {
		t.Errorf("%+v %v", out, err)
	}
}

func TestKindsFollowSlots(t *testing.T) {
	b := newBench(t, copyAll, nil, media.Audio, media.Text)
	for name, c := range map[string]struct {
		content []byte
		facts   *media.Info
		want    string // "" = refused
	}{
		"a container may hold only sound": {movie(1000), nil, `audio mp4 \"mov\"`},
		"facts say it does":               {movie(1000), &media.Info{Kind: media.Audio}, `audio mp4 \"mov\"`},
		"facts say it does not":           {movie(1000), &media.Info{Kind: media.Video}, ""},
		"facts cannot make a picture":     {picture(3, 3), &media.Info{Kind: media.Audio}, ""},
		"subtitles":                       {[]byte("1\n00:00:01,000 --> 00:00:02,000\nGrüße\n"), nil, `text text \"\"`},
		"binary is no text":               {append([]byte("some text"), 0, 1, 2, 3, 0, 1, 2, 0xff), nil, ""},
	} {
		j := jobFor(b.put(t, "main", "x", c.content))
		j.Inputs[0].Facts = c.facts
		out, err := b.Run(t.Context(), j, nil)
		if (c.want == "") != (err != nil) || !strings.Contains(string(out.Facts), c.want) {
			t.Errorf("%s: %s %v", name, out.Facts, err)
		}
	}
}

// Files of our own are not recognised, and lie where tools can read them.
func TestData(t *testing.T) {
	b := newBench(t, func(_ context.Context, call *fn.Call) (*fn.Result, error) {
		in := call.Inputs[0]
		content, err := os.ReadFile(in.Location)
		if err != nil || in.Kind != media.Data || in.Format != "" {
			t.Errorf("%+v: %v", in, err)
		}
		return &fn.Result{Outputs: []fn.Output{write(call, "stats", content)}}, nil
	}, nil, media.Data)
	statistics := []byte{0, 1, 2, 0xff, 'x'}
	out, err := b.Run(t.Context(), jobFor(b.put(t, "main", "x", statistics)), nil)
	if err != nil || string(b.get(t, out.Outputs[0].Ref)) != string(statistics) {
		t.Fatalf("%+v: %v", out, err)
	}
	b.empty(t)
}

func TestOutputsAreChecked(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(call *fn.Call, to string) string {
		path := filepath.Join(call.Dir, "link")
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, body := range map[string]func(call *fn.Call) []fn.Output{
		"outside":             func(c *fn.Call) []fn.Output { return []fn.Output{{Name: "a", Path: secret}} },
		"up and out":          func(c *fn.Call) []fn.Output { return []fn.Output{{Name: "a", Path: c.Dir + "/../in/0"}} },
		"a link out":          func(c *fn.Call) []fn.Output { return []fn.Output{{Name: "a", Path: link(c, secret)}} },
		"a relative link out": func(c *fn.Call) []fn.Output { return []fn.Output{{Name: "a", Path: link(c, "../in/0")}} },
		"through a linked dir": func(c *fn.Call) []fn.Output {
			return []fn.Output{{Name: "a", Path: link(c, filepath.Dir(secret)) + "/secret"}}
		},
		"a folder": func(c *fn.Call) []fn.Output { return []fn.Output{{Name: "a", Path: c.Dir}} },
		"a device": func(c *fn.Call) []fn.Output { return []fn.Output{{Name: "a", Path: "/dev/zero"}} },
		"missing":  func(c *fn.Call) []fn.Output { return []fn.Output{{Name: "a", Path: c.Dir + "/gone"}} },
		"a pipe": func(c *fn.Call) []fn.Output {
			if err := syscall.Mkfifo(c.Dir+"/p", 0o600); err != nil {
				t.Fatal(err)
			}
			return []fn.Output{{Name: "a", Path: c.Dir + "/p"}}
		},
		"a path for a name": func(c *fn.Call) []fn.Output { o := write(c, "a", nil); o.Name = "../a"; return []fn.Output{o} },
		"a hidden folder":   func(c *fn.Call) []fn.Output { o := write(c, "a", nil); o.Name = "x/.y/a"; return []fn.Output{o} },
		"an empty folder":   func(c *fn.Call) []fn.Output { o := write(c, "a", nil); o.Name = "x//a"; return []fn.Output{o} },
		"from the root":     func(c *fn.Call) []fn.Output { o := write(c, "a", nil); o.Name = "/a"; return []fn.Output{o} },
		"too deep":          func(c *fn.Call) []fn.Output { o := write(c, "a", nil); o.Name = "1/2/3/4/5/a"; return []fn.Output{o} },
		"two of one name":   func(c *fn.Call) []fn.Output { o := write(c, "a", nil); return []fn.Output{o, o} },
	} {
		b := newBench(t, func(_ context.Context, call *fn.Call) (*fn.Result, error) {
			return &fn.Result{Outputs: append([]fn.Output{write(call, "fine", []byte("x"))}, body(call)...)}, nil
		}, nil)
		if _, err := b.Run(t.Context(), jobFor(b.put(t, "main", "ok.png", picture(2, 2))), nil); !errs.Is(err, errs.Internal) {
			t.Errorf("%s: %v", name, err)
		}
		s, _ := b.stores.Get("main")
		if items, err := s.List(t.Context(), "work", "", "", 10); err != nil || len(items) > 0 {
			t.Errorf("%s: stored %v %v", name, items, err)
		}
	}
}

// Files that refer to each other keep their folders.
func TestOutputsInFolders(t *testing.T) {
	b := newBench(t, func(_ context.Context, call *fn.Call) (*fn.Result, error) {
		one, two := write(call, "a", []byte("one")), write(call, "b", []byte("two"))
		one.Name, two.Name = "video/720p.m3u8", "video/720p/00001.m4s"
		return &fn.Result{Outputs: []fn.Output{one, two}}, nil
	}, nil)
	j := jobFor(b.put(t, "main", "ok.png", picture(2, 2)))
	out, err := b.Run(t.Context(), j, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"video/720p.m3u8", "video/720p/00001.m4s"} {
		if o := out.Outputs[i]; o.Name != want || o.Key != j.Out.Prefix+"/"+want || string(b.get(t, o.Ref)) != []string{"one", "two"}[i] {
			t.Errorf("%+v", o)
		}
	}
	p := job.Job{Trace: "t2", Fn: job.Publish, Version: "1", Inputs: []job.Input{{Slot: "files", Ref: out.Outputs[0].Ref, Name: out.Outputs[0].Name},
		{Slot: "files", Ref: out.Outputs[1].Ref, Name: out.Outputs[1].Name}}}
	p.Out.Final = []media.Ref{{Bucket: "results", Key: "film/video/720p.m3u8"}, {Bucket: "results", Key: "elsewhere.m4s"}}
	if out, err = b.Run(t.Context(), p, nil); err != nil || out.Outputs[0].Name != "video/720p.m3u8" || out.Outputs[1].Name != "elsewhere.m4s" {
		t.Errorf("%+v: %v", out.Outputs, err)
	}
}

func TestOutputLimits(t *testing.T) {
	facts := json.RawMessage(`{}`)
	b := newBench(t, func(_ context.Context, call *fn.Call) (*fn.Result, error) {
		return &fn.Result{Facts: facts, Outputs: []fn.Output{write(call, "a", make([]byte, 60)), write(call, "b", make([]byte, 60))}}, nil
	}, func(c *Config) { c.MaxOutput, c.MaxFacts = 120, 10 })
	j := jobFor(b.put(t, "main", "ok.png", picture(2, 2)))
	if out, err := b.Run(t.Context(), j, nil); err != nil || out.Outputs[0].Mime != "application/octet-stream" {
		t.Error(err)
	}
	facts = json.RawMessage(`[1]`)
	if _, err := b.Run(t.Context(), j, nil); !errs.Is(err, errs.Internal) {
		t.Error(err)
	}
	facts = json.RawMessage(`{"a":12345}`)
	if _, err := b.Run(t.Context(), j, nil); !errs.Is(err, errs.TooLarge) {
		t.Error(err)
	}
	facts, b.cfg.MaxOutput = nil, 119
	if _, err := b.Run(t.Context(), j, nil); !errs.Is(err, errs.TooLarge) {
		t.Error(err)
	}
}

func TestEnds(t *testing.T) {
	var body run
	b := newBench(t, func(ctx context.Context, call *fn.Call) (*fn.Result, error) { return body(ctx, call) }, nil)
	j := jobFor(b.put(t, "main", "ok.png", picture(2, 2)), b.put(t, "main", "v.mp4", movie(300_000)))
	killed := func(ctx context.Context, call *fn.Call) (*fn.Result, error) {
		<-ctx.Done()
		return nil, errs.New(errs.Invalid, "ffmpeg", "moov atom not found") // what a killed tool says is not to be believed
	}
	t.Run("panic", func(t *testing.T) {
		body = func(ctx context.Context, call *fn.Call) (*fn.Result, error) { panic("boom") }
		if _, err := b.Run(t.Context(), j, nil); !errs.Is(err, errs.Internal) || !strings.Contains(err.Error(), "boom") {
			t.Error(err)
		}
		b.empty(t)
	})
	t.Run("no result", func(t *testing.T) {
		body = func(ctx context.Context, call *fn.Call) (*fn.Result, error) { return nil, nil }
		if _, err := b.Run(t.Context(), j, nil); !errs.Is(err, errs.Internal) {
			t.Error(err)
		}
	})
	t.Run("the function's own error", func(t *testing.T) {
		body = func(ctx context.Context, call *fn.Call) (*fn.Result, error) {
			return nil, &errs.Error{Kind: errs.Unsupported, Op: "ffmpeg", Msg: "codec", Tail: "last lines"}
		}
		if _, err := b.Run(t.Context(), j, nil); !errs.Is(err, errs.Unsupported) || errs.TailOf(err) != "last lines" {
			t.Error(err)
		}
	})
	t.Run("deadline", func(t *testing.T) {
		body = killed
		late := j
		late.Deadline = time.Now().Add(50 * time.Millisecond)
		if _, err := b.Run(t.Context(), late, nil); !errs.Is(err, errs.Timeout) || errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		b.empty(t)
	})
	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		body = func(ctx context.Context, call *fn.Call) (*fn.Result, error) { cancel(); return killed(ctx, call) }
		if _, err := b.Run(ctx, j, nil); !errs.Is(err, errs.Canceled) {
			t.Error(err)
		}
		b.empty(t)
	})
	t.Run("too late", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		body = func(ctx context.Context, call *fn.Call) (*fn.Result, error) { cancel(); return &fn.Result{}, nil }
		if _, err := b.Run(ctx, j, nil); !errs.Is(err, errs.Canceled) {
			t.Error(err)
		}
	})
	t.Run("grants end with the job", func(t *testing.T) {
		var url string
		body = func(ctx context.Context, call *fn.Call) (*fn.Result, error) {
			url = call.Inputs[1].Location
			return &fn.Result{}, nil
		}
		if _, err := b.Run(t.Context(), j, nil); err != nil {
			t.Fatal(err)
		}
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Error(resp.Status)
		}
	})
	t.Run("one trace twice at a time", func(t *testing.T) {
		body = func(ctx context.Context, call *fn.Call) (*fn.Result, error) {
			body = func(ctx context.Context, call *fn.Call) (*fn.Result, error) { return &fn.Result{}, nil }
			if _, err := b.Run(ctx, j, nil); !errs.Is(err, errs.Conflict) {
				t.Error(err)
			}
			return &fn.Result{}, nil
		}
		if _, err := b.Run(t.Context(), j, nil); err != nil {
			t.Error(err)
		}
	})
	t.Run("progress", func(t *testing.T) {
		body = func(ctx context.Context, call *fn.Call) (*fn.Result, error) {
			call.Report(fn.Progress{Done: 0.5})
			return &fn.Result{}, nil
		}
		var got []fn.Progress
		if _, err := b.Run(t.Context(), j, func(p fn.Progress) { got = append(got, p) }); err != nil || len(got) != 1 || got[0].Done != 0.5 {
			t.Error(got, err)
		}
	})
}

// TestJobsShareWhatTheyRead: jobs on one source cost the store one transfer.
func TestJobsShareWhatTheyRead(t *testing.T) {
	b := newBench(t, copyAll, nil)
	content := movie(1_000_000)
	source := b.put(t, "main", "v.mp4", content)
	var jobs sync.WaitGroup
	for i := range 6 {
		jobs.Go(func() {
			j := jobFor(source)
			j.Trace = fmt.Sprintf("t%d", i)
			j.Out.Prefix = "task/event/" + j.Trace
			if out, err := b.Run(t.Context(), j, nil); err != nil || out.Outputs[0].Size != 1_000_000 {
				t.Error(err)
			}
		})
	}
	jobs.Wait()
	if s := b.Stats(); s.Fetched != 1_000_000 {
		t.Errorf("%+v", s)
	}
	b.put(t, "main", "v.mp4", content[:999_999]) // another version is not taken from the cache
	if out, err := b.Run(t.Context(), jobFor(source), nil); err != nil || out.Usage.BytesIn != 999_999 {
		t.Errorf("%+v %v", out, err)
	}
}

// TestInputBreaksOff: what a tool says about a file whose source broke down is
// not the reason.
func TestInputBreaksOff(t *testing.T) {
	content, fail := movie(500_000), atomic.Bool{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fail.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	defer s.Close()
	b := newBench(t, func(ctx context.Context, call *fn.Call) (*fn.Result, error) {
		fail.Store(true)
		if _, err := read(ctx, &call.Inputs[0]); err == nil {
			t.Error("read to the end")
		}
		return nil, &errs.Error{Kind: errs.Invalid, Op: "ffmpeg", Msg: "truncated", Tail: "tail"}
	}, nil)
	_, err := b.Run(t.Context(), jobFor(media.Ref{URL: s.URL}), nil)
	if !errs.Is(err, errs.Transient) || !strings.Contains(err.Error(), "500") || errs.TailOf(err) != "tail" {
		t.Error(err)
	}
}
