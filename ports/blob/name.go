package blob

import (
	"strings"
	"unicode/utf8"

	"github.com/mediafn/mediafn/core/errs"
)

const maxKey = 1024 // bytes, as S3 has it

// CheckBucket accepts 2 to 63 of a-z 0-9 . and -, the first a letter or digit,
// without two dots in a row.
func CheckBucket(field, s string) error {
	if len(s) < 2 || len(s) > 63 {
		return errs.InField(field, "must have 2 to 63 characters, has %d", len(s))
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		alnum := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '.' && c != '-') {
			return errs.InField(field, "%q must be of a-z 0-9 . and -, beginning with a letter or digit", s)
		}
	}
	if strings.Contains(s, "..") {
		return errs.InField(field, "%q has two dots in a row", s)
	}
	return nil
}

// CheckKey accepts up to 1024 bytes of UTF-8 without control characters, made of
// segments joined by "/" that are neither empty nor "." nor "..".
func CheckKey(field, s string) error {
	if err := checkText(field, s); err != nil {
		return err
	}
	for seg := range strings.SplitSeq(s, "/") {
		switch seg {
		case "":
			return errs.InField(field, "%q is empty or has an empty segment", s)
		case ".", "..":
			return errs.InField(field, "%q has the segment %q", s, seg)
		}
	}
	return nil
}

func checkText(field, s string) error {
	if len(s) > maxKey {
		return errs.InField(field, "has %d bytes, at most %d", len(s), maxKey)
	}
	if !utf8.ValidString(s) {
		return errs.InField(field, "is not UTF-8")
	}
	for _, r := range s {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return errs.InField(field, "%q holds a control character", s)
		}
	}
	return nil
}

// checkName checks both halves of an object's name.
func checkName(op, bucket, key string) error {
	if err := CheckBucket("bucket", bucket); err != nil {
		return errs.Wrap(op, err)
	}
	return errs.Wrap(op, CheckKey("key", key))
}
