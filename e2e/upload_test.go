package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/api/client"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/testparts"
)

// command is one run of the command line against a server.
func (s *server) command(ctx context.Context, at string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "mediafn"), args...)
	cmd.Env = append(os.Environ(), "MEDIAFN_SERVER="+at)
	return cmd
}

// same compares two files.
func same(t *testing.T, got, want string) {
	t.Helper()
	a, err := os.ReadFile(got)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(want)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("the object has %d bytes and is another than the file, which has %d", len(a), len(b))
	}
}

// TestSubmitOverABrokenLine: the command line submits a file, whose connection
// breaks again and again; slices are done before it is there, and the result is
// that of a film that was there.
func TestSubmitOverABrokenLine(t *testing.T) {
	t.Parallel()
	path := noisy(t)
	s := serve(t, t.TempDir(), "")
	line := testparts.NewFaultProxy(t, strings.TrimPrefix(s.url, "http://"))
	// The first request goes through, then some break in the middle, and an answer is lost.
	patches := 0
	line.Break(testparts.Fault{Only: func(r *http.Request) bool {
		if r.Method == http.MethodPatch {
			patches++
		}
		return r.Method == http.MethodPatch && patches > 1
	}, Times: 4, CutBody: 300 << 10})
	var said, failed bytes.Buffer
	cmd := s.command(t.Context(), "http://"+line.Endpoint, "submit", "video.transcode", "-i", path, "-p", "height=90", "-p", "preset=ultrafast",
		"--extra", "slice=force", "--msg-id", "broken line", "--watch", "--json")
	cmd.Stdout, cmd.Stderr = &said, &failed
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, &failed)
	}
	if line.Hits() != 4 {
		t.Errorf("the line broke %d times", line.Hits())
	}
	var callback api.Callback
	if err := json.Unmarshal(said.Bytes(), &callback); err != nil || !callback.Success {
		t.Fatalf("%v: %s", err, &said)
	}
	if !strings.Contains(failed.String(), "upload noisy.mp4: succeeded") {
		t.Errorf("it does not show the upload: %s", &failed)
	}
	end, err := s.Task(t.Context(), callback.TaskID)
	if err != nil {
		t.Fatal(err)
	}
	if got := arrivalOf(t, end); !got.Early {
		t.Errorf("arrival: %+v", got)
	}
	nothingArrives(t, s)
	rq := inSlices()
	rq.Inputs = []media.Ref{s.upload("in", path)}
	whole := s.succeeded(s.submit(rq))
	if a, b := ffmpegHash(t, s.download(end.Outputs[0].Ref)), ffmpegHash(t, s.download(whole.Outputs[0].Ref)); a != b {
		t.Errorf("the result is another than that of a film that was there: %s %s", a, b)
	}
	quiet(t, s)
	s.stop()
}

// TestUploadIsGoneOnWith: a command that is killed half way leaves an upload that
// another one goes on with, and that a task may name all the while.
func TestUploadIsGoneOnWith(t *testing.T) {
	t.Parallel()
	path := tiny(t)
	s := serve(t, t.TempDir(), "")
	line := testparts.NewFaultProxy(t, strings.TrimPrefix(s.url, "http://"))
	hangs := func(r *http.Request) bool { return r.Method == http.MethodPatch }
	line.Break(testparts.Fault{Only: hangs, Delay: time.Hour})
	cmd := s.command(t.Context(), "http://"+line.Endpoint, "upload", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var id string
	if _, err := fmt.Fscanln(out, &id); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, func() error {
		if line.Hits() == 0 {
			return fmt.Errorf("nothing is sent")
		}
		return nil
	})
	_ = cmd.Process.Kill()
	_, _ = io.Copy(io.Discard, out)
	_ = cmd.Wait()
	line.Heal()

	submit := s.command(t.Context(), s.url, "submit", "inspect.probe", "-i", "upload:"+id)
	submitted, err := submit.Output()
	if err != nil {
		t.Fatal(err)
	}
	v := s.planned(strings.TrimSpace(string(submitted)))
	if v.Work[0].State != task.Waiting {
		t.Errorf("before its bytes are there: %s", shown(v))
	}
	other := filepath.Join(t.TempDir(), "other.mp4")
	if err := os.WriteFile(other, []byte("another film"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.command(t.Context(), s.url, "upload", other, "--resume", id).Run(); err == nil {
		t.Error("another file goes on with it")
	}
	done, err := s.command(t.Context(), s.url, "upload", path, "--resume", id, "--json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var u api.Upload
	if err := json.Unmarshal(done, &u); err != nil || u.ID != id || u.Bucket != "inputs" {
		t.Errorf("%v: %s", err, done)
	}
	s.succeeded(v.TaskID)
	same(t, s.download(u.Ref), path)
	quiet(t, s)
	s.stop()
}

// pageTold is what testdata/upload.html tells.
type pageTold struct {
	Offsets  []int64 `json:"offsets"`
	Location string  `json:"location"`
	Task     string  `json:"task"`
	Waited   string  `json:"waited"`
	Result   bool    `json:"result"`
	Range    string  `json:"range"`
	Opaque   string  `json:"opaque"`
	Fault    string  `json:"fault"`
}

// site serves the page and what it needs, and has what it tells.
func site(t *testing.T, film string) (*httptest.Server, <-chan pageTold) {
	t.Helper()
	told, script := make(chan pageTold, 1), testparts.Script(t, "..", "tus-js-client")
	mux := http.NewServeMux()
	for path, name := range map[string]string{"/upload.html": "testdata/upload.html", "/tus.js": script, "/film.mp4": film} {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, name) })
	}
	mux.HandleFunc("POST /seen", func(_ http.ResponseWriter, r *http.Request) {
		var p pageTold
		if err := json.NewDecoder(r.Body).Decode(&p); err != nil {
			p.Fault = err.Error()
		}
		select {
		case told <- p:
		default:
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s, told
}

// TestPagesUpload: a page of an origin that is listed uploads a film in pieces in
// a real browser, and has it worked on; the same page of another origin can do
// nothing.
func TestPagesUpload(t *testing.T) {
	t.Parallel()
	film := tiny(t)
	ours, said := site(t, film)
	theirs, refused := site(t, film)
	s := serve(t, t.TempDir(), "", "--cors-origins", ours.URL)
	open := func(page *httptest.Server, told <-chan pageTold) pageTold {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		ended := testparts.Browser(ctx, t, page.URL+"/upload.html?api="+url.QueryEscape(s.url))
		select {
		case p := <-told:
			cancel()
			<-ended
			return p
		case text := <-ended:
			t.Fatalf("the browser told nothing: %s", text)
		}
		return pageTold{}
	}
	if p := open(theirs, refused); p.Fault == "" || p.Location != "" || len(p.Offsets) > 0 || p.Opaque != "opaque" {
		t.Errorf("a page of another origin: %+v", p)
	}
	if all, err := s.Tasks(t.Context(), client.Filter{}); err != nil || len(all.Tasks) > 0 {
		t.Errorf("a page of another origin has tasks begun: %+v %v", all, err)
	}
	p := open(ours, said)
	info, err := os.Stat(film)
	if err != nil {
		t.Fatal(err)
	}
	if p.Fault != "" || p.Task == "" || p.Location != "/v1/tasks/"+p.Task || p.Waited == "" || !p.Result || p.Range != fmt.Sprintf("bytes 0-9/%d", info.Size()) {
		t.Fatalf("%+v", p)
	}
	if len(p.Offsets) < 2 || !slices.IsSorted(p.Offsets) || p.Offsets[len(p.Offsets)-1] != info.Size() {
		t.Errorf("pieces: %v of %d", p.Offsets, info.Size())
	}
	s.succeeded(p.Task)
	same(t, s.download(media.Ref{Bucket: "inputs", Key: "from-a-page.mp4"}), film)
	quiet(t, s)
	s.stop()
}
