package testparts

import (
	"testing"

	"github.com/nats-io/nats.go"
)

// TestNATSCluster: three servers keep a stream while one is gone, its leader.
func TestNATSCluster(t *testing.T) {
	c := NATSCluster(t, 3)
	nc, err := nats.Connect(c.URL(), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.AddStream(&nats.StreamConfig{Name: "S", Subjects: []string{"s"}, Replicas: 3}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish("s", []byte("x")); err != nil {
		t.Fatal(err)
	}
	first := c.Leader(t, "S")
	c.Kill(first)
	until(t, "another leads", func() bool { return c.Leader(t, "S") != first })
	c.Start(t, first)
	until(t, "the message is still there", func() bool {
		info, err := js.StreamInfo("S")
		return err == nil && info.State.Msgs == 1
	})
}

func TestPostgresKilled(t *testing.T) {
	s := Postgres(t)
	url := s.Database(t)
	s.Exec(t, url, `CREATE TABLE t (n INTEGER)`)
	s.Kill()
	if err := s.exec("postgres", `SELECT 1`); err == nil {
		t.Error("it answers after its death")
	}
	s.Start(t)
	s.Exec(t, url, `INSERT INTO t VALUES (1)`)
	s.Restart(t)
	s.Exec(t, url, `DROP TABLE t`)
}
