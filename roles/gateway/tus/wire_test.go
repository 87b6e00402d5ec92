package tus

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mediafn/mediafn/core/errs"
)

func TestMetadata(t *testing.T) {
	got, err := metadata("bucket aW5wdXRz, filename w6RiYy5tcDQ=,private,empty ")
	if err != nil || len(got) != 4 || got["bucket"] != "inputs" || got["filename"] != "äbc.mp4" || got["empty"] != "" {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := metadata(""); err != nil || len(got) != 0 {
		t.Errorf("none: %q, %v", got, err)
	}
	for _, text := range []string{",", "a YQ==,", "a !", "a YQ", "a YQ==,a YQ==", "ä YQ==", " ,", strings.Repeat("a", maxMeta+1)} {
		if got, err := metadata(text); !errs.Is(err, errs.Invalid) || errs.FieldOf(err) == "" {
			t.Errorf("%.20q: %q, %v", text, got, err)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add("bucket aW5wdXRz,key YS9i")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := metadata(text)
		if err != nil && !errs.Is(err, errs.Invalid) {
			t.Error(err)
		}
		for key := range got {
			if key == "" || strings.ContainsAny(key, " ,\n") {
				t.Errorf("%q has the key %q", text, key)
			}
		}
	})
}

func TestSum(t *testing.T) {
	for _, c := range []struct{ header, body string }{
		{"sha1 qvTGHdzF6KLavt4PO0gs2a6pQ00=", "hello"},
		{"md5 XUFAKrxLKna5cZ2REBfFkg==", "hello"},
		{"sha256 LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", "hello"},
	} {
		s, err := sum(http.Header{"Upload-Checksum": {c.header}})
		if err != nil {
			t.Fatal(err)
		}
		s.Write([]byte(c.body))
		if !s.fits() {
			t.Errorf("%s is refused", c.header)
		}
		s.Write([]byte("x"))
		if s.fits() {
			t.Errorf("%s fits another body", c.header)
		}
	}
	for _, bad := range []string{"sha1", "crc32 AAAA", "sha1 ?", "sha1 "} {
		if s, err := sum(http.Header{"Upload-Checksum": {bad}}); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v, %v", bad, s, err)
		}
	}
	if s, err := sum(http.Header{}); s != nil || err != nil || !s.fits() {
		t.Errorf("none: %v, %v", s, err)
	}
}

func TestConcat(t *testing.T) {
	for _, c := range []struct {
		header, kind, parts string
		bad                 bool
	}{
		{"", "", "", false},
		{"partial", "partial", "", false},
		{"final;/v1/uploads/a https://h.example/v1/uploads/b?x=1", "final", "a b", false},
		{"final", "", "", true},
		{"final;", "", "", true},
		{"other", "", "", true},
		{"final;:%zz", "", "", true},
		{"final;" + strings.Repeat("/a ", maxParts+1), "", "", true},
	} {
		kind, parts, err := concat(http.Header{"Upload-Concat": {c.header}})
		if kind != c.kind || strings.Join(parts, " ") != c.parts || (err != nil) != c.bad {
			t.Errorf("%.40q: %q %q %v", c.header, kind, parts, err)
		}
	}
}
