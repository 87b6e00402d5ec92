package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// upload stores a file as an object.
func (s *server) upload(bucket, path string) media.Ref {
	s.t.Helper()
	f, err := os.Open(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		s.t.Fatal(err)
	}
	ref := media.Ref{Bucket: bucket, Key: filepath.Base(path)}
	if _, err := s.PutObject(s.t.Context(), ref, f, info.Size(), ""); err != nil {
		s.t.Fatal(err)
	}
	return ref
}

// download fetches an object into a file.
func (s *server) download(ref media.Ref) string {
	s.t.Helper()
	r, _, err := s.GetObject(s.t.Context(), ref)
	if err != nil {
		s.t.Fatalf("%s: %v", ref, err)
	}
	defer func() { _ = r.Close() }()
	f, err := os.Create(filepath.Join(s.t.TempDir(), filepath.Base(ref.Key)))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.Copy(f, r); err != nil {
		s.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		s.t.Fatal(err)
	}
	return f.Name()
}

// submit hands a task over that must be accepted.
func (s *server) submit(rq api.Submit) string {
	s.t.Helper()
	a, err := s.Submit(s.t.Context(), &rq, 0)
	if err != nil {
		s.t.Fatalf("submit %s: %v", rq.Cmd, err)
	}
	return a.TaskID
}

// ended waits for the end of a task.
func (s *server) ended(id string) *api.Task {
	s.t.Helper()
	var last *api.Task
	eventually(s.t, 3*time.Minute, func() (err error) {
		if last, err = s.Task(s.t.Context(), id); err == nil && !last.State.Final() {
			err = fmt.Errorf("task %s is %s: %s", id, last.State, shown(last))
		}
		return err
	})
	return last
}

// succeeded waits for the end of a task and checks that it is a good one.
func (s *server) succeeded(id string) *api.Task {
	s.t.Helper()
	end := s.ended(id)
	if end.State != task.Succeeded {
		s.t.Fatalf("task %s ended %s: %s", id, end.State, shown(end))
	}
	return end
}

// shown is a task in a few words.
func shown(v *api.Task) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", v.Cmd, v.Status)
	if v.Error != nil {
		fmt.Fprintf(&b, " error %+v", *v.Error)
	}
	for _, w := range v.Work {
		fmt.Fprintf(&b, "\n  %s %s attempt %d failures %d losses %d", w.ID[min(37, len(w.ID)):], w.State, w.Attempt, w.Failures, w.Losses)
		if w.Error != nil {
			fmt.Fprintf(&b, " %s %s %s", w.Error.Kind, w.Error.Message, w.Error.Tail)
		}
	}
	return b.String()
}

// workload is a mix of tasks, submitted to whichever server lives.
type workload struct {
	t     *testing.T
	hooks *receiver
	tasks []*wanted
}

type wanted struct {
	api.Submit
	id string // once accepted
}

// newWorkload is noops, an image, sound, and a sliced video, in an order that
// seed mixes. Its inputs are uploaded to s.
func newWorkload(t *testing.T, s *server, hooks *receiver, name string) *workload {
	t.Helper()
	video, still := s.upload("in", film(t)), s.upload("in", picture(t))
	w := &workload{t: t, hooks: hooks}
	add := func(n int, rq api.Submit, out string) {
		rq.MsgID = fmt.Sprintf("%s-%d", name, n)
		rq.NotifyURL = hooks.url + "/" + rq.MsgID
		if out != "" {
			rq.Outputs = []media.Ref{{Bucket: "out", Key: rq.MsgID + "/" + out}}
		}
		w.tasks = append(w.tasks, &wanted{Submit: rq})
	}
	add(0, api.Submit{Cmd: "video.transcode", Inputs: []media.Ref{video}, Params: json.RawMessage(`{"preset":"ultrafast","height":90}`),
		Extra: task.Extra{Slice: "force"}}, "film.mp4")
	add(1, api.Submit{Cmd: "noop"}, "")
	add(2, api.Submit{Cmd: "image.transform", Inputs: []media.Ref{still}, Params: json.RawMessage(`{"width":80,"format":"jpg"}`)}, "picture.jpg")
	add(3, api.Submit{Cmd: "derive.audio", Inputs: []media.Ref{video}}, "sound.m4a")
	add(4, api.Submit{Cmd: "noop"}, "")
	add(5, api.Submit{Cmd: "image.transform", Inputs: []media.Ref{still}, Params: json.RawMessage(`{"width":40,"format":"png"}`)}, "")
	return w
}

// submit submits what is not accepted yet, until that succeeds or the server
// is gone. What was accepted before is submitted again: that must change
// nothing.
func (w *workload) submit(s *server) {
	w.t.Helper()
	for _, one := range w.tasks {
		a, err := s.Submit(w.t.Context(), &one.Submit, 0)
		switch {
		case errs.Is(err, errs.Transient):
			return // the connection broke: nobody knows whether it was taken
		case err != nil:
			w.t.Fatalf("submit %s: %v", one.Cmd, err)
		case one.id != "" && one.id != a.TaskID:
			w.t.Errorf("%s was task %s and is task %s now", one.MsgID, one.id, a.TaskID)
		}
		one.id = a.TaskID
	}
}

// verify checks that everything accepted ended well, exactly once, and was
// told.
func (w *workload) verify(s *server) {
	w.t.Helper()
	for _, one := range w.tasks {
		if one.id == "" {
			w.t.Fatalf("%s was never accepted", one.MsgID)
		}
		end := s.succeeded(one.id)
		db := rows(w.t, s.data)
		if n, err := count(db, `SELECT COUNT(*) FROM tasks WHERE msg_id = ?`, one.MsgID); err != nil || n != 1 {
			w.t.Errorf("%s has %d rows (%v)", one.MsgID, n, err)
		}
		if n := len(end.Outputs); (one.Cmd == "noop") != (n == 0) || n > 1 {
			w.t.Errorf("%s has %d results", one.MsgID, n)
		}
		w.told(one, end)
		for _, o := range end.Outputs {
			if len(one.Outputs) == 1 && (o.Bucket != one.Outputs[0].Bucket || o.Key != one.Outputs[0].Key) {
				w.t.Errorf("%s went to %s", one.MsgID, o.Ref)
			}
			w.probe(s, one, o.Ref)
		}
	}
}

// told waits for the webhook of a task.
func (w *workload) told(one *wanted, end *api.Task) {
	w.t.Helper()
	eventually(w.t, time.Minute, func() error {
		if w.hooks.at("/"+one.MsgID).times == 0 {
			return fmt.Errorf("no webhook for %s", one.MsgID)
		}
		return nil
	})
	var c api.Callback
	if err := json.Unmarshal(w.hooks.at("/"+one.MsgID).body, &c); err != nil {
		w.t.Fatal(err)
	}
	if !c.Success || c.TaskID != one.id || c.Code != "ok" || len(c.Outputs) != len(end.Outputs) {
		w.t.Errorf("webhook of %s says %+v", one.MsgID, c)
	}
	if one.Extra.Slice != "force" {
		return
	}
	if r := reportOf(w.t, c.Result); !r.Sliced || r.Certificate == nil || !r.Certificate.OK {
		w.t.Errorf("%s: report %s", one.MsgID, c.Result)
	}
}

// probe decodes a result.
func (w *workload) probe(s *server, one *wanted, ref media.Ref) {
	w.t.Helper()
	path := s.download(ref)
	stream, want := "v:0", "1"
	switch one.Cmd {
	case "video.transcode":
		want = "150"
	case "derive.audio":
		stream, want = "a:0", ""
	}
	got := probe(w.t, path, stream, "stream=nb_read_frames")
	if n, err := strconv.Atoi(got); err != nil || n == 0 || (want != "" && got != want) {
		w.t.Errorf("%s: %s frames, want %s", one.MsgID, got, want)
	}
	if said := ffmpeg(w.t, "-i", path, "-f", "null", "-"); said != "" {
		w.t.Errorf("%s does not decode well: %s", one.MsgID, said)
	}
}

// probe asks ffprobe for values of a stream, one a line, after decoding it.
func probe(t *testing.T, path, stream, entries string) string {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "ffprobe", "-v", "error", "-select_streams", stream, "-count_frames",
		"-show_entries", entries, "-of", "default=nw=1:nk=1", path)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ffprobe %s: %v", path, err)
	}
	return strings.TrimSpace(string(out))
}
