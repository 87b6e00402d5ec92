package client

import (
	"context"
	"encoding/base64"
	"io"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// tusVersion is the protocol uploads speak.
const tusVersion = "1.0.0"

// File is what is uploaded.
type File struct {
	media.Ref        // where the object goes; without a key below the upload's id, under Name
	Name      string // its file's name
	Mime      string
	Meta      map[string]string // more that the server keeps and gives back
	Size      int64
}

// CreateUpload begins a resumable upload and returns its id. Nothing is sent
// yet, but tasks may name it.
func (c *Client) CreateUpload(ctx context.Context, f File) (id string, err error) {
	meta := []string{}
	add := func(name, value string) {
		if value != "" {
			meta = append(meta, name+" "+base64.StdEncoding.EncodeToString([]byte(value)))
		}
	}
	add("cloud", f.Cloud)
	add("bucket", f.Bucket)
	add("key", f.Key)
	add("filename", f.Name)
	add("filetype", f.Mime)
	for name, value := range f.Meta {
		add(name, value)
	}
	reply, err := c.tus(ctx, http.MethodPost, "", http.Header{
		"Upload-Length": {strconv.FormatInt(f.Size, 10)}, "Upload-Metadata": {strings.Join(meta, ",")},
	}, nil, 0)
	if err != nil {
		return "", err
	}
	if id = path.Base(reply.Get("Location")); id == "." || id == "/" {
		return "", errs.New(errs.Internal, op, "%s: an upload without a Location", c.base)
	}
	return id, nil
}

// Upload looks at an upload. NotFound: there is none, or none any more.
func (c *Client) Upload(ctx context.Context, id string) (*api.Upload, error) {
	var u api.Upload
	return &u, c.get(ctx, call{method: http.MethodGet, path: escape("/v1/uploads/%s", id)}, &u)
}

// UploadHead is what a sender has to know to go on.
type UploadHead struct {
	Offset int64             // bytes that have come
	Size   int64             // -1: not declared yet
	Meta   map[string]string // as it was given at the creation
}

// UploadHead asks where an upload goes on. A body that still hangs in a broken
// connection is ended by it. NotFound: there is none, or none any more.
func (c *Client) UploadHead(ctx context.Context, id string) (*UploadHead, error) {
	head, err := c.tus(ctx, http.MethodHead, id, nil, nil, 0)
	if err != nil {
		return nil, err
	}
	h := UploadHead{Size: -1, Meta: map[string]string{}}
	if n, err := strconv.ParseInt(head.Get("Upload-Length"), 10, 64); err == nil {
		h.Size = n
	}
	for pair := range strings.SplitSeq(head.Get("Upload-Metadata"), ",") {
		name, coded, _ := strings.Cut(pair, " ")
		if value, err := base64.StdEncoding.DecodeString(coded); err == nil {
			h.Meta[name] = string(value)
		}
	}
	h.Offset, err = offsetOf(head)
	return &h, err
}

// AppendUpload adds size bytes of r where an upload ends, and returns where it
// ends then. sum is empty, or an algorithm and a sum in base64: then the bytes
// count together or not at all. Conflict: the upload ends elsewhere.
func (c *Client) AppendUpload(ctx context.Context, id string, at int64, r io.Reader, size int64, sum string) (offset int64, err error) {
	header := http.Header{"Content-Type": {"application/offset+octet-stream"}, "Upload-Offset": {strconv.FormatInt(at, 10)}}
	if sum != "" {
		header.Set("Upload-Checksum", sum)
	}
	head, err := c.tus(ctx, http.MethodPatch, id, header, r, size)
	if err != nil {
		return 0, err
	}
	return offsetOf(head)
}

// EndUpload ends an upload before it is whole; what has come of it is deleted,
// and tasks that wait for it fail.
func (c *Client) EndUpload(ctx context.Context, id string) error {
	_, err := c.tus(ctx, http.MethodDelete, id, nil, nil, 0)
	return err
}

// UploadSums lists the checksums the server takes with the bytes of an upload.
func (c *Client) UploadSums(ctx context.Context) ([]string, error) {
	head, err := c.tus(ctx, http.MethodOptions, "", nil, nil, 0)
	if err != nil || !slices.Contains(strings.Split(head.Get("Tus-Extension"), ","), "checksum") {
		return nil, err
	}
	return strings.Split(head.Get("Tus-Checksum-Algorithm"), ","), nil
}

// tus makes a request of the protocol and returns the headers of the answer.
func (c *Client) tus(ctx context.Context, method, id string, header http.Header, body io.Reader, size int64) (http.Header, error) {
	rq := call{method: method, path: "/v1/uploads", header: http.Header{"Tus-Resumable": {tusVersion}}, body: body, size: size}
	if id != "" {
		rq.path = escape("/v1/uploads/%s", id)
	}
	for name, values := range header {
		rq.header[name] = values
	}
	reply, err := c.send(ctx, rq)
	if err != nil {
		return nil, err
	}
	return reply.Header, reply.Body.Close()
}

func offsetOf(head http.Header) (int64, error) {
	n, err := strconv.ParseInt(head.Get("Upload-Offset"), 10, 64)
	if err != nil || n < 0 {
		return 0, errs.New(errs.Internal, op, "the server says the upload is at %q", head.Get("Upload-Offset"))
	}
	return n, nil
}
