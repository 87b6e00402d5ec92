package gate

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// BenchmarkServe reads a cached object over and over, in turn with the same
// bytes from a bare net/http server, and reports how many times the latter's
// time it takes.
func BenchmarkServe(b *testing.B) {
	content := make([]byte, 8<<20)
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	defer bare.Close()
	g, err := Open(Config{})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	defer http.DefaultClient.CloseIdleConnections()
	gr, err := g.Grant(b.Context(), bytes.NewReader(content), "")
	if err != nil {
		b.Fatal(err)
	}
	get := func(url string) time.Duration {
		began := time.Now()
		resp, err := http.Get(url)
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != int64(len(content)) {
			b.Fatal(n, err)
		}
		return time.Since(began)
	}
	var ours, reference time.Duration
	for b.Loop() {
		ours += get(gr.URL())
		reference += get(bare.URL)
	}
	b.ReportMetric(float64(ours)/float64(reference), "×net/http")
}
