// Package cors lets web pages of chosen origins call the API (WHATWG Fetch), and
// keeps those of others from changing anything.
package cors

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

// All stands for every origin.
const All = "*"

// What pages of allowed origins may send and read, beyond what browsers let
// through anyway. Keys travel in Authorization and not in cookies, so no page
// gets at anything by what a browser adds on its own.
var (
	methods = strings.Join([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}, ", ")
	request = strings.Join([]string{
		"Authorization", "Content-Type", "Prefer", "Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Range", "Traceparent", "Tracestate",
		"X-Requested-With", "X-Request-ID", "X-HTTP-Method-Override", "Tus-Resumable", "Upload-Offset", "Upload-Length", "Upload-Defer-Length",
		"Upload-Metadata", "Upload-Concat", "Upload-Checksum",
	}, ", ")
	reply = strings.Join([]string{
		"Location", "Allow", "ETag", "Accept-Ranges", "Content-Range", "Preference-Applied", "Retry-After", "WWW-Authenticate", "Tus-Resumable",
		"Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm", "Upload-Offset", "Upload-Length", "Upload-Defer-Length",
		"Upload-Metadata", "Upload-Concat", "Upload-Expires",
	}, ", ")
)

// maxAge is how many seconds a browser remembers the answer to a preflight;
// none does so longer.
const maxAge = "7200"

// Handler serves next to pages of origins, as Check has them. Pages of others
// can't read answers, and can't change anything either: a browser sends their
// simple requests without asking, and where no key is needed nothing but the
// origin tells those from a caller's own. refuse answers them.
func Handler(origins []string, refuse func(http.ResponseWriter, error), next http.Handler) http.Handler {
	all, some := slices.Contains(origins, All), len(origins) > 0
	guard := http.NewCrossOriginProtection() // lets pages of this very address through, and who is no browser
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		head, origin := w.Header(), r.Header.Get("Origin")
		preflight := r.Method == http.MethodOptions && origin != "" && r.Header.Get("Access-Control-Request-Method") != ""
		allowed := origin != "" && (all || slices.Contains(origins, origin))
		if some && !all {
			head.Add("Vary", "Origin")
		}
		switch {
		case allowed:
			head.Set("Access-Control-Allow-Origin", origin)
			if all {
				head.Set("Access-Control-Allow-Origin", All)
			}
			head.Set("Access-Control-Expose-Headers", reply)
		case preflight, guard.Check(r) != nil:
			refuse(w, errs.New(errs.Denied, "cors", "pages of %q may not call this API", origin))
			return
		}
		if preflight {
			head.Set("Access-Control-Allow-Methods", methods)
			head.Set("Access-Control-Allow-Headers", request)
			head.Set("Access-Control-Max-Age", maxAge)
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Check tells whether an origin is written as browsers write it, or is *:
// any other would match no request.
func Check(origin string) error {
	if origin == All {
		return nil
	}
	u, err := url.Parse(origin)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || origin != u.Scheme+"://"+u.Host {
		return errs.New(errs.Invalid, "", "%q is neither https://HOST, http://HOST:PORT nor *", origin)
	}
	port := u.Port()
	if origin != strings.ToLower(origin) || strings.HasSuffix(u.Host, ":") || u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		return errs.New(errs.Invalid, "", "%q: browsers write origins in small letters and without the scheme's own port", origin)
	}
	return nil
}
