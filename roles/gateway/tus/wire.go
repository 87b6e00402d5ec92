package tus

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

// What the protocol calls things (tus 1.0.0).
const (
	version    = "1.0.0"
	extensions = "creation,creation-with-upload,creation-defer-length,termination,expiration,checksum,concatenation"
	algorithms = "sha1,md5,sha256"
	bodyType   = "application/offset+octet-stream"
	maxMeta    = 8 << 10
	maxParts   = 1000
)

// Status is an error with an HTTP status of the protocol's own.
type Status struct {
	Code int
	Err  error
}

func (s *Status) Error() string   { return s.Err.Error() }
func (s *Status) Unwrap() error   { return s.Err }
func (s *Status) HTTPStatus() int { return s.Code }

const statusChecksum = 460 // Checksum Mismatch

func wrong(code int, field, format string, args ...any) error {
	return &Status{code, errs.InField(field, format, args...)}
}

// number reads a header that is a whole number ≥ 0.
func number(h http.Header, name string) (int64, error) {
	n, err := strconv.ParseInt(h.Get(name), 10, 64)
	if err != nil || n < 0 {
		return 0, errs.InField(name, "must be a whole number, 0 or more")
	}
	return n, nil
}

// length reads Upload-Length or Upload-Defer-Length; -1 = declared later.
func length(h http.Header) (int64, error) {
	deferred := h.Get("Upload-Defer-Length")
	switch {
	case deferred == "":
		return number(h, "Upload-Length")
	case deferred != "1":
		return 0, errs.InField("Upload-Defer-Length", "must be 1")
	case h.Get("Upload-Length") != "":
		return 0, errs.InField("Upload-Defer-Length", "excludes Upload-Length")
	}
	return -1, nil
}

// metadata reads Upload-Metadata: "key base64,key base64,key".
func metadata(text string) (map[string]string, error) {
	const field = "Upload-Metadata"
	if len(text) > maxMeta {
		return nil, errs.InField(field, "is longer than %d bytes", maxMeta)
	}
	all := map[string]string{}
	for pair := range strings.SplitSeq(text, ",") {
		if pair = strings.TrimSpace(pair); pair == "" && text == "" {
			break
		}
		key, coded, _ := strings.Cut(pair, " ")
		if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return nil, errs.InField(field, "has a key that is empty or not of printable ASCII")
		}
		if _, twice := all[key]; twice {
			return nil, errs.InField(field, "has the key %q twice", key)
		}
		value, err := base64.StdEncoding.DecodeString(coded)
		if err != nil {
			return nil, errs.InField(field+"."+key, "is not in base64")
		}
		all[key] = string(value)
	}
	return all, nil
}

// checksum is what a body must sum up to.
type checksum struct {
	hash.Hash
	want string
}

// sum reads Upload-Checksum; nil if there is none.
func sum(h http.Header) (*checksum, error) {
	const field = "Upload-Checksum"
	text := h.Get(field)
	if text == "" {
		return nil, nil
	}
	name, coded, _ := strings.Cut(text, " ")
	want, err := base64.StdEncoding.DecodeString(coded)
	if err != nil || coded == "" {
		return nil, errs.InField(field, "must be an algorithm and a sum in base64")
	}
	c := &checksum{want: string(want)}
	switch name {
	case "sha1":
		c.Hash = sha1.New()
	case "md5":
		c.Hash = md5.New()
	case "sha256":
		c.Hash = sha256.New()
	default:
		return nil, errs.InField(field, "the algorithm is none of %s", algorithms)
	}
	return c, nil
}

func (c *checksum) fits() bool { return c == nil || string(c.Sum(nil)) == c.want }

// concat reads Upload-Concat: nothing, "partial", or "final;" and the URLs of
// the parts, of which only the last element counts.
func concat(h http.Header) (kind string, parts []string, err error) {
	const field = "Upload-Concat"
	kind, list, _ := strings.Cut(h.Get(field), ";")
	switch kind {
	case "", "partial":
		return kind, nil, nil
	case "final":
	default:
		return "", nil, errs.InField(field, "must be partial, or final; and URLs")
	}
	for text := range strings.FieldsSeq(list) {
		u, err := url.Parse(text)
		if err != nil || len(parts) >= maxParts {
			return "", nil, errs.InField(field, "must name 1 to %d uploads by their URLs", maxParts)
		}
		parts = append(parts, path.Base(u.Path))
	}
	if len(parts) == 0 {
		return "", nil, errs.InField(field, "must name 1 to %d uploads by their URLs", maxParts)
	}
	return kind, parts, nil
}
