package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/api"
)

// TestRefusals: what is wrong with a request is said before anything is
// queued, and names the field.
func TestRefusals(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	const in = `"input_files":[{"bucket":"in","key":"a.mp4"}]`
	for _, c := range []struct {
		name, body, field string
		status            int
	}{
		{"not JSON", `{"cmd":`, "", 400},
		{"a list", `[]`, "", 400},
		{"text behind", `{"cmd":"noop"} more`, "", 400},
		{"unknown field", `{"cmd":"noop","colour":1}`, "colour", 400},
		{"unknown field of extra", `{"cmd":"noop","extra":{"slices":"force"}}`, "slices", 400},
		{"unknown field of an input", `{"cmd":"noop","input_files":[{"uri":"x"}]}`, "uri", 400},
		{"wrong type", `{"cmd":7}`, "cmd", 400},
		{"wrong type of priority", `{"cmd":"noop","priority":"high"}`, "priority", 400},
		{"priority out of range", `{"cmd":"noop","priority":10}`, "priority", 400},
		{"no cmd", `{}`, "cmd", 400},
		{"unknown cmd", `{"cmd":"video.magic"}`, "cmd", 400},
		{"hidden cmd", `{"cmd":"assemble.merge"}`, "cmd", 400},
		{"param out of range", `{"cmd":"video.transcode",` + in + `,"params":{"crf":99}}`, "params.crf", 400},
		{"param not in the list", `{"cmd":"video.transcode",` + in + `,"params":{"preset":"warp"}}`, "params.preset", 400},
		{"param of the wrong type", `{"cmd":"video.transcode",` + in + `,"params":{"width":"wide"}}`, "params.width", 400},
		{"unknown param", `{"cmd":"video.transcode",` + in + `,"params":{"widht":100}}`, "params.widht", 400},
		{"param of nothing", `{"cmd":"noop","params":{"x":1}}`, "params.x", 400},
		{"params no object", `{"cmd":"noop","params":[1]}`, "params", 400},
		{"params that do not fit", `{"cmd":"video.transcode",` + in + `,"params":{"start":5,"end":2}}`, "params.end", 400},
		{"missing input", `{"cmd":"video.transcode"}`, "input_files", 400},
		{"too many inputs", `{"cmd":"noop",` + in + `}`, "input_files", 400},
		{"input of the wrong kind", `{"cmd":"video.transcode","input_files":[{"bucket":"in","key":"a","type":"text"}]}`, "input_files.0.type", 400},
		{"empty input", `{"cmd":"video.transcode","input_files":[{}]}`, "input_files.0", 400},
		{"input without key", `{"cmd":"video.transcode","input_files":[{"bucket":"in"}]}`, "input_files.0.key", 400},
		{"input that climbs", `{"cmd":"video.transcode","input_files":[{"bucket":"in","key":"../../etc/passwd"}]}`, "input_files.0.key", 400},
		{"url and bucket", `{"cmd":"video.transcode","input_files":[{"url":"http://example.com/a.mp4","bucket":"in","key":"a.mp4"}]}`, "input_files.0", 400},
		{"file url", `{"cmd":"video.transcode","input_files":[{"url":"file:///etc/passwd"}]}`, "input_files.0.url", 400},
		{"unknown cloud", `{"cmd":"video.transcode","input_files":[{"cloud":"moon","bucket":"in","key":"a.mp4"}]}`, "input_files.0.cloud", 400},
		{"the platform's bucket", `{"cmd":"video.transcode","input_files":[{"bucket":"segments","key":"a.mp4"}]}`, "input_files.0.bucket", 403},
		{"output in the platform's bucket", `{"cmd":"video.transcode",` + in + `,"output_files":[{"bucket":"results","key":"a.mp4"}]}`, "output_files.0.bucket", 403},
		{"output to a url", `{"cmd":"video.transcode",` + in + `,"output_files":[{"url":"http://example.com/a"}]}`, "output_files.0.url", 400},
		{"bad slicing", `{"cmd":"video.transcode",` + in + `,"extra":{"slice":"always"}}`, "extra.slice", 400},
		{"bad notify_url", `{"cmd":"noop","notify_url":"ftp://example.com"}`, "notify_url", 400},
		{"long msg_id", `{"cmd":"noop","msg_id":"` + strings.Repeat("m", 129) + `"}`, "msg_id", 400},
		{"too long", `{"cmd":"noop","msg_id":"` + strings.Repeat("m", 2<<20) + `"}`, "", 413},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, err := http.Post(s.url+"/v1/tasks", "application/json", strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			var p api.Problem
			if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.status || p.Status != c.status || p.Success || p.ErrorCode == "" || p.ErrorMsg == "" {
				t.Errorf("%s, want %d: %+v", resp.Status, c.status, p)
			}
			if p.Field != c.field && !strings.HasSuffix(p.Field, "."+c.field) {
				t.Errorf("blames %q, want %q: %s", p.Field, c.field, p.Detail)
			}
		})
	}
	if n, err := count(rows(t, s.data), `SELECT COUNT(*) FROM tasks`); err != nil || n != 0 {
		t.Errorf("%d tasks were stored (%v)", n, err)
	}
	s.stop()
}

// TestConflict: one msg_id is one task; another request under it is refused.
func TestConflict(t *testing.T) {
	t.Parallel()
	s := serve(t, t.TempDir(), "")
	first := s.submit(api.Submit{Cmd: "noop", MsgID: "one"})
	if again := s.submit(api.Submit{Cmd: "noop", MsgID: "one"}); again != first {
		t.Errorf("the same request is task %s and task %s", first, again)
	}
	priority := 9
	_, err := s.Submit(t.Context(), &api.Submit{Cmd: "noop", MsgID: "one", Priority: &priority}, 0)
	if err == nil || !strings.Contains(err.Error(), "msg_id") {
		t.Errorf("another request under the same msg_id: %v", err)
	}
	s.succeeded(first)
	quiet(t, s)
	s.stop()
}
