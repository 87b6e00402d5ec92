package s3_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/mediafn/mediafn/internal/testparts"
	"github.com/mediafn/mediafn/ports/blob"
	"github.com/mediafn/mediafn/ports/blob/s3"
)

// BenchmarkMove puts and gets 64 MiB, and gives the ratio to the time package
// minio's own PutObject and GetObject need for the same, in turns.
func BenchmarkMove(b *testing.B) {
	server := testparts.S3(b)
	o, err := s3.Parse(server.URL("prefix=bench-"))
	if err != nil {
		b.Fatal(err)
	}
	s, err := s3.Open(o, blob.Default())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	direct := newDirect(b, server)
	data := noise(64 << 20)
	b.SetBytes(2 * int64(len(data)))
	var ours, theirs time.Duration
	check := func(r io.ReadCloser, err error) {
		if err != nil {
			b.Fatal(err)
		}
		defer r.Close()
		if n, err := io.Copy(io.Discard, r); n != int64(len(data)) || err != nil {
			b.Fatal(n, err)
		}
	}
	for b.Loop() {
		start := time.Now()
		if _, err := s.Put(b.Context(), "bucket", "ours", bytes.NewReader(data), blob.PutOptions{Size: int64(len(data))}); err != nil {
			b.Fatal(err)
		}
		r, _, err := s.Get(b.Context(), "bucket", "ours", 0, -1)
		check(r, err)
		ours += time.Since(start)

		start = time.Now()
		if _, err := direct.Client.PutObject(b.Context(), "bench-bucket", "theirs", bytes.NewReader(data), int64(len(data)), minio.PutObjectOptions{}); err != nil {
			b.Fatal(err)
		}
		r, err = direct.Client.GetObject(b.Context(), "bench-bucket", "theirs", minio.GetObjectOptions{})
		check(r, err)
		theirs += time.Since(start)
	}
	b.ReportMetric(float64(ours)/float64(theirs), "of-minio")
}
