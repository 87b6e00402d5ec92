package nats

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/mediafn/mediafn/ports/queue/driver"
)

// What was not acked comes again after a restart, and nothing else: from a
// durable in memory, and from one in a file, as an older version made them.
func TestDurableAfterRestart(t *testing.T) {
	for name, old := range map[string]bool{"in memory": false, "of an older version": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			stream := driver.Stream{Name: "S", Subjects: []string{"s"}, UntilAcked: true}
			durable := driver.Durable{Name: "d", AckWait: 500 * time.Millisecond, MaxUnacked: 100}
			open := func() (*Conn, driver.Consumer) {
				c, err := Embed(t.Context(), Options{Dir: dir})
				if err == nil {
					err = c.Declare(t.Context(), stream)
				}
				if err != nil {
					t.Fatal(err)
				}
				if old {
					if _, err := c.js.CreateOrUpdateConsumer(t.Context(), "S", jetstream.ConsumerConfig{
						Durable: "d", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 500 * time.Millisecond, MaxAckPending: 100, MaxDeliver: -1,
					}); err != nil {
						t.Fatal(err)
					}
				}
				k, err := c.Consume(t.Context(), "S", durable)
				if err != nil {
					t.Fatal(err)
				}
				return c, k
			}
			c, k := open()
			for i, err := range c.Append(t.Context(), "S", []driver.Entry{{Subject: "s", Data: []byte("a")}, {Subject: "s", Data: []byte("b")}, {Subject: "s", Data: []byte("c")}}) {
				if err != nil {
					t.Fatal(i, err)
				}
			}
			for _, d := range fetch(t, k, 2) {
				if string(d.Data) == "a" {
					if err := d.Settle(driver.Ack, 0); err != nil {
						t.Fatal(err)
					}
				}
			}
			for left := uint64(0); left != 2; { // settling does not wait for the server
				s, err := c.js.Stream(t.Context(), "S")
				if err != nil {
					t.Fatal(err)
				}
				left = s.CachedInfo().State.Msgs
			}
			if err := k.Close(); err != nil {
				t.Fatal(err)
			}
			if err := c.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			old = false // this version goes on with what it finds
			c, k = open()
			defer func() { _ = k.Close(); _ = c.Close(context.Background()) }()
			again := map[string]bool{}
			for len(again) < 2 {
				for _, d := range fetch(t, k, 1) {
					again[string(d.Data)] = true
				}
			}
			if again["a"] {
				t.Error("what was acked came again")
			}
		})
	}
}

// fetch waits for at least n messages.
func fetch(t *testing.T, k driver.Consumer, n int) []driver.Delivery {
	t.Helper()
	var all []driver.Delivery
	for len(all) < n {
		got, err := k.Fetch(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, got...)
	}
	return all
}
