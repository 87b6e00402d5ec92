package nats_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	natsgo "github.com/nats-io/nats.go"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/internal/testparts"
	"github.com/mediafn/mediafn/ports/queue"
	"github.com/mediafn/mediafn/ports/queue/driver"
	"github.com/mediafn/mediafn/ports/queue/nats"
	"github.com/mediafn/mediafn/ports/queue/queuetest"
)

// threefold keeps every stream on three servers, whatever a test asks for.
type threefold struct{ *nats.Conn }

func (c threefold) Declare(ctx context.Context, s driver.Stream) error {
	s.Replicas = 3
	return c.Conn.Declare(ctx, s)
}

func dial(t *testing.T, urls string) *queue.Queue {
	t.Helper()
	conn, err := nats.Open(t.Context(), urls, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.New(threefold{conn}, queue.Default())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// deleteStreams leaves a cluster as the suite wants it.
func deleteStreams(t *testing.T, urls string) {
	t.Helper()
	nc, err := natsgo.Connect(urls)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := nc.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	for name := range js.StreamNames() {
		if err := js.DeleteStream(name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCluster(t *testing.T) {
	c := testparts.NATSCluster(t, 3)
	t.Run("suite", func(t *testing.T) {
		queuetest.Run(t, func(t *testing.T) *queue.Queue {
			deleteStreams(t, c.URL())
			return dial(t, c.URL())
		})
	})
	t.Run("declared at once", func(t *testing.T) { declaredAtOnce(t, c) })
	t.Run("killed", func(t *testing.T) { killed(t, c) })
}

// declaredAtOnce has processes that start together declare the same things.
func declaredAtOnce(t *testing.T, c *testparts.Cluster) {
	deleteStreams(t, c.URL())
	var group sync.WaitGroup
	for i := range 3 {
		group.Go(func() {
			q := dial(t, c.URLOf(i))
			defer q.Close(context.Background())
			for _, name := range []string{"A", "B"} {
				s := queue.Stream{Name: name, Subjects: []string{name + ".*"}, MaxAge: time.Hour, UntilAcked: true}
				if err := q.Declare(t.Context(), s); err != nil {
					t.Error(err)
				}
				k, err := q.Consume(t.Context(), name, queue.Durable{Name: "d"})
				if err != nil {
					t.Error(err)
					continue
				}
				defer k.Close()
			}
		})
	}
	group.Wait()
}

// killed kills servers in the middle of appends, fetches and requests: the
// stream's leader, its successor, and one that leads nothing. What was
// acknowledged is delivered, and everything goes on by itself.
func killed(t *testing.T, c *testparts.Cluster) {
	deleteStreams(t, c.URL())
	q := dial(t, c.URL())
	defer q.Close(context.Background())
	stream := queue.Stream{Name: "S", Subjects: []string{"s.*"}, MaxAge: time.Hour, UntilAcked: true, Dedup: time.Minute}
	if err := q.Declare(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	ctx, over := context.WithCancel(t.Context())
	defer over()
	appended := make(chan string)
	var producers, consumers sync.WaitGroup
	for p := range 4 {
		producers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				id := fmt.Sprint(p, "-", n)
				err := q.Append(t.Context(), "S", fmt.Sprint("s.", p), []byte(id), id)
				switch {
				case err == nil:
					select {
					case appended <- id:
					case <-ctx.Done():
					}
				case !errs.Is(err, errs.Transient) && !errs.Is(err, errs.Timeout):
					t.Errorf("append, of kind %s: %v", errs.KindOf(err), err)
				default:
					t.Logf("append gave up: %v", err)
				}
			}
		})
	}
	reading, enough := context.WithCancel(t.Context())
	defer enough()
	delivered := make(chan string, 1000)
	for range 2 {
		k, err := q.Consume(t.Context(), "S", queue.Durable{Name: "d", AckWait: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		consumers.Go(func() {
			defer k.Close()
			for reading.Err() == nil {
				got, err := k.Fetch(reading, 50)
				if err != nil && reading.Err() == nil && !errs.KindOf(err).Retryable() {
					t.Errorf("fetch, of kind %s: %v", errs.KindOf(err), err)
					return
				}
				for _, d := range got {
					select {
					case delivered <- string(d.Data):
					case <-reading.Done():
					}
					if err := d.Ack(); err != nil && !errs.KindOf(err).Retryable() {
						t.Errorf("ack: %v", err)
					}
				}
			}
		})
	}
	// Each server has a subscriber of its own, who answers.
	for i := range 3 {
		other := dial(t, c.URLOf(i)+","+c.URL())
		defer other.Close(context.Background())
		subject := fmt.Sprint("ask.", i)
		if _, err := other.Subscribe(t.Context(), subject, "", func(ctx context.Context, m queue.Message) {
			_ = other.Publish(ctx, m.Reply, m.Data) // one that gets lost is asked for again
		}); err != nil {
			t.Fatal(err)
		}
	}
	acknowledged, seen := map[string]bool{}, map[string]bool{}
	// until takes note of what happens until enough more was appended and every
	// subscriber was heard.
	until := func(more int) {
		t.Helper()
		heard := make(chan error, 1)
		go func() {
			for i := range 3 {
				for {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					_, err := q.Request(ctx, fmt.Sprint("ask.", i), []byte("x"))
					cancel()
					if err == nil {
						break
					}
					if t.Context().Err() != nil {
						heard <- err
						return
					}
				}
			}
			heard <- nil
		}()
		late := time.After(90 * time.Second)
		for answered := false; more > 0 || !answered; {
			select {
			case id := <-appended:
				acknowledged[id] = true
				more--
			case id := <-delivered:
				seen[id] = true
			case err := <-heard:
				if err != nil {
					t.Fatal(err)
				}
				answered = true
			case <-late:
				t.Fatalf("it does not go on: %d to be appended, subscribers heard: %v", more, answered)
			}
		}
	}
	until(300)
	for _, choose := range []func(leader int) int{
		func(leader int) int { return leader },
		func(leader int) int { return leader },
		func(leader int) int { return (leader + 1) % 3 },
	} {
		victim := choose(c.Leader(t, "S"))
		c.Kill(victim)
		until(300)
		c.Start(t, victim)
		until(300)
	}
	over()
	producers.Wait()
	late := time.After(90 * time.Second)
	for missing := len(acknowledged); missing > 0; {
		missing = 0
		for id := range acknowledged {
			if !seen[id] {
				missing++
			}
		}
		if missing == 0 {
			break
		}
		select {
		case id := <-delivered:
			seen[id] = true
		case <-late:
			t.Fatalf("%d of %d acknowledged entries were not delivered", missing, len(acknowledged))
		}
	}
	enough()
	consumers.Wait()
	t.Logf("%d acknowledged, %d delivered", len(acknowledged), len(seen))
}

// TestReplicasOfOne: copies asked of a server that stands alone are refused,
// with the reason.
func TestReplicasOfOne(t *testing.T) {
	q := dial(t, testparts.NATSCluster(t, 1).URL())
	defer q.Close(context.Background())
	err := q.Declare(t.Context(), queue.Stream{Name: "S", Subjects: []string{"s"}, MaxMsgs: 1})
	if !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "replicas") {
		t.Errorf("of kind %s: %v", errs.KindOf(err), err)
	}
}

func TestOpenInvalid(t *testing.T) {
	for _, urls := range []string{"nats://u:s3%cret@h:1", "nats://ok:1,nats://u:s3cret@:1", "nats://s3cret@", ""} {
		if _, err := nats.Open(t.Context(), urls, nil); !errs.Is(err, errs.Invalid) || strings.Contains(err.Error(), "s3") {
			t.Errorf("%q, of kind %s: %v", urls, errs.KindOf(err), err)
		}
	}
}

// TestTLS: a server with a certificate, and a user with a password.
func TestTLS(t *testing.T) {
	dir := testparts.Dir(t, "tls")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	port := testparts.Port(t)
	config := fmt.Sprintf(`listen: "127.0.0.1:%d"
jetstream { store_dir: %q }
tls { cert_file: %q, key_file: %q }
authorization { user: u, password: "p:w" }`, port, dir, filepath.Join(dir, "cert"), filepath.Join(dir, "key"))
	for name, text := range map[string][]byte{
		"cert":   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		"key":    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		"config": []byte(config),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(testparts.Binary(t, "nats-server"), "-c", filepath.Join(dir, "config"))
	p := testparts.Launch(t, "nats-server", cmd, filepath.Join(dir, "log"))
	p.EndWith(t)
	trust := natsgo.RootCAs(filepath.Join(dir, "cert"))
	open := func(user string, more ...natsgo.Option) error {
		conn, err := nats.Open(t.Context(), fmt.Sprintf("tls://%s127.0.0.1:%d", user, port), nil, more...)
		if err == nil {
			err = conn.Close(t.Context())
		}
		return err
	}
	p.Await(t, func() error { return open("u:p%3Aw@", trust) })
	if err := open("u:p%3Aw@"); err == nil {
		t.Error("a certificate nobody vouches for is taken")
	}
	if err := open("u:other@", trust); !errs.Is(err, errs.Denied) || strings.Contains(err.Error(), "other") {
		t.Errorf("of kind %s: %v", errs.KindOf(err), err)
	}
}
