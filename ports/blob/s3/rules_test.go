package s3_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/internal/testparts"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/s3"
)

// versitygw keeps no lifecycle rules, so what is sent is checked by a server that
// knows only them, and takes only what the API reference of S3 allows.

// keeper keeps the lifecycle configuration of one bucket.
type keeper struct {
	t      *testing.T
	mu     sync.Mutex
	config string
	puts   int
	refuse string // an error code for the next PUT
}

func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	fail := func(status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>because</Message></Error>`, code)
	}
	if r.URL.Query().Get("location") != "" || r.URL.Path != "/t-originals/" {
		k.t.Errorf("%s %s was asked for", r.Method, r.URL)
		fail(404, "NoSuchBucket")
		return
	}
	if r.Method == http.MethodHead { // does the bucket exist?
		return
	}
	q := r.URL.Query()
	if !q.Has("lifecycle") || q.Get("X-Amz-Signature") == "" || !strings.Contains(q.Get("X-Amz-Credential"), "key/") {
		fail(403, "AccessDenied")
		return
	}
	switch r.Method {
	case http.MethodGet:
		if k.config == "" {
			fail(404, "NoSuchLifecycleConfiguration")
			return
		}
		fmt.Fprint(w, k.config)
	case http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		sum := md5.Sum(body)
		if r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
			fail(400, "InvalidDigest")
			return
		}
		if k.refuse != "" {
			fail(403, k.refuse)
			return
		}
		if err := valid(body); err != nil {
			k.t.Errorf("%v:\n%s", err, body)
			fail(400, "MalformedXML")
			return
		}
		k.config, k.puts = string(body), k.puts+1
	case http.MethodDelete:
		k.config = ""
		w.WriteHeader(http.StatusNoContent)
	default:
		fail(405, "MethodNotAllowed")
	}
}

// schema are the elements of a configuration and what each may hold.
var schema = map[string]string{
	"LifecycleConfiguration": "Rule", "Rule": "ID Filter Status Transition Expiration NoncurrentVersionExpiration AbortIncompleteMultipartUpload",
	"Filter": "Prefix Tag And", "And": "Prefix Tag ObjectSizeGreaterThan", "Tag": "Key Value", "Transition": "Days StorageClass", "Expiration": "Days",
	"NoncurrentVersionExpiration": "NoncurrentDays NewerNoncurrentVersions", "AbortIncompleteMultipartUpload": "DaysAfterInitiation",
	"ID": "", "Prefix": "", "Status": "", "Days": "", "StorageClass": "", "DaysAfterInitiation": "", "NoncurrentDays": "", "NewerNoncurrentVersions": "",
	"Key": "", "Value": "", "ObjectSizeGreaterThan": "",
}

// valid checks names, nesting, the namespace, and that whole numbers of days are
// positive; IDs differ.
func valid(body []byte) error {
	var path []string
	ids := map[string]bool{}
	for d := xml.NewDecoder(bytes.NewReader(body)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch x := token.(type) {
		case xml.StartElement:
			parent := "-"
			if len(path) > 0 {
				parent = schema[path[len(path)-1]]
			} else if x.Name.Local == "LifecycleConfiguration" {
				parent = "LifecycleConfiguration"
			}
			if x.Name.Space != "http://s3.amazonaws.com/doc/2006-03-01/" || !strings.Contains(" "+parent+" ", " "+x.Name.Local+" ") {
				return fmt.Errorf("{%s}%s in %v", x.Name.Space, x.Name.Local, path)
			}
			path = append(path, x.Name.Local)
		case xml.EndElement:
			path = path[:len(path)-1]
		case xml.CharData:
			text, name := strings.TrimSpace(string(x)), path[len(path)-1]
			days := strings.HasPrefix(name, "Days")
			switch {
			case text != "" && schema[name] != "":
				return fmt.Errorf("text %q in %s", text, name)
			case days && (text == "" || strings.Trim(text, "0123456789") != "" || text[0] == '0'):
				return fmt.Errorf("%s is %q", name, text)
			case name == "Status" && text != "Enabled" && text != "Disabled":
				return fmt.Errorf("status %q", text)
			case name == "ID" && (len(text) > 255 || ids[text]):
				return fmt.Errorf("ID %q is too long, or used twice", text)
			case name == "ID":
				ids[text] = true
			}
		}
	}
}

func newKeeper(t *testing.T, query string) (*keeper, *blob.Store) {
	k := &keeper{t: t}
	server := httptest.NewServer(k)
	t.Cleanup(server.Close)
	s := open(t, "s3://key:secret@"+server.Listener.Addr().String()+"?tls=false&path-style=true&prefix=t-&lifecycle=true"+query, nil)
	t.Cleanup(func() { _ = s.Close() })
	return k, s
}

const (
	ours = `<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
		`<Rule><ID>mediafn-all</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status>` +
		`<Transition><Days>3</Days><StorageClass>GLACIER_IR</StorageClass></Transition><Expiration><Days>21</Days></Expiration>` +
		`<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>` +
		`<Rule><ID>mediafn-cache</ID><Filter><Prefix>cache/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>` +
		`<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>` +
		`</LifecycleConfiguration>`
	// theirs says things we know nothing of, in a way we would not.
	theirs = `<Rule>
    <ID>legal &amp; archive</ID><Filter><And><Prefix>legal/</Prefix><Tag><Key>a</Key><Value>b</Value></Tag>
      <ObjectSizeGreaterThan>500</ObjectSizeGreaterThan></And></Filter><Status>Disabled</Status>
    <NoncurrentVersionExpiration><NoncurrentDays>7</NoncurrentDays><NewerNoncurrentVersions>2</NewerNoncurrentVersions></NoncurrentVersionExpiration>
  </Rule>`
)

var three, cache = blob.Rule{Name: "all", Cool: 3 * 24 * time.Hour, Delete: 21 * 24 * time.Hour}, blob.Rule{Name: "cache", Prefix: "cache/", Delete: 24 * time.Hour}

// TestRules: the store gets our rules, once, and keeps those of others as they are.
func TestRules(t *testing.T) {
	k, s := newKeeper(t, "")
	set := func(rules ...blob.Rule) {
		t.Helper()
		if err := s.SetRules(t.Context(), "originals", rules); err != nil {
			t.Fatal(err)
		}
	}
	set(three, cache)
	if diff := cmp.Diff(ours, k.config); diff != "" {
		t.Errorf("the first time:\n%s", diff)
	}
	k.config = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + strings.Replace(strings.ReplaceAll(ours, "><", ">\n<"), "<Rule>\n<ID>mediafn-cache", theirs+"<Rule>\n<ID>mediafn-cache", 1)
	set(three, cache)
	if k.puts != 1 {
		t.Error("rules that are in force were written again")
	}
	set(blob.Rule{Name: "all", Delete: 24 * time.Hour})
	want := `<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + theirs +
		`<Rule><ID>mediafn-all</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>` +
		`<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>`
	if diff := cmp.Diff(want, k.config); diff != "" {
		t.Errorf("beside the rules of others:\n%s", diff)
	}
}

// TestNoRules: taken back, ours go; where there are none nothing is written.
func TestNoRules(t *testing.T) {
	k, s := newKeeper(t, "")
	for i, rules := range [][]blob.Rule{nil, {three}, nil} {
		if err := s.SetRules(t.Context(), "originals", rules); err != nil {
			t.Fatal(err)
		}
		if want := []int{0, 1, 1}[i]; k.puts != want || (k.config == "") != (rules == nil) {
			t.Errorf("step %d: %d puts, %q", i, k.puts, k.config)
		}
	}
}

// TestColdClass: the operator names it, and not one that cannot be read.
func TestColdClass(t *testing.T) {
	k, s := newKeeper(t, "&cold=STANDARD_IA")
	if err := s.SetRules(t.Context(), "originals", []blob.Rule{{Name: "all", Cool: 30 * 24 * time.Hour}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(k.config, "<Transition><Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition>") || strings.Contains(k.config, "Expiration") {
		t.Error(k.config)
	}
	for _, class := range []string{"GLACIER", "DEEP_ARCHIVE", "cold", ""} {
		if _, err := s3.Parse("s3://k:s@h?cold=" + class); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "cold") {
			t.Errorf("%q: %v", class, err)
		}
	}
}

// TestRulesRefused: what can't be said, what isn't allowed here and what the store
// does not take are told apart.
func TestRulesRefused(t *testing.T) {
	k, s := newKeeper(t, "")
	if err := s.CheckRules([]blob.Rule{{Name: "all", Delete: 36 * time.Hour}}); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "whole days") {
		t.Errorf("a day and a half: %v", err)
	}
	k.refuse = "AccessDenied"
	if err := s.SetRules(t.Context(), "originals", []blob.Rule{three}); !errs.Is(err, errs.Denied) || strings.Contains(err.Error(), "Signature") {
		t.Errorf("refused: %v", err)
	}
	_, off := newKeeper(t, "&lifecycle=false")
	if err := off.SetRules(t.Context(), "originals", []blob.Rule{three}); !errs.Is(err, errs.Unsupported) || !strings.Contains(err.Error(), "lifecycle=true") {
		t.Errorf("not allowed: %v", err)
	}
	server := testparts.S3(t) // a real one, which has no lifecycle rules
	real := open(t, server.URL("prefix=r-&lifecycle=true"), nil)
	defer real.Close()
	if err := real.SetRules(t.Context(), "originals", []blob.Rule{three}); !errs.Is(err, errs.Unsupported) {
		t.Errorf("a store without lifecycle rules: %v", err)
	}
}
