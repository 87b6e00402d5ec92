package gate

import (
	"net/http"
	"strconv"
	"strings"
)

// span is a run of bytes of an object.
type span struct{ start, length int64 }

// parseRange reads a Range header (RFC 9110 §14.2) for an object of size
// bytes. The status is 206 for one range that can be served, 416 for one that
// cannot, and 200 with the whole object where there is no range, several of
// them, another unit, or a header that does not parse: the standard lets a
// server ignore those.
func parseRange(header string, size int64) (span, int) {
	whole := span{0, size}
	unit, set, ok := strings.Cut(header, "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") || strings.Contains(set, ",") {
		return whole, http.StatusOK
	}
	first, last, ok := strings.Cut(strings.TrimSpace(set), "-")
	if !ok {
		return whole, http.StatusOK
	}
	if first == "" {
		n, ok := number(last)
		switch {
		case !ok:
			return whole, http.StatusOK
		case n == 0 || size == 0:
			return span{}, http.StatusRequestedRangeNotSatisfiable
		}
		n = min(n, size)
		return span{size - n, n}, http.StatusPartialContent
	}
	a, ok := number(first)
	if !ok {
		return whole, http.StatusOK
	}
	b := size - 1
	if last != "" {
		n, ok := number(last)
		if !ok || n < a {
			return whole, http.StatusOK
		}
		b = min(b, n)
	}
	if a >= size {
		return span{}, http.StatusRequestedRangeNotSatisfiable
	}
	return span{a, b - a + 1}, http.StatusPartialContent
}

// number parses digits only. A number that does not fit is as good as the
// largest one.
func number(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		n = 1<<63 - 1
	}
	return n, true
}
