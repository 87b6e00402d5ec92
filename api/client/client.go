// Package client talks to mediafn's HTTP API. Every error is an errs error of
// the kind the server named, with the request field at fault kept; a server
// that cannot be reached is Transient.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
)

const op = "client"

// maxReply bounds a JSON answer: facts with every frame of a film fit.
const maxReply = 256 << 20

// Client is one server as one tenant sees it. It may be used concurrently.
type Client struct {
	base string // without a slash at the end
	key  string
	http *http.Client
}

// New returns a client of the server at baseURL ("http://host:8080"). key is
// the tenant's API key, empty where the server asks for none. A nil h is
// http.DefaultClient; its Timeout must be 0 if Events or waits are used. A
// baseURL that is not http or https is Invalid and names server.
func New(baseURL, key string, h *http.Client) (*Client, error) {
	u, err := url.Parse(baseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, errs.InField("server", "%q is not an http or https URL", baseURL)
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errs.InField("key", "holds a character no key has")
	}
	if h == nil {
		h = http.DefaultClient
	}
	return &Client{base: strings.TrimRight(u.String(), "/"), key: key, http: h}, nil
}

// Close lets idle connections go.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// call is one request.
type call struct {
	method string
	path   string // escaped, from /v1 on
	query  url.Values
	header http.Header
	body   io.Reader
	size   int64 // of body; -1 unknown
}

// send carries a call out. The caller closes the body of the answer, whose
// status is below 300.
func (c *Client) send(ctx context.Context, rq call) (*http.Response, error) {
	target := c.base + rq.path
	if len(rq.query) > 0 {
		target += "?" + rq.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, rq.method, target, rq.body)
	if err != nil {
		return nil, errs.New(errs.Invalid, op, "%w", err)
	}
	for name, values := range rq.header {
		r.Header[name] = values
	}
	if rq.body != nil {
		r.ContentLength = rq.size
	}
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	reply, err := c.http.Do(r)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if reply.StatusCode < 300 {
		return reply, nil
	}
	defer reply.Body.Close()
	return nil, problem(reply)
}

// unreachable tells our own end from the server's.
func (c *Client) unreachable(ctx context.Context, err error) error {
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err // its text repeats the whole URL
	}
	var own *errs.Error
	switch {
	case ctx.Err() != nil:
		return errs.Wrap(op, context.Cause(ctx))
	case errors.As(err, &own): // the reader of an upload failed
		return errs.Wrap(op, err)
	}
	return errs.New(errs.Transient, op, "%s: %w", c.base, err)
}

// problem reads RFC 9457 details; an answer that is none, from a proxy perhaps,
// is classified by its status.
func problem(reply *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(reply.Body, 1<<20)) // as much as came
	var p api.Problem
	if err := json.Unmarshal(body, &p); err == nil && p.ErrorCode != "" {
		msg := p.Detail
		if p.Field != "" {
			msg = strings.Replace(msg, p.Field+": ", "", 1) // Error says it again
		}
		return &errs.Error{Kind: errs.ParseKind(p.ErrorCode), Field: p.Field, Msg: msg}
	}
	return errs.New(kindOf(reply.StatusCode), op, "the server answered %s", reply.Status)
}

// kindOf is the kind an HTTP status stands for: the inverse of api.Status.
func kindOf(status int) errs.Kind {
	for k := errs.Internal; k <= errs.Canceled; k++ {
		if api.Status(k) == status {
			return k
		}
	}
	switch {
	case status == http.StatusUnauthorized:
		return errs.Denied
	case status == http.StatusGone:
		return errs.NotFound
	case status == http.StatusBadGateway:
		return errs.Transient
	case status >= 400 && status < 500:
		return errs.Invalid
	}
	return errs.Internal
}

// get reads a JSON answer into v.
func (c *Client) get(ctx context.Context, rq call, v any) error {
	_, err := c.json(ctx, rq, v)
	return err
}

// json sends a call and decodes the JSON answer into v, or into what v chooses
// by the status if it is a func(int) any.
func (c *Client) json(ctx context.Context, rq call, v any) (status int, err error) {
	reply, err := c.send(ctx, rq)
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	if f, ok := v.(func(int) any); ok {
		v = f(reply.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(reply.Body, maxReply)).Decode(v); err != nil {
		if ctx.Err() != nil {
			return 0, errs.Wrap(op, context.Cause(ctx))
		}
		return 0, errs.New(errs.Transient, op, "%s: the answer broke off or is no JSON: %w", c.base, err)
	}
	return reply.StatusCode, nil
}

// encoded is v as a request body.
func encoded(v any) (io.Reader, int64, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, 0, errs.New(errs.Invalid, op, "%w", err)
	}
	return bytes.NewReader(body), int64(len(body)), nil
}

// escape joins path segments.
func escape(format string, segments ...string) string {
	args := make([]any, len(segments))
	for i, s := range segments {
		args[i] = url.PathEscape(s)
	}
	return fmt.Sprintf(format, args...)
}
