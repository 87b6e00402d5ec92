package gateway_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/file"
	"github.com/mediafn/mediafn/roles/gateway"
	"github.com/mediafn/mediafn/roles/gateway/tus"
)

// TestUploadsAreCounted follows uploads to every end they can have.
func TestUploadsAreCounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	r := newRigWith(t, func(r *rig, p *gateway.Parts) {
		store, err := file.Open(t.TempDir(), blob.Default()) // one that can't store everything
		if err != nil {
			t.Fatal(err)
		}
		r.blobs = blob.NewStores()
		if err := r.blobs.Add("main", store); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.blobs.Close() })
		p.Blobs, p.Metrics, p.Scrape = r.blobs, gateway.NewMetrics(reg), promhttp.HandlerFor(reg, promhttp.HandlerOpts{})
	}, small, func(c *gateway.Config) { c.Uploads.Life = -time.Second })
	u := r.listen(r.g)
	told := func() string { return r.do("GET", "/metrics", "").Body.String() }
	says := func(lines ...string) {
		t.Helper()
		have := "\n" + told()
		for _, line := range lines {
			if !strings.Contains(have, "\n"+line+"\n") {
				t.Errorf("not %q:\n%s", line, have)
			}
		}
	}

	done := u.create(2500, meta("bucket", "inputs", "key", "a"))
	u.patch(done, 0, noise(1500))
	says("mediafn_uploads_created_total 1", "mediafn_upload_bytes_total 1500", `mediafn_upload_piece_seconds_count{phase="receive"} 2`,
		`mediafn_upload_piece_seconds_count{phase="store"} 2`, `mediafn_upload_piece_seconds_count{phase="commit"} 2`, "mediafn_uploads_receiving 0")
	u.patch(done, 1500, noise(1000))
	says("mediafn_upload_bytes_total 2500", `mediafn_uploads_ended_total{outcome="done"} 1`)

	ended := u.create(2500, meta("bucket", "inputs", "key", "b"))
	if got := u.patch(ended, 0, noise(1500), "Upload-Checksum: md5 AAAA"); got != 460 {
		t.Error(got)
	}
	u.send("DELETE", ended, nil)
	says("mediafn_uploads_created_total 2", "mediafn_upload_bytes_total 2500", "mediafn_upload_dropped_bytes_total 1500", `mediafn_uploads_ended_total{outcome="terminated"} 1`)

	below := u.create(1, meta("bucket", "inputs", "key", "a/below-a-file"))
	u.patch(below, 0, noise(1))
	u.create(0, "Upload-Concat: partial")
	says(`mediafn_uploads_ended_total{outcome="failed"} 1`, `mediafn_uploads_ended_total{outcome="done"} 2`)

	broken := u.create(2500, meta("bucket", "inputs", "key", "c"))
	conn, err := net.Dial("tcp", strings.TrimPrefix(u.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "PATCH %s HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nContent-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: 2500\r\n\r\n%s",
		broken, noise(1200))
	eventually(t, func() bool { return strings.Contains(told(), "mediafn_uploads_receiving 1") })
	conn.Close()
	eventually(t, func() bool { return strings.Contains(told(), "mediafn_upload_breaks_total 1") })
	says("mediafn_upload_bytes_total 3701")

	// Who tends uploads knows how many are open. The one that is there has expired.
	others := prometheus.NewRegistry()
	tender := tus.New(tus.Default("tender"), tus.Parts{
		Store: r.store, Queue: r.queue, Blobs: r.blobs, Bucket: "arriving", Log: r.parts().Log, Reached: func(string) {}, Metrics: tus.NewMetrics(others),
	})
	for _, want := range []float64{1, 0} {
		if err := tender.Tend(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := value(t, others, "mediafn_uploads_open"); got != want {
			t.Errorf("%v open, want %v", got, want)
		}
	}
	if got := value(t, others, "mediafn_uploads_ended_total"); got != 2 { // the part, too
		t.Errorf("%v expired", got)
	}
}

// value is the sum of a metric.
func value(t *testing.T, reg *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}
