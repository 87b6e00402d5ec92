package client

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
)

func read(text string) (all []Event, err error) {
	s := &stream{r: bufio.NewReaderSize(strings.NewReader(text), 16)}
	for {
		e, err := s.next()
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
}

func TestStream(t *testing.T) {
	text := ": a comment\n\nevent: state\ndata: {\"task_id\":\"1\",\ndata: \"state\":\"running\"}\n\n" +
		"event: novelty\ndata: not json\n\n" +
		"event:progress\r\ndata:{\"component\":\"Run\",\"progress\":{\"done\":0.5}}\r\n\r\n" +
		"id: 7\nevent: end\ndata: {\"task_id\":\"1\",\"state\":\"succeeded\"}\n\nevent: half"
	got, err := read(text)
	if !errors.Is(err, io.EOF) {
		t.Errorf("ends with %v", err)
	}
	var types []string
	for _, e := range got {
		types = append(types, e.Type)
	}
	if diff := cmp.Diff([]string{"state", "progress", "end"}, types); diff != "" {
		t.Fatal(diff)
	}
	if got[0].Task.State != task.Running || got[1].Change.Progress.Done != 0.5 || got[2].Task.State != task.Succeeded {
		t.Errorf("%+v", got)
	}
	if _, err := read("event: end\ndata: {\n\n"); !errs.Is(err, errs.Transient) {
		t.Errorf("a broken event is %v", err)
	}
}

func FuzzStream(f *testing.F) {
	f.Add("event: end\ndata: {}\n\n")
	f.Add("data:\n\nevent: work\ndata: {\"state\":1}\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := read(text)
		if err == nil {
			t.Fatal("a stream without an end")
		}
		for _, e := range all {
			if (e.Task == nil) == (e.Change == nil) {
				t.Errorf("%q is neither or both", e.Type)
			}
		}
	})
}

func TestKindsOfStatus(t *testing.T) {
	for k := errs.Internal; k <= errs.Canceled; k++ {
		if got := kindOf(api.Status(k)); got != k {
			t.Errorf("%v becomes %v", k, got)
		}
	}
	for status, want := range map[int]errs.Kind{401: errs.Denied, 502: errs.Transient, 418: errs.Invalid, 505: errs.Internal} {
		if got := kindOf(status); got != want {
			t.Errorf("%d is %v", status, got)
		}
	}
}

func TestProblem(t *testing.T) {
	for _, kind := range []errs.Kind{errs.Invalid, errs.Conflict, errs.Busy, errs.TooLarge, errs.Transient} {
		p := api.ProblemOf(&errs.Error{Kind: kind, Op: "submit", Field: "params.crf", Msg: "must be a number"}, "m")
		err := problem(reply(p.Status, `{"error_code":"`+p.ErrorCode+`","detail":"`+p.Detail+`","field":"params.crf"}`))
		if errs.KindOf(err) != kind || errs.FieldOf(err) != "params.crf" || strings.Count(err.Error(), "params.crf") != 1 {
			t.Errorf("%v: %v", kind, err)
		}
	}
	if err := problem(reply(502, "<html>")); !errs.Is(err, errs.Transient) {
		t.Errorf("a proxy's answer is %v", err)
	}
}

// TestProblemNamesNoHost: a caller does not read where the database is.
func TestProblemNamesNoHost(t *testing.T) {
	cause := errors.New("failed to connect to `user=mediafn database=prod`: 10.0.0.7:5432: connection refused")
	for k := errs.Internal; k <= errs.Canceled; k++ {
		if k.Retryable() && k != errs.Busy || k == errs.Denied || k == errs.Canceled {
			p := api.ProblemOf(errs.As(k, "state.submit", cause), "m")
			if strings.Contains(p.Detail+p.ErrorMsg, "10.0.0.7") || strings.Contains(p.Detail, "mediafn") || p.Detail == "" {
				t.Errorf("%v: %q", k, p.Detail)
			}
		}
	}
}

func reply(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: io.NopCloser(strings.NewReader(body))}
}

func TestNewRefuses(t *testing.T) {
	for _, base := range []string{"", "127.0.0.1:8080", "ftp://x", "http://", "http://x?a=b", "http://x#y"} {
		if _, err := New(base, "", nil); errs.FieldOf(err) != "server" {
			t.Errorf("%q: %v", base, err)
		}
	}
	if _, err := New("http://x", "a\nb", nil); errs.FieldOf(err) != "key" {
		t.Errorf("key: %v", err)
	}
}
