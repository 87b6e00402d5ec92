package gateway_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/roles/gateway"
)

const page, foreign = "https://app.example.com", "https://evil.example.com"

func origins(all ...string) func(*gateway.Config) {
	return func(c *gateway.Config) { c.Origins = all }
}

// preflight asks as a browser does before a page's request.
func (r *rig) preflight(origin, method, path string) *httptest.ResponseRecorder {
	return r.do("OPTIONS", path, "", "Origin: "+origin, "Access-Control-Request-Method: "+method, "Access-Control-Request-Headers: authorization,upload-offset")
}

// listed reports whether a header names a value, as browsers read it.
func listed(w *httptest.ResponseRecorder, header, value string) bool {
	for _, have := range strings.Split(w.Header().Get(header), ",") {
		if strings.EqualFold(strings.TrimSpace(have), value) {
			return true
		}
	}
	return false
}

// TestPagesOfOrigins: pages of an origin that is listed may send and read
// everything the API has, without a key for the question alone.
func TestPagesOfOrigins(t *testing.T) {
	r := newRig(t, origins("http://127.0.0.1:3000", page), tenants)
	for _, c := range []struct{ method, path string }{
		{"POST", "/v1/tasks"}, {"PATCH", "/v1/uploads/x"}, {"HEAD", "/v1/uploads/x"}, {"DELETE", "/v1/tasks/x"}, {"PUT", "/v1/objects/b/k"}, {"GET", "/v1/functions"},
	} {
		w := r.preflight(page, c.method, c.path)
		if w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != page || w.Header().Get("Vary") != "Origin" || w.Header().Get("Access-Control-Max-Age") == "" {
			t.Errorf("%s %s: %d %v", c.method, c.path, w.Code, w.Header())
		}
		if !listed(w, "Access-Control-Allow-Methods", c.method) {
			t.Errorf("%s may not be sent: %v", c.method, w.Header())
		}
		for _, name := range []string{
			"Authorization", "Content-Type", "Prefer", "Range", "Tus-Resumable", "Upload-Offset", "Upload-Length", "Upload-Metadata", "Upload-Defer-Length",
			"Upload-Concat", "Upload-Checksum", "X-HTTP-Method-Override", "traceparent",
		} {
			if !listed(w, "Access-Control-Allow-Headers", name) {
				t.Errorf("%s may not be sent", name)
			}
		}
	}
	// The answers themselves, errors included.
	for key, status := range map[string]int{"key-a": 202, "": 403} {
		w := r.as(key).do("POST", "/v1/tasks", body("m", "bucket-a"), "Origin: "+page, "Sec-Fetch-Site: cross-site")
		if w.Code != status || w.Header().Get("Access-Control-Allow-Origin") != page {
			t.Errorf("with the key %q: %d %v", key, w.Code, w.Header())
		}
		for _, name := range []string{
			"Location", "Retry-After", "Preference-Applied", "Content-Range", "ETag", "Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size",
			"Tus-Checksum-Algorithm", "Upload-Offset", "Upload-Length", "Upload-Metadata", "Upload-Concat", "Upload-Defer-Length", "Upload-Expires",
		} {
			if !listed(w, "Access-Control-Expose-Headers", name) {
				t.Errorf("%s may not be read", name)
			}
		}
	}
	// What a server offers of uploads is no preflight.
	if w := r.as("key-a").do("OPTIONS", "/v1/uploads", "", "Origin: "+page); w.Code != 204 || w.Header().Get("Tus-Version") == "" || w.Header().Get("Access-Control-Allow-Origin") != page {
		t.Errorf("options: %d %v", w.Code, w.Header())
	}
}

// TestForeignPages: pages of other origins may neither ask nor change anything,
// whatever is configured; who is no browser, or a page of this address, may.
func TestForeignPages(t *testing.T) {
	for name, change := range map[string]func(*gateway.Config){"none": origins(), "another": origins(page)} {
		r := newRig(t, change)
		if w := r.preflight(foreign, "POST", "/v1/tasks"); w.Code != 403 || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: a preflight: %d %v", name, w.Code, w.Header())
		}
		// A simple request, which no preflight precedes.
		simple := []string{"Origin: " + foreign, "Sec-Fetch-Site: cross-site", "Content-Type: text/plain"}
		p := read[api.Problem](t, r.do("POST", "/v1/tasks", body("m", "inputs"), simple...), 403)
		if p.ErrorCode != "denied" || !strings.Contains(p.Detail, foreign) {
			t.Errorf("%s: a task: %+v", name, p)
		}
		if w := r.do("POST", "/v1/tasks", body("m", "inputs"), "Origin: "+foreign); w.Code != 403 { // of an older browser
			t.Errorf("%s: a task: %d", name, w.Code)
		}
		if w := r.do("POST", "/v1/tasks", body("m", "inputs"), "Origin: null", "Sec-Fetch-Site: cross-site"); w.Code != 403 {
			t.Errorf("%s: a task of a page without an origin: %d", name, w.Code)
		}
		if page := read[api.Page](t, r.do("GET", "/v1/tasks", ""), 200); len(page.Tasks) > 0 {
			t.Errorf("%s: there are tasks", name)
		}
		if w := r.do("GET", "/v1/tasks", "", simple...); w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: the answer may be read: %v", name, w.Header())
		}
		if w := r.do("POST", "/v1/tasks", body("m", "inputs"), "Origin: http://example.com", "Sec-Fetch-Site: same-origin"); w.Code != 202 {
			t.Errorf("%s: of a page of this address: %d", name, w.Code)
		}
		r.submit("m2", "inputs")
	}
}

func TestPagesOfAllOrigins(t *testing.T) {
	r := newRig(t, origins("*"))
	if w := r.preflight(foreign, "POST", "/v1/tasks"); w.Code != 204 || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a preflight: %d %v", w.Code, w.Header())
	}
	if w := r.do("POST", "/v1/tasks", body("m", "inputs"), "Origin: "+foreign, "Sec-Fetch-Site: cross-site"); w.Code != 202 || w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("a task: %d %v", w.Code, w.Header())
	}
}
