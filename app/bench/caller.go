package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// caller is one connection to the API. It knows just enough HTTP to send a
// request and read an answer: a full client would take a good part of the
// machine that is measured.
type caller struct {
	conn net.Conn
	in   *bufio.Reader
	out  []byte
	body []byte
}

func dial(ctx context.Context, address string) (*caller, error) {
	conn, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, errs.As(errs.Transient, "bench", err)
	}
	return &caller{conn: conn, in: bufio.NewReader(conn)}, nil
}

// post sends one task and returns the answer's body, which is valid until the
// next call. Any status but 202 is an error.
func (c *caller) post(body []byte) ([]byte, error) {
	c.out = fmt.Appendf(c.out[:0], "POST /v1/tasks HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body))
	c.out = append(c.out, body...)
	_ = c.conn.SetDeadline(time.Now().Add(time.Minute)) // a socket takes deadlines
	if _, err := c.conn.Write(c.out); err != nil {
		return nil, errs.As(errs.Transient, "bench", err)
	}
	status, err := c.answer()
	if err == nil && status != 202 {
		err = errs.New(errs.Internal, "bench", "status %d: %s", status, c.body)
	}
	return c.body, err
}

func (c *caller) answer() (status int, err error) {
	length := -1
	for first := true; ; first = false {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, errs.As(errs.Transient, "bench", err)
		}
		line = bytes.TrimSpace(line)
		if first {
			if fields := bytes.Fields(line); len(fields) > 1 {
				status, _ = strconv.Atoi(string(fields[1])) // no number is status 0
			}
			continue
		}
		if len(line) == 0 {
			break
		}
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && bytes.EqualFold(name, []byte("Content-Length")) {
			length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
		}
	}
	if length < 0 || length > 1<<20 {
		return 0, errs.New(errs.Internal, "bench", "an answer without a length")
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.in, c.body)
	return status, errs.As(errs.Transient, "bench", err)
}

func (c *caller) close() { _ = c.conn.Close() }
