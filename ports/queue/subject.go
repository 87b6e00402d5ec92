package queue

import (
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

const maxSubject = 255 // bytes

// Match reports whether subject is covered by pattern, where "*" stands for one
// token and a last ">" for one or more (NATS subjects).
func Match(pattern, subject string) bool {
	for {
		p, prest, pmore := strings.Cut(pattern, ".")
		s, srest, smore := strings.Cut(subject, ".")
		switch {
		case p == ">" && !pmore:
			return true
		case p != "*" && p != s:
			return false
		case !pmore || !smore:
			return pmore == smore
		}
		pattern, subject = prest, srest
	}
}

// Overlap reports whether some subject is covered by both patterns.
func Overlap(a, b string) bool {
	for {
		x, xrest, xmore := strings.Cut(a, ".")
		y, yrest, ymore := strings.Cut(b, ".")
		switch {
		case x == ">" && !xmore, y == ">" && !ymore:
			return true
		case x != "*" && y != "*" && x != y:
			return false
		case !xmore || !ymore:
			return xmore == ymore
		}
		a, b = xrest, yrest
	}
}

// checkSubject accepts tokens of printable ASCII joined by dots. Wildcards are
// accepted in patterns only; subjects that start with "$" belong to the system.
func checkSubject(field, s string, pattern bool) error {
	switch {
	case s == "":
		return errs.InField(field, "is empty")
	case len(s) > maxSubject:
		return errs.InField(field, "is longer than %d bytes", maxSubject)
	case s[0] == '$':
		return errs.InField(field, "%q starts with $, which is reserved", s)
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] > '~' {
			return errs.InField(field, "%q holds a character that is not printable ASCII", s)
		}
	}
	rest, more := s, true
	for more {
		var token string
		token, rest, more = strings.Cut(rest, ".")
		switch {
		case token == "":
			return errs.InField(field, "%q has an empty token", s)
		case token == "*" && pattern, token == ">" && pattern && !more:
		case strings.ContainsAny(token, "*>"):
			return errs.InField(field, "%q has a wildcard where none may be", s)
		}
	}
	return nil
}

// checkName accepts names of streams, durables and groups: 1 to 64 of A-Z a-z
// 0-9 _ and -.
func checkName(field, s string) error {
	if s == "" || len(s) > 64 {
		return errs.InField(field, "must have 1 to 64 characters, has %d", len(s))
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return errs.InField(field, "%q may hold only A-Z a-z 0-9 _ and -", s)
		}
	}
	return nil
}
