// Package egress is the one HTTP client that fetches addresses users give. It
// talks to public addresses only, checked after every name resolution and
// on every redirect, and bounds what an answer may cost in bytes and in time.
package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

const op = "egress"

// Config limits a Client. Zero fields take the values of Default.
type Config struct {
	// Allow lists what may be fetched although it is not public: a CIDR
	// ("10.1.0.0/16"), an address, a host, or host:port.
	Allow []string
	// MaxBytes is the largest object.
	MaxBytes int64
	// Timeout is the longest wait for an answer to one range, and in a
	// download the longest wait for its next bytes.
	Timeout time.Duration
	// Total is the longest a whole download may take.
	Total time.Duration
	// MaxRedirects is how many redirects are followed; -1 = none.
	MaxRedirects int
	// TLS changes how servers are verified; nil = the system's roots.
	TLS *tls.Config
}

// Default returns the limits used where a Config is silent.
func Default() Config {
	return Config{MaxBytes: 64 << 30, Timeout: 30 * time.Second, Total: time.Hour, MaxRedirects: 5}
}

const (
	maxURL    = 8 << 10  // bytes
	maxHeader = 64 << 10 // bytes of a response's header
	tries     = 3        // of one range, before a transient fault is reported
)

// Client fetches. It is safe for concurrent use.
type Client struct {
	cfg      Config
	allow    exceptions
	dialer   net.Dialer
	resolver *net.Resolver
	http     *http.Client
	pause    time.Duration // before the second try of a range, doubling
}

// New returns a client. A malformed Allow is Invalid and names egress.allow.
func New(cfg Config) (*Client, error) {
	d := Default()
	if cfg.MaxBytes <= 0 {
		cfg.MaxBytes = d.MaxBytes
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = d.Timeout
	}
	if cfg.Total <= 0 {
		cfg.Total = d.Total
	}
	if cfg.MaxRedirects == 0 {
		cfg.MaxRedirects = d.MaxRedirects
	}
	allow, err := parseAllow(cfg.Allow)
	if err != nil {
		return nil, err
	}
	c := &Client{
		cfg: cfg, allow: allow, resolver: net.DefaultResolver, pause: 100 * time.Millisecond,
		dialer: net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second},
	}
	c.http = &http.Client{
		CheckRedirect: c.redirect,
		Transport: &http.Transport{
			Proxy:                  nil, // a proxy from the environment would dial what we must check
			DialContext:            c.dial,
			TLSClientConfig:        cfg.TLS,
			TLSHandshakeTimeout:    10 * time.Second,
			ResponseHeaderTimeout:  cfg.Timeout,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true, // ranges count the bytes as stored
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           64,
			MaxIdleConnsPerHost:    8,
			IdleConnTimeout:        30 * time.Second,
		},
	}
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// CheckURL reports whether raw is an address this client would try. It does
// not resolve the name. An error is Invalid and names the field "url".
func CheckURL(raw string) error {
	if len(raw) > maxURL {
		return errs.InField("url", "is longer than %d bytes", maxURL)
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errs.InField("url", "is no URL: %v", bare(err))
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return errs.InField("url", "scheme %q is not http or https", u.Scheme)
	}
	if u.Hostname() == "" || u.Opaque != "" {
		return errs.InField("url", "names no host")
	}
	return nil
}

// redirect judges each further address. The net/http client itself drops
// credentials and cookies on the way to another host.
func (c *Client) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > c.cfg.MaxRedirects {
		return errs.InField("url", "more than %d redirects", c.cfg.MaxRedirects)
	}
	if err := CheckURL(req.URL.String()); err != nil {
		return errs.New(errs.Denied, op, "redirected to an address that is not fetched: %w", err)
	}
	req.Header.Del("Referer") // the address before may hold a signature
	return nil
}

// get asks for addr. The answer's body is open unless there is an error.
func (c *Client) get(ctx context.Context, addr string, header map[string]string) (*http.Response, error) {
	if err := CheckURL(addr); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, addr, nil)
	if err != nil {
		return nil, errs.InField("url", "is no URL: %v", bare(err))
	}
	req.Header.Set("User-Agent", "mediafn")
	req.Header.Set("Accept-Encoding", "identity")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, fault(ctx, err)
	}
	if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		resp.Body.Close()
		return nil, errs.New(errs.Unsupported, op, "the server insists on content encoding %q", e)
	}
	return resp, nil
}

// fault gives a transport error its kind. ctx is the caller's.
func fault(ctx context.Context, err error) error {
	err = bare(err)
	var own *errs.Error
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &own):
		return own
	case context.Cause(ctx) != nil:
		return errs.Wrap(op, context.Cause(ctx))
	case errors.As(err, &cert):
		return &errs.Error{Kind: errs.Denied, Op: op, Msg: "the certificate of its server is not accepted", Err: err}
	}
	return &errs.Error{Kind: errs.Transient, Op: op, Msg: "its server cannot be read from", Err: err}
}

// bare takes off net/http's wrapping, which prints the whole address with
// whatever secrets its query holds.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// status turns an answer that is not the media into an error.
func status(code int) error {
	kind := errs.Invalid
	switch {
	case code == http.StatusNotFound || code == http.StatusGone:
		kind = errs.NotFound
	case code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusProxyAuthRequired ||
		code == http.StatusUnavailableForLegalReasons:
		kind = errs.Denied
	case code == http.StatusTooManyRequests:
		kind = errs.Busy
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly || code >= 500:
		kind = errs.Transient
	}
	return &errs.Error{Kind: kind, Op: op, Msg: "the server answered " + text(code)}
}
