package e2e_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/internal/testparts"
)

// TestResultQueue takes results out of a tenant's queue as a caller does, with
// the NATS client and without mediafn's code; and with mediafn results.
func TestResultQueue(t *testing.T) {
	t.Parallel()
	cluster := testparts.NATSCluster(t, 1)
	s := serve(t, t.TempDir(), "", "--queue", cluster.URL())
	want := map[string]string{}
	for i := range 5 {
		a, err := s.Submit(t.Context(), &api.Submit{Cmd: "noop", MsgID: fmt.Sprint("m", i), Extra: task.Extra{ResultQueue: true}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		want[a.MsgID] = a.TaskID
	}
	if _, err := s.Submit(t.Context(), &api.Submit{Cmd: "noop", MsgID: "not asked for"}, 20*time.Second); err != nil {
		t.Fatal(err)
	}
	check := func(by string, bodies []string) {
		t.Helper()
		got := map[string]string{}
		for _, body := range bodies {
			var c api.Callback
			if err := json.Unmarshal([]byte(body), &c); err != nil || c.Kind != api.Final || !c.Success || c.EndedAt.IsZero() {
				t.Errorf("%s: %s, %v", by, body, err)
			}
			got[c.MsgID] = c.TaskID
		}
		if len(bodies) != len(want) || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", by, got, want)
		}
	}

	conn, err := nats.Connect(cluster.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := js.CreateOrUpdateConsumer(t.Context(), "results", jetstream.ConsumerConfig{Durable: "caller", FilterSubject: "results.default"})
	if err != nil {
		t.Fatal(err)
	}
	var bodies []string
	for len(bodies) < len(want) {
		m, err := consumer.Next(jetstream.FetchMaxWait(30 * time.Second))
		if err != nil {
			t.Fatalf("after %d results: %v\n%s", len(bodies), err, s.log)
		}
		bodies = append(bodies, string(m.Data()))
		if err := m.DoubleAck(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	check("nats.go", bodies)

	out, err := exec.CommandContext(t.Context(), filepath.Join(bin, "mediafn"), "results", "--queue", cluster.URL(), "--idle", "5s").Output()
	if err != nil {
		t.Fatal(err)
	}
	check("mediafn results", strings.Split(strings.TrimSpace(string(out)), "\n"))
	again, err := exec.CommandContext(t.Context(), filepath.Join(bin, "mediafn"), "results", "--queue", cluster.URL(), "--idle", "1s").Output()
	if err != nil || len(again) != 0 {
		t.Errorf("read a second time: %q, %v", again, err)
	}
}
