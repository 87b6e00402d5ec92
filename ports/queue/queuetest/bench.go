package queuetest

import (
	"fmt"
	"testing"

	"github.com/mediafn/mediafn/ports/queue"
)

// Bench measures stored messages end to end: appended in batches, fetched,
// acked. It reports messages a second.
func Bench(b *testing.B, open func(testing.TB) *queue.Queue) {
	for _, size := range []int{1, 64, 512} {
		b.Run(fmt.Sprintf("batch=%d", size), func(b *testing.B) {
			q := open(b)
			defer q.Close(b.Context())
			s := queue.Stream{Name: "S", Subjects: []string{"s"}, MaxBytes: 256 << 20, UntilAcked: true}
			if err := q.Declare(b.Context(), s); err != nil {
				b.Fatal(err)
			}
			c, err := q.Consume(b.Context(), "S", queue.Durable{Name: "d"})
			if err != nil {
				b.Fatal(err)
			}
			entries := make([]queue.Entry, size)
			for i := range entries {
				entries[i] = queue.Entry{Subject: "s", Data: make([]byte, 512)}
			}
			b.ResetTimer()
			appended := make(chan error, 1)
			go func() {
				for n := 0; n < b.N; n += size {
					if err := q.AppendBatch(b.Context(), "S", entries[:min(size, b.N-n)]); err != nil {
						appended <- err
						return
					}
				}
				appended <- nil
			}()
			for n := 0; n < b.N; {
				got, err := c.Fetch(b.Context(), 512)
				if err != nil {
					b.Fatal(err)
				}
				for _, d := range got {
					if err := d.Ack(); err != nil {
						b.Fatal(err)
					}
				}
				n += len(got)
			}
			if err := <-appended; err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}
