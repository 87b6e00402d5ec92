package egress

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/internal/span"
)

// Post sends body to addr, under the same rules as fetching, and returns the
// status and header of the answer. Redirects are not followed: the answer is
// the redirect. A refused address is Denied, no answer Transient or Timeout.
func (c *Client) Post(ctx context.Context, addr string, header http.Header, body []byte) (int, http.Header, error) {
	resp, err := c.post(ctx, addr, header, body)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // lets the connection be reused
	return resp.StatusCode, resp.Header, nil
}

// Ask is Post that returns the body of the answer too. An answer of more than
// most bytes is TooLarge, one that does not end in the client's time Transient.
func (c *Client) Ask(ctx context.Context, addr string, header http.Header, body []byte, most int64) (status int, answer []byte, err error) {
	err = c.bounded(ctx, func(ctx context.Context) error {
		resp, err := c.post(ctx, addr, header, body)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		status = resp.StatusCode
		if answer, err = io.ReadAll(io.LimitReader(resp.Body, most+1)); err != nil {
			return fault(ctx, err)
		}
		if int64(len(answer)) > most {
			return errs.New(errs.TooLarge, op, "the answer has more than %d bytes", most)
		}
		return nil
	})
	return status, answer, err
}

func (c *Client) post(ctx context.Context, addr string, header http.Header, body []byte) (*http.Response, error) {
	if err := CheckURL(addr); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, addr, bytes.NewReader(body))
	if err != nil {
		return nil, errs.InField("url", "is no URL: %v", bare(err))
	}
	req.Header = header.Clone()
	if traceparent := span.Traceparent(ctx); traceparent != "" { // who is asked may join the trace
		if req.Header == nil {
			req.Header = http.Header{}
		}
		req.Header.Set("Traceparent", traceparent)
	}
	client := *c.http
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := client.Do(req)
	if err != nil {
		kind := errs.KindOf(err)
		if kind == errs.Internal {
			kind = errs.Transient
		}
		return nil, errs.New(kind, op, "no answer: %w", bare(err))
	}
	return resp, nil
}
