package egress

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/mediafn/mediafn/core/errs"
)

// Post sends body to addr, under the same rules as fetching, and returns the
// status and header of the answer. Redirects are not followed: the answer is
// the redirect. A refused address is Denied, no answer Transient or Timeout.
func (c *Client) Post(ctx context.Context, addr string, header http.Header, body []byte) (int, http.Header, error) {
	if err := CheckURL(addr); err != nil {
		return 0, nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, addr, bytes.NewReader(body))
	if err != nil {
		return 0, nil, errs.InField("url", "is no URL: %v", bare(err))
	}
	req.Header = header.Clone()
	client := *c.http
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		kind := errs.KindOf(err)
		if kind == errs.Internal {
			kind = errs.Transient
		}
		return 0, nil, errs.New(kind, op, "no answer: %w", bare(err))
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // lets the connection be reused
	return resp.StatusCode, resp.Header, nil
}
