package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/internal/testparts"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/file"
	"github.com/mediafn/mediafn/ports/blob/s3"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/roles/gateway"
	"github.com/mediafn/mediafn/roles/gateway/tus"
)

// uploader is a tus client by hand, at a gateway that listens.
type uploader struct {
	*rig
	url string
}

func (r *rig) listen(handler http.Handler) *uploader {
	s := httptest.NewServer(handler)
	r.t.Cleanup(s.Close)
	return &uploader{r, s.URL}
}

func small(c *gateway.Config) { c.Uploads.Piece = 1000 }

// send makes one request. A path may be a Location.
func (u *uploader) send(method, path string, body io.Reader, header ...string) (*http.Response, api.Problem) {
	u.t.Helper()
	req, err := http.NewRequest(method, u.url+path, body)
	if err != nil {
		u.t.Fatal(err)
	}
	req.Header.Set("Tus-Resumable", "1.0.0")
	if u.key != "" {
		req.Header.Set("Authorization", "Bearer "+u.key)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
		if value == "" {
			req.Header.Del(name)
		}
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		u.t.Fatal(err)
	}
	var p api.Problem
	if resp.StatusCode >= 400 && method != "HEAD" {
		if err := json.Unmarshal(raw, &p); err != nil || p.Status != resp.StatusCode {
			u.t.Fatalf("%s %s: %d with %q: %v", method, path, resp.StatusCode, raw, err)
		}
	}
	return resp, p
}

func meta(pairs ...string) string {
	var all []string
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, pairs[i]+" "+base64.StdEncoding.EncodeToString([]byte(pairs[i+1])))
	}
	return "Upload-Metadata: " + strings.Join(all, ",")
}

func (u *uploader) create(size int, header ...string) (location string) {
	u.t.Helper()
	resp, p := u.send("POST", "/v1/uploads", nil, append([]string{fmt.Sprint("Upload-Length: ", size)}, header...)...)
	if resp.StatusCode != 201 || resp.Header.Get("Location") == "" || resp.Header.Get("Tus-Resumable") != "1.0.0" {
		u.t.Fatalf("create: %d %v %s", resp.StatusCode, resp.Header, p.Detail)
	}
	return resp.Header.Get("Location")
}

func (u *uploader) patch(location string, at int, body []byte, header ...string) (status int) {
	u.t.Helper()
	resp, _ := u.send("PATCH", location, bytes.NewReader(body),
		append([]string{"Content-Type: application/offset+octet-stream", fmt.Sprint("Upload-Offset: ", at)}, header...)...)
	if resp.StatusCode == 204 && resp.Header.Get("Upload-Offset") != fmt.Sprint(at+len(body)) {
		u.t.Fatalf("%d bytes added at %d: %v", len(body), at, resp.Header)
	}
	return resp.StatusCode
}

func (u *uploader) offset(location string) string {
	u.t.Helper()
	resp, _ := u.send("HEAD", location, nil)
	if resp.StatusCode != 200 || resp.Header.Get("Cache-Control") != "no-store" {
		u.t.Fatalf("HEAD: %d %v", resp.StatusCode, resp.Header)
	}
	return resp.Header.Get("Upload-Offset")
}

func (u *uploader) view(location string) (v api.Upload) {
	u.t.Helper()
	resp, err := http.Get(u.url + location)
	if err != nil {
		u.t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&v); err != nil || resp.StatusCode != 200 {
		u.t.Fatal(resp.Status, err)
	}
	return v
}

// object reads what an upload has become.
func (r *rig) object(bucket, key string) []byte {
	r.t.Helper()
	s, err := r.blobs.Get("")
	if err != nil {
		r.t.Fatal(err)
	}
	body, _, err := s.Get(r.t.Context(), bucket, key, 0, -1)
	if err != nil {
		r.t.Fatal(err)
	}
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		r.t.Fatal(err)
	}
	return b
}

// left lists the pieces that lie around.
func (r *rig) left() []blob.Item {
	r.t.Helper()
	s, err := r.blobs.Get("")
	if err != nil {
		r.t.Fatal(err)
	}
	items, err := s.List(r.t.Context(), "arriving", "", "", 1000)
	if err != nil {
		r.t.Fatal(err)
	}
	return items
}

// eventually waits for something that has no message of its own.
func eventually(t *testing.T, done func() bool) {
	t.Helper()
	for over := time.After(10 * time.Second); !done(); {
		select {
		case <-over:
			t.Fatal("it never came to that")
		case <-time.After(time.Millisecond):
		}
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return b
}

func TestUpload(t *testing.T) {
	r := newRig(t, small)
	u := r.listen(r.g)
	resp, _ := u.send("OPTIONS", "/v1/uploads", nil, "Tus-Resumable: ")
	if h := resp.Header; resp.StatusCode != 204 || h.Get("Tus-Version") != "1.0.0" || h.Get("Tus-Max-Size") == "" ||
		!strings.Contains(h.Get("Tus-Extension"), "expiration") || h.Get("Tus-Checksum-Algorithm") == "" {
		t.Errorf("options: %d %v", resp.StatusCode, h)
	}
	body := noise(4500)
	at := u.create(len(body), meta("bucket", "inputs", "key", "a/clip.mp4", "filetype", "video/mp4", "note", "mine"))
	resp, _ = u.send("HEAD", at, nil)
	if h := resp.Header; h.Get("Upload-Length") != "4500" || h.Get("Upload-Offset") != "0" || h.Get("Upload-Expires") == "" ||
		"Upload-Metadata: "+h.Get("Upload-Metadata") != meta("bucket", "inputs", "key", "a/clip.mp4", "filetype", "video/mp4", "note", "mine") {
		t.Errorf("head: %v", h)
	}
	if got := u.patch(at, 0, body[:2500]); got != 204 {
		t.Fatal(got)
	}
	if n := len(r.left()); n != 3 {
		t.Errorf("2500 bytes are %d pieces", n)
	}
	if got := u.patch(at, 2500, body[2500:]); got != 204 {
		t.Fatal(got)
	}
	if !bytes.Equal(r.object("inputs", "a/clip.mp4"), body) {
		t.Error("the object is not what was sent")
	}
	if v := u.view(at); v.State != arrival.Done || v.Bucket != "inputs" || v.Offset != 4500 || v.WholeAt.IsZero() || v.Index == "" {
		t.Errorf("view: %+v", v)
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("pieces are left: %v", left)
	}
	if got := u.offset(at); got != "4500" {
		t.Errorf("a finished upload is at %s", got)
	}
	if got := u.patch(at, 4500, nil); got != 204 {
		t.Errorf("nothing added to a finished upload: %d", got)
	}
	if resp, _ := u.send("DELETE", at, nil); resp.StatusCode != 409 {
		t.Errorf("a finished upload is ended: %d", resp.StatusCode)
	}
}

func TestUploadForms(t *testing.T) {
	r := newRig(t, small)
	u := r.listen(r.g)
	body := noise(1500)
	carry := "Content-Type: application/offset+octet-stream"
	resp, _ := u.send("POST", "/v1/uploads", bytes.NewReader(body), carry, "Upload-Length: 1500", meta("bucket", "inputs", "key", "at-once"))
	if resp.StatusCode != 201 || resp.Header.Get("Upload-Offset") != "1500" || !bytes.Equal(r.object("inputs", "at-once"), body) {
		t.Errorf("with the creation: %d %v", resp.StatusCode, resp.Header)
	}
	u.create(0, meta("bucket", "inputs", "key", "empty"))
	if got := r.object("inputs", "empty"); len(got) != 0 {
		t.Errorf("empty: %d bytes", len(got))
	}
	resp, _ = u.send("POST", "/v1/uploads", nil, "Upload-Defer-Length: 1", meta("bucket", "inputs", "filename", `C:\x\clip.mp4`))
	at := resp.Header.Get("Location")
	if resp, _ = u.send("HEAD", at, nil); resp.Header.Get("Upload-Defer-Length") != "1" {
		t.Errorf("deferred: %v", resp.Header)
	}
	for _, got := range []int{
		u.patch(at, 0, body[:600]), u.patch(at, 600, body[600:], "Upload-Length: 1500"),
	} {
		if got != 204 {
			t.Errorf("deferred: %d", got)
		}
	}
	if v := u.view(at); v.Key != v.ID+"/clip.mp4" || !bytes.Equal(r.object("inputs", v.Key), body) {
		t.Errorf("without a key: %+v", v)
	}
	if resp, _ = u.send("POST", "/v1/uploads", bytes.NewReader(body), carry, "Upload-Length: 1500", meta("filename", "plain.mp4")); resp.StatusCode != 201 ||
		!bytes.Equal(r.object("inputs", path.Base(resp.Header.Get("Location"))+"/plain.mp4"), body) {
		t.Errorf("without a bucket: %d", resp.StatusCode)
	}
	at = u.create(1500, meta("bucket", "inputs", "key", "posted"))
	resp, _ = u.send("POST", at, bytes.NewReader(body), carry, "Upload-Offset: 0", "X-HTTP-Method-Override: PATCH")
	if resp.StatusCode != 204 || !bytes.Equal(r.object("inputs", "posted"), body) {
		t.Errorf("by POST: %d", resp.StatusCode)
	}
}

func TestUploadRefusals(t *testing.T) {
	r := newRig(t, small, func(c *gateway.Config) { c.Uploads.Most = 5000; c.Uploads.Open = 6 })
	u := r.listen(r.g)
	place, carry := meta("bucket", "inputs", "key", "k"), "Content-Type: application/offset+octet-stream"
	at := u.create(100, place)
	done := u.create(0, meta("bucket", "inputs", "key", "done"))
	part := u.create(100, "Upload-Concat: partial")
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		field                    string
	}{
		{"no version", "HEAD", at, "", []string{"Tus-Resumable: "}, 412, ""},
		{"another version", "POST", "/v1/uploads", "", []string{"Tus-Resumable: 0.2.2", "Upload-Length: 1", place}, 412, "Tus-Resumable"},
		{"no length", "POST", "/v1/uploads", "", []string{place}, 400, "Upload-Length"},
		{"negative length", "POST", "/v1/uploads", "", []string{place, "Upload-Length: -1"}, 400, "Upload-Length"},
		{"two lengths", "POST", "/v1/uploads", "", []string{place, "Upload-Length: 1", "Upload-Defer-Length: 1"}, 400, "Upload-Defer-Length"},
		{"too long", "POST", "/v1/uploads", "", []string{place, "Upload-Length: 5001"}, 413, ""},
		{"bad key", "POST", "/v1/uploads", "", []string{"Upload-Length: 1", meta("bucket", "inputs", "key", "../a")}, 400, "Upload-Metadata.key"},
		{"bad type", "POST", "/v1/uploads", "", []string{"Upload-Length: 1", meta("bucket", "inputs", "filetype", "a\nb")}, 400, "Upload-Metadata.filetype"},
		{"unknown store", "POST", "/v1/uploads", "", []string{"Upload-Length: 1", meta("bucket", "inputs", "cloud", "moon")}, 400, "Upload-Metadata.cloud"},
		{"our bucket", "POST", "/v1/uploads", "", []string{"Upload-Length: 1", meta("bucket", "arriving", "key", "k")}, 403, "Upload-Metadata.bucket"},
		{"not base64", "POST", "/v1/uploads", "", []string{"Upload-Length: 1", "Upload-Metadata: bucket %"}, 400, "Upload-Metadata.bucket"},
		{"a body of another type", "POST", "/v1/uploads", "x", []string{place, "Upload-Length: 1"}, 415, "Content-Type"},
		{"type of the body", "PATCH", at, "x", []string{"Upload-Offset: 0"}, 415, "Content-Type"},
		{"no offset", "PATCH", at, "x", []string{carry}, 400, "Upload-Offset"},
		{"wrong offset", "PATCH", at, "x", []string{carry, "Upload-Offset: 7"}, 409, "Upload-Offset"},
		{"beyond the end", "PATCH", at, strings.Repeat("x", 101), []string{carry, "Upload-Offset: 0"}, 413, ""},
		{"another length", "PATCH", at, "x", []string{carry, "Upload-Offset: 0", "Upload-Length: 99"}, 400, "Upload-Length"},
		{"unknown sum", "PATCH", at, "x", []string{carry, "Upload-Offset: 0", "Upload-Checksum: crc32 AAAA"}, 400, "Upload-Checksum"},
		{"wrong sum", "PATCH", at, "x", []string{carry, "Upload-Offset: 0", "Upload-Checksum: md5 AAAA"}, 460, "Upload-Checksum"},
		{"more than all", "PATCH", done, "x", []string{carry, "Upload-Offset: 0"}, 413, ""},
		{"no such upload", "PATCH", "/v1/uploads/none", "x", []string{carry, "Upload-Offset: 0"}, 404, ""},
		{"no such upload", "DELETE", "/v1/uploads/none", "", nil, 404, ""},
		{"method by POST", "POST", at, "", []string{"X-HTTP-Method-Override: PUT"}, 405, "X-HTTP-Method-Override"},
		{"of a part that is not whole", "POST", "/v1/uploads", "", []string{place, "Upload-Concat: final;" + part}, 400, "Upload-Concat"},
		{"of what is no part", "POST", "/v1/uploads", "", []string{place, "Upload-Concat: final;" + at}, 400, "Upload-Concat"},
		{"of parts, with a length", "POST", "/v1/uploads", "", []string{place, "Upload-Length: 1", "Upload-Concat: final;" + part}, 400, "Upload-Concat"},
	} {
		resp, p := u.send(c.method, c.path, strings.NewReader(c.body), c.header...)
		if resp.StatusCode != c.status || p.Field != c.field && c.method != "HEAD" {
			t.Errorf("%s: %d %q %s; want %d %q", c.name, resp.StatusCode, p.Field, p.Detail, c.status, c.field)
		}
	}
	if got := u.offset(at); got != "0" {
		t.Errorf("after refusals the upload is at %s", got)
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("refused bodies are left: %v", left)
	}
	for range 4 {
		u.create(1, place)
	}
	if resp, _ := u.send("POST", "/v1/uploads", nil, "Upload-Length: 1", place); resp.StatusCode != 429 {
		t.Errorf("one upload too many: %d", resp.StatusCode)
	}
}

func TestUploadTenants(t *testing.T) {
	r := newRig(t, tenants)
	a, b := r.as("key-a").listen(r.g), r.as("key-b").listen(r.g)
	if resp, p := a.send("POST", "/v1/uploads", nil, "Upload-Length: 1", meta("bucket", "bucket-b", "key", "k")); resp.StatusCode != 403 || p.Field != "Upload-Metadata.bucket" {
		t.Errorf("into another's bucket: %d %s", resp.StatusCode, p.Field)
	}
	at := a.create(2, meta("bucket", "bucket-a", "key", "k"))
	for _, method := range []string{"HEAD", "PATCH", "DELETE", "GET"} {
		if resp, _ := b.send(method, at, nil, "Content-Type: application/offset+octet-stream", "Upload-Offset: 0"); resp.StatusCode != 404 {
			t.Errorf("%s of another's upload: %d", method, resp.StatusCode)
		}
	}
	id := strings.TrimPrefix(at, "/v1/uploads/")
	submit := fmt.Sprintf(`{"cmd":"t.work","input_files":[{"upload":%q}]}`, id)
	if resp := r.as("key-b").do("POST", "/v1/tasks", submit); resp.Code != 400 || !strings.Contains(resp.Body.String(), `"field":"input_files.0.upload"`) {
		t.Errorf("another's upload as an input: %d %s", resp.Code, resp.Body)
	}
	for _, bad := range []string{`"bucket":"bucket-a"`, `"url":"https://h.example/a"`} {
		body := fmt.Sprintf(`{"cmd":"t.work","input_files":[{"upload":%q,%s}]}`, id, bad)
		if resp := r.as("key-a").do("POST", "/v1/tasks", body); resp.Code != 400 {
			t.Errorf("an upload and %s: %d %s", bad, resp.Code, resp.Body)
		}
	}
	if resp := r.as("key-a").do("POST", "/v1/tasks", submit); resp.Code != 202 {
		t.Errorf("one's own: %d %s", resp.Code, resp.Body)
	}
	again := strings.Replace(submit, `{`, `{"msg_id":"again",`, 1)
	first := read[api.Response](t, r.as("key-a").do("POST", "/v1/tasks", again), 202)
	a.send("DELETE", at, nil)
	if resp := r.as("key-a").do("POST", "/v1/tasks", submit); resp.Code != 400 || !strings.Contains(resp.Body.String(), "ended it after 0 bytes") {
		t.Errorf("one that is over: %d %s", resp.Code, resp.Body)
	}
	// The same message is the same task, whatever became of the upload.
	if same := read[api.Response](t, r.as("key-a").do("POST", "/v1/tasks", again), 202); !same.Existed || same.TaskID != first.TaskID {
		t.Errorf("the same again: %+v", same)
	}
	if resp := r.as("key-a").do("POST", "/v1/tasks", strings.Replace(again, id, "another", 1)); resp.Code != 400 {
		t.Errorf("the same message with another upload: %d %s", resp.Code, resp.Body)
	}
}

func TestUploadChecksum(t *testing.T) {
	r := newRig(t, small)
	u := r.listen(r.g)
	body := noise(2500)
	sum := sha1.Sum(body)
	right := "Upload-Checksum: sha1 " + base64.StdEncoding.EncodeToString(sum[:])
	at := u.create(2500, meta("bucket", "inputs", "key", "k"))
	broken := bytes.Clone(body)
	broken[2000]++
	if got := u.patch(at, 0, broken, right); got != 460 || u.offset(at) != "0" || len(r.left()) != 0 {
		t.Errorf("a broken body: %d, at %s, %d pieces are left", got, u.offset(at), len(r.left()))
	}
	if got := u.patch(at, 0, body, right); got != 204 || !bytes.Equal(r.object("inputs", "k"), body) {
		t.Errorf("the right body: %d", got)
	}
}

// TestUploadBreaksOff: what came before a connection broke counts, in a process
// that lives and for the next one.
func TestUploadBreaksOff(t *testing.T) {
	r := newRig(t, small)
	u := r.listen(r.g)
	body := noise(5000)
	at := u.create(5000, meta("bucket", "inputs", "key", "k"))
	half := func(from, to int) net.Conn {
		conn, err := net.Dial("tcp", strings.TrimPrefix(u.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: %d\r\nContent-Length: %d\r\n\r\n",
			at, from, 5000-from)
		if _, err := conn.Write(body[from:to]); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	// await looks at the row: a request would end the body.
	await := func(least int64) {
		t.Helper()
		eventually(t, func() bool {
			all, err := r.store.Uploads(t.Context(), strings.TrimPrefix(at, "/v1/uploads/"))
			if err != nil {
				t.Fatal(err)
			}
			return all[0].Arrived >= least
		})
	}
	conn := half(0, 1700)
	await(1000)
	conn.Close()
	await(1700)
	if got := u.offset(at); got != "1700" {
		t.Errorf("after a connection that broke: %s", got)
	}
	hangs := half(1700, 3200)
	defer hangs.Close()
	await(2700)
	if got := u.offset(at); got != "3200" { // the connection still hangs: it is ended for who asks
		t.Errorf("beside a connection that hangs: %s", got)
	}
	next := gateway.New(func() gateway.Config { c := gateway.Default("g2"); small(&c); return c }(), r.parts())
	other := r.listen(next)
	if got := other.offset(at); got != "3200" {
		t.Errorf("after a restart: %s", got)
	}
	if got := other.patch(at, 3200, body[3200:]); got != 204 || !bytes.Equal(r.object("inputs", "k"), body) {
		t.Errorf("the rest: %d", got)
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("pieces are left: %v", left)
	}
}

// TestUploadManyGateways has two gateways on one S3 store take the pieces of one
// upload in turns, and the same piece at once.
func TestUploadManyGateways(t *testing.T) {
	r := newRig(t, small)
	server := testparts.S3(t)
	o, err := s3.Parse(server.URL("prefix=tus-"))
	if err != nil {
		t.Fatal(err)
	}
	store, err := s3.Open(o, blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	r.blobs = blob.NewStores()
	if err := r.blobs.Add("main", store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.blobs.Close() })
	var gateways []*uploader
	for _, name := range []string{"g1", "g2"} {
		cfg := gateway.Default(name)
		small(&cfg)
		gateways = append(gateways, r.listen(gateway.New(cfg, r.parts())))
	}
	body := noise(8 * 1500)
	at := gateways[0].create(len(body), meta("bucket", "inputs", "key", "k", "filetype", "video/mp4"))
	for i := range 8 {
		var won, lost atomic.Int64
		var group sync.WaitGroup
		for _, g := range gateways {
			group.Go(func() {
				switch got := g.patch(at, i*1500, body[i*1500:(i+1)*1500]); got {
				case 204:
					won.Add(1)
				case 409:
					lost.Add(1)
				default:
					t.Errorf("piece %d: %d", i, got)
				}
			})
		}
		group.Wait()
		if won.Load() < 1 {
			t.Fatalf("piece %d: %d took it, %d were refused", i, won.Load(), lost.Load())
		}
		if got := gateways[i%2].offset(at); got != fmt.Sprint((i+1)*1500) {
			t.Fatalf("after piece %d: %s", i, got)
		}
	}
	if !bytes.Equal(r.object("inputs", "k"), body) {
		t.Error("the object is not what was sent")
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("pieces are left: %v", left)
	}
}

func TestUploadParallel(t *testing.T) {
	r := newRig(t, small)
	u := r.listen(r.g)
	body := noise(4000)
	first, second := u.create(1500, "Upload-Concat: partial"), u.create(2500, "Upload-Concat: partial")
	var group sync.WaitGroup
	group.Go(func() { u.patch(first, 0, body[:1500]) })
	group.Go(func() { u.patch(second, 0, body[1500:]) })
	group.Wait()
	if resp, _ := u.send("HEAD", first, nil); resp.Header.Get("Upload-Concat") != "partial" {
		t.Errorf("a part: %v", resp.Header)
	}
	final := "final;" + first + " " + u.url + second
	resp, p := u.send("POST", "/v1/uploads", nil, "Upload-Concat: "+final, meta("bucket", "inputs", "key", "k"))
	if resp.StatusCode != 201 || !bytes.Equal(r.object("inputs", "k"), body) {
		t.Fatalf("of parts: %d %s", resp.StatusCode, p.Detail)
	}
	at := resp.Header.Get("Location")
	if resp, _ := u.send("HEAD", at, nil); resp.Header.Get("Upload-Length") != "4000" || resp.Header.Get("Upload-Concat") != final {
		t.Errorf("the whole: %v", resp.Header)
	}
	if resp, _ := u.send("PATCH", at, nil, "Content-Type: application/offset+octet-stream", "Upload-Offset: 4000"); resp.StatusCode != 403 {
		t.Errorf("added to what was made of parts: %d", resp.StatusCode)
	}
	if resp, _ := u.send("HEAD", first, nil); resp.StatusCode != 410 {
		t.Errorf("a part that was taken: %d", resp.StatusCode)
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("pieces are left: %v", left)
	}
}

func TestUploadEnds(t *testing.T) {
	told := make(chan string, 10)
	r := newRig(t, small)
	u := r.listen(r.g)
	at := u.create(3000, meta("bucket", "inputs", "key", "k"))
	id := strings.TrimPrefix(at, "/v1/uploads/")
	resp := r.do("POST", "/v1/tasks", fmt.Sprintf(`{"cmd":"t.work","input_files":[{"upload":%q}]}`, id))
	var accepted api.Response
	if err := json.Unmarshal(resp.Body.Bytes(), &accepted); err != nil || resp.Code != 202 {
		t.Fatal(resp.Code, err)
	}
	sub, err := r.queue.Subscribe(t.Context(), job.TaskSubject(accepted.TaskID), "", func(_ context.Context, m queue.Message) { told <- string(m.Data) })
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	u.patch(at, 0, noise(1500))
	for range 2 { // pieces
		if got := <-told; got != accepted.TaskID {
			t.Errorf("told of %q", got)
		}
	}
	if v := u.view(at); len(v.Tasks) != 1 || v.Tasks[0] != accepted.TaskID {
		t.Errorf("tasks of the upload: %+v", v)
	}
	if resp, _ := u.send("DELETE", at, nil); resp.StatusCode != 204 {
		t.Errorf("ended: %d", resp.StatusCode)
	}
	<-told
	if left := r.left(); len(left) > 0 {
		t.Errorf("pieces are left: %v", left)
	}
	for _, method := range []string{"HEAD", "DELETE"} {
		if resp, _ := u.send(method, at, nil); resp.StatusCode != 410 {
			t.Errorf("%s of an ended upload: %d", method, resp.StatusCode)
		}
	}
	if v := u.view(at); v.State != arrival.Gone || !strings.Contains(v.Ended, "after 1500 bytes") {
		t.Errorf("view: %+v", v)
	}
}

// TestUploadCannotBeStored: an upload whose object the store can't hold ends, and
// is not tried for ever.
func TestUploadCannotBeStored(t *testing.T) {
	r := newRig(t, small)
	store, err := file.Open(t.TempDir(), blob.Default())
	if err != nil {
		t.Fatal(err)
	}
	r.blobs = blob.NewStores()
	if err := r.blobs.Add("main", store); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.blobs.Close() })
	u := r.listen(gateway.New(gateway.Default("g2"), r.parts()))
	u.create(0, meta("bucket", "inputs", "key", "a"))
	at := u.create(1500, meta("bucket", "inputs", "key", "a/b")) // beside the file a there can be no folder a
	if got := u.patch(at, 0, noise(1500)); got != 409 {
		t.Errorf("the last piece: %d", got)
	}
	if v := u.view(at); v.State != arrival.Gone || !strings.Contains(v.Ended, "can't be stored") {
		t.Errorf("view: %+v", v)
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("pieces are left: %v", left)
	}
}

// handler is what tends uploads, with a life of so long.
func (r *rig) handler(life time.Duration, reached func(string)) *tus.Handler {
	cfg := tus.Default("tender")
	cfg.Life, cfg.Idle = life, 3*time.Millisecond
	return tus.New(cfg, tus.Parts{Store: r.store, Queue: r.queue, Blobs: r.blobs, Bucket: "arriving", Log: r.parts().Log, Reached: reached})
}

func TestUploadsAreTended(t *testing.T) {
	at := ""
	died := func(point string) {
		if point == "upload whole" {
			panic(http.ErrAbortHandler)
		}
	}
	r := newRigWith(t, func(_ *rig, p *gateway.Parts) { p.Reached = died }, small, func(c *gateway.Config) { c.Uploads.Life = -time.Second })
	u := r.listen(r.g)
	nothing := func(string) {}

	// One that nobody goes on with expires; what no row names goes with it.
	at = u.create(3000, meta("bucket", "inputs", "key", "late"))
	u.patch(at, 0, noise(1500))
	id := strings.TrimPrefix(at, "/v1/uploads/")
	store, err := r.blobs.Get("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(t.Context(), "arriving", id+"/000000000001500-LOST", strings.NewReader("x"), blob.PutOptions{Size: 1}); err != nil {
		t.Fatal(err)
	}
	if err := r.handler(time.Hour, nothing).Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v := u.view(at); v.State != arrival.Gone || !strings.Contains(v.Ended, "expired") {
		t.Errorf("view: %+v", v)
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("pieces are left: %v", left)
	}

	// One whose gateway died before it was put together is finished by another.
	body := noise(1500)
	at = u.create(1500, meta("bucket", "inputs", "key", "k"))
	conn, err := net.Dial("tcp", strings.TrimPrefix(u.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: 1500\r\n\r\n%s", at, body)
	if rest, err := io.ReadAll(conn); err != nil || len(rest) > 0 {
		t.Fatalf("the gateway did not die: %q, %v", rest, err)
	}
	if v := u.view(at); v.State != arrival.Whole {
		t.Fatalf("view: %+v", v)
	}
	eventually(t, func() bool { // for a moment its gateway might still be at it
		if err := r.handler(time.Hour, nothing).Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		return u.view(at).State == arrival.Done
	})
	if !bytes.Equal(r.object("inputs", "k"), body) {
		t.Error("the object is not what was sent")
	}

	// What is over is forgotten after a while.
	if err := r.handler(-time.Second, nothing).Tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	if resp, _ := u.send("HEAD", at, nil); resp.StatusCode != 404 {
		t.Errorf("a forgotten upload: %d", resp.StatusCode)
	}
	if left := r.left(); len(left) > 0 {
		t.Errorf("pieces are left: %v", left)
	}
}
