package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
)

// handler serves one authenticated request; what it returns becomes a problem
// document.
type handler func(w http.ResponseWriter, r *http.Request, tenant string) error

func (g *Gateway) wrap(h handler) http.Handler {
	return g.open(func(w http.ResponseWriter, r *http.Request) error {
		tenant, err := g.tenant(r)
		if err != nil {
			return err
		}
		return h(w, r, tenant)
	})
}

// open serves requests that carry a credential of their own, or need none.
func (g *Gateway) open(h func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			var coded *codedError
			msgID := ""
			if errors.As(err, &coded) {
				msgID = coded.msgID
			}
			writeError(w, g.parts.Log, err, msgID)
		}
	})
}

// codedError carries the msg_id of the request an error answers.
type codedError struct {
	msgID string
	err   error
}

func (e *codedError) Error() string { return e.err.Error() }
func (e *codedError) Unwrap() error { return e.err }

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // the caller is gone; nothing is left to say
}

func writeError(w http.ResponseWriter, log *slog.Logger, err error, msgID string) {
	p := api.ProblemOf(err, msgID)
	var own interface{ HTTPStatus() int } // of a protocol that has its own
	if errors.As(err, &own) {
		p.Status = own.HTTPStatus()
	}
	if p.Status >= 500 || (p.Status == http.StatusForbidden && errs.Plain(err) == "") {
		log.Error("request failed", "err", err)
	}
	if p.Status == http.StatusTooManyRequests || p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	if p.Status == http.StatusForbidden && strings.Contains(p.Detail, "key") {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	writeProblem(w, p)
}

func writeProblem(w http.ResponseWriter, p api.Problem) {
	body, err := json.Marshal(p)
	if err != nil {
		body = []byte("{}")
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}

// bodyTime is what a JSON body may take to arrive: a slow sender must not hold
// a place for long.
const bodyTime = 30 * time.Second

// decode reads a JSON body strictly: unknown fields, wrong types and trailing
// text are Invalid and named.
func decode(w http.ResponseWriter, r *http.Request, limit int64, v any) error {
	connection := http.NewResponseController(w)
	if connection.SetReadDeadline(time.Now().Add(bodyTime)) == nil { // it fails where no network is
		defer func() { _ = connection.SetReadDeadline(time.Time{}) }()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return errs.New(errs.TooLarge, "request", "the body is longer than %d bytes", limit)
		}
		return errs.As(errs.Transient, "request", err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return jsonError(err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return errs.New(errs.Invalid, "request", "text after the JSON object")
	}
	return nil
}

func jsonError(err error) error {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return errs.InField(wrong.Field, "must be %s, not %s", plain(wrong.Type.String()), wrong.Value)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return errs.InField(strings.Trim(name, `"`), "unknown field")
	}
	return errs.New(errs.Invalid, "request", "the body is not JSON: %v", err)
}

// plain names a Go type the way JSON does.
func plain(t string) string {
	switch {
	case strings.HasPrefix(t, "*"):
		return plain(t[1:])
	case strings.HasPrefix(t, "int"), strings.HasPrefix(t, "uint"):
		return "a whole number"
	case strings.HasPrefix(t, "float"):
		return "a number"
	case strings.HasPrefix(t, "[]"):
		return "a list"
	case t == "string", t == "bool":
		return "a " + t
	}
	return "an object"
}
