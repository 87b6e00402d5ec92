package service

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/fn/fntest"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/exec/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// outside is a service on this machine and a client that may call it.
func outside(t *testing.T, h http.HandlerFunc) (fn.Function, string) {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	client, err := egress.New(egress.Config{Allow: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return Call(client), s.URL
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_ = json.NewEncoder(w).Encode(map[string]any{"got": json.RawMessage(body), "key": r.Header.Get("X-Key")})
}

func TestSuite(t *testing.T) {
	f, url := outside(t, echo)
	file := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(file, []byte("a"), 0o600); err != nil {
		t.Fatal(err)
	}
	fntest.Run(t, fntest.Suite{
		Function: f, SkipHostile: "files are handed over by place and never read",
		Open: func(_ testing.TB, slot, path string) (fn.Input, error) {
			return fn.Input{Slot: slot, Kind: media.Text, Format: "txt", Ref: media.Ref{Cloud: "c", Bucket: "b", Key: path}, Size: 1}, nil
		},
		Cases: []fntest.Case{
			{Name: "plain", Params: `{"url":"` + url + `","headers":[{"name":"x-key","value":"k"}],"body":{"big":9007199254740993}}`,
				Docs: map[string]string{"documents": `{"n":1}`}, Inputs: []fntest.File{{Slot: "files", Path: file}},
				Want: func(t *testing.T, r *fn.Result) {
					for _, want := range []string{`"big":9007199254740993`, `"trace_id":"fntest"`, `"documents":[{"n":1}]`, `"bucket":"b"`, `"slot":"files"`, `"type":"text"`, `"key":"k"`} {
						if !strings.Contains(string(r.Facts), want) {
							t.Errorf("%s lacks %s", r.Facts, want)
						}
					}
					if strings.Contains(string(r.Facts), "callback_url") || r.Pending {
						t.Errorf("a synchronous call: %s", r.Facts)
					}
				}},
		},
	})
}

func TestAnswers(t *testing.T) {
	f, url := outside(t, func(w http.ResponseWriter, r *http.Request) {
		code, body, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch code {
		case "204":
			w.WriteHeader(204)
			return
		case "302":
			http.Redirect(w, r, "/200/{}", http.StatusFound)
			return
		case "long":
			_, _ = w.Write([]byte(`{"a":"` + strings.Repeat("x", maxAnswer) + `"}`))
			return
		}
		status := map[string]int{"200": 200, "400": 400, "401": 401, "403": 403, "404": 404, "408": 408, "429": 429, "500": 500, "503": 503}[code]
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	for path, c := range map[string]struct {
		kind  errs.Kind
		facts string
	}{
		`/200/{"a":1}`: {facts: `{"a":1}`}, "/204": {facts: "{}"}, "/200/": {facts: "{}"},
		"/200/[1]": {kind: errs.Invalid}, "/200/{": {kind: errs.Invalid}, "/long": {kind: errs.TooLarge},
		"/302": {kind: errs.Invalid}, "/400/no": {kind: errs.Invalid}, "/404/no": {kind: errs.Invalid}, "/401/no": {kind: errs.Denied}, "/403/no": {kind: errs.Denied},
		"/408/no": {kind: errs.Transient}, "/500/no": {kind: errs.Transient}, "/503/no": {kind: errs.Transient}, "/429/no": {kind: errs.Busy},
	} {
		params, err := json.Marshal(map[string]string{"url": url + path})
		if err != nil {
			t.Fatal(err)
		}
		for _, callback := range []string{"", "http://api/v1/callbacks/t?token=x"} {
			res, err := f.Run(t.Context(), &fn.Call{Trace: "t", Params: params, Callback: callback})
			refused := c.kind != 0 && (callback == "" || path == "/long" || !strings.HasPrefix(path, "/200"))
			switch {
			case refused && (!errs.Is(err, c.kind) || strings.HasSuffix(path, "/no") && errs.TailOf(err) != "no"):
				t.Errorf("%s, callback %q: %v (tail %q), want %s", path, callback, err, errs.TailOf(err), c.kind)
			case refused:
			case err != nil:
				t.Errorf("%s, callback %q: %v", path, callback, err)
			case callback != "" && (!res.Pending || res.Facts != nil):
				t.Errorf("%s: asked to call back, but %+v", path, res)
			case callback == "" && (res.Pending || string(res.Facts) != c.facts):
				t.Errorf("%s: %+v, want %s", path, res, c.facts)
			}
		}
	}
}

func TestCallback(t *testing.T) {
	var got map[string]any
	f, url := outside(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Idempotency-Key") != "trace-1" || r.Header.Get("Content-Type") != "application/json" || r.Method != http.MethodPost {
			t.Errorf("%s %v", r.Method, r.Header)
		}
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusAccepted)
	})
	params, err := f.Check(json.RawMessage(`{"url":"`+url+`","body":{"a":{"b":[1]}}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := f.Run(t.Context(), &fn.Call{
		Trace: "trace-1", Params: params, Callback: "http://api/v1/callbacks/trace-1?token=x",
		Place:  media.Ref{Cloud: "main", Bucket: "segments", Key: "task/Review/trace-1/"},
		Inputs: []fn.Input{{Slot: "files", Kind: media.Image, Format: "jpeg", Size: 7, Ref: media.Ref{URL: "http://x/a.jpg"}}},
	})
	if err != nil || !res.Pending {
		t.Fatalf("%+v, %v", res, err)
	}
	want := map[string]any{
		"trace_id": "trace-1", "callback_url": "http://api/v1/callbacks/trace-1?token=x", "params": map[string]any{"a": map[string]any{"b": []any{1.0}}},
		"input_files":  []any{map[string]any{"slot": "files", "type": "image", "format": "jpeg", "file_size": 7.0, "url": "http://x/a.jpg"}},
		"output_place": map[string]any{"cloud": "main", "bucket": "segments", "key": "task/Review/trace-1/"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the service was sent (-want +got):\n%s", diff)
	}
}

func TestRefused(t *testing.T) {
	f, _ := outside(t, echo)
	for params, field := range map[string]string{
		`{}`:                     "params.url",
		`{"url":"ftp://x/"}`:     "params.url",
		`{"url":"http://"}`:      "params.url",
		`{"url":"http://a b/c"}`: "params.url",
		`{"url":"http://x/","headers":[{"name":"content-type","value":"a"}]}`:     "params.headers",
		`{"url":"http://x/","body":{"a":"` + strings.Repeat("x", maxBody) + `"}}`: "params.body",
		`{"url":"http://x/","headers":[{"name":"a b","value":"a"}]}`:              "params.headers[0].name",
		`{"url":"http://x/","headers":[{"name":"a","value":"a\r\nb: c"}]}`:        "params.headers[0].value",
	} {
		if _, err := f.Check(json.RawMessage(params), nil); !errs.Is(err, errs.Invalid) || errs.FieldOf(err) != field {
			t.Errorf("%.80s: %v names %q, want %q", params, err, errs.FieldOf(err), field)
		}
	}
	// The rules of fetching hold: only what is allowed, and no secret in an error.
	strict, err := egress.New(egress.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer strict.Close()
	_, err = Call(strict).Run(t.Context(), &fn.Call{Trace: "t", Params: json.RawMessage(`{"url":"http://127.0.0.1:1/x?sig=secret","headers":[{"name":"a","value":"secret"}]}`)})
	if !errs.Is(err, errs.Denied) || strings.Contains(err.Error(), "secret") {
		t.Errorf("a private address: %v", err)
	}
	if _, err := Call(nil).Run(context.Background(), &fn.Call{}); !errs.Is(err, errs.Unsupported) {
		t.Errorf("without a client: %v", err)
	}
}
