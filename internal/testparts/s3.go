package testparts

import (
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"testing"
)

// S3Server is a versitygw over a folder.
type S3Server struct {
	Endpoint string // HOST:PORT
	Access   string
	Secret   string

	binary string
	dir    string
	p      *Process
}

// S3 starts an S3 server that answers plain HTTP on a loopback port, with
// nothing in it. It ends with the test.
func S3(t testing.TB) *S3Server {
	t.Helper()
	s := &S3Server{
		Endpoint: fmt.Sprintf("127.0.0.1:%d", Port(t)), Access: "mediafn-test", Secret: "not/a+secret=1",
		binary: Binary(t, "versitygw"), dir: Dir(t, "s3"),
	}
	s.Start(t)
	return s
}

// Start starts the server over what it held before.
func (s *S3Server) Start(t testing.TB) {
	t.Helper()
	cmd := exec.Command(s.binary, "--port", s.Endpoint, "--quiet", "--health", "/health", "posix", s.dir)
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + s.Access, "ROOT_SECRET_KEY=" + s.Secret, "HOME=" + s.dir}
	s.p = Launch(t, "versitygw", cmd, filepath.Join(t.TempDir(), "versitygw.log"))
	s.p.EndWith(t)
	s.p.Await(t, func() error {
		r, err := http.Get("http://" + s.Endpoint + "/health")
		if err != nil {
			return err
		}
		http.DefaultClient.CloseIdleConnections()
		if err := r.Body.Close(); err != nil {
			return err
		}
		if r.StatusCode != http.StatusOK {
			return fmt.Errorf("health: %s", r.Status)
		}
		return nil
	})
}

// Kill ends the server with SIGKILL; Start brings it back.
func (s *S3Server) Kill() { s.p.Kill() }

// URL is the address a store of mediafn takes; query is added as it is, as
// "prefix=a-&create=false".
func (s *S3Server) URL(query string) string { return s.At(s.Endpoint, query) }

// At is URL for somebody who listens in front of the server.
func (s *S3Server) At(endpoint, query string) string {
	u := url.URL{Scheme: "s3", User: url.UserPassword(s.Access, s.Secret), Host: endpoint, RawQuery: "tls=false"}
	if query != "" {
		u.RawQuery += "&" + query
	}
	return u.String()
}
