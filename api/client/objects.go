package client

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/mediafn/mediafn/core/media"
)

// PutObject uploads an object. size is what r gives, -1 if unknown; mime may be
// empty. r is read once.
func (c *Client) PutObject(ctx context.Context, ref media.Ref, r io.Reader, size int64, mime string) (*media.Object, error) {
	rq := object(http.MethodPut, ref)
	rq.body, rq.size = r, size
	if size == 0 {
		rq.body = http.NoBody
	}
	if mime != "" {
		rq.header = http.Header{"Content-Type": {mime}}
	}
	var o media.Object
	return &o, c.get(ctx, rq, &o)
}

// GetObject opens an object; the caller closes it. The object says what the
// server tells of it; Size is -1 if it does not say.
func (c *Client) GetObject(ctx context.Context, ref media.Ref) (io.ReadCloser, *media.Object, error) {
	reply, err := c.send(ctx, object(http.MethodGet, ref))
	if err != nil {
		return nil, nil, err
	}
	return reply.Body, &media.Object{Ref: ref, Mime: reply.Header.Get("Content-Type"), Size: reply.ContentLength}, nil
}

// DeleteObject removes an object. It is no error if there is none.
func (c *Client) DeleteObject(ctx context.Context, ref media.Ref) error {
	reply, err := c.send(ctx, object(http.MethodDelete, ref))
	if err != nil {
		return err
	}
	return reply.Body.Close()
}

func object(method string, ref media.Ref) call {
	segments := strings.Split(ref.Key, "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	rq := call{method: method, path: escape("/v1/objects/%s/", ref.Bucket) + strings.Join(segments, "/")}
	if ref.Cloud != "" {
		rq.query = url.Values{"cloud": {ref.Cloud}}
	}
	return rq
}
