package testparts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// Cluster is a cluster of NATS servers with JetStream, or one server alone.
type Cluster struct {
	servers []*natsServer
	token   string
}

type natsServer struct {
	config, dir string
	url         string
	process     *Process
}

// NATSCluster starts n servers that ask for a token, and waits until they have
// a leader. They listen on 127.0.0.1, or on every address if listen says so.
func NATSCluster(t testing.TB, n int, listen ...string) *Cluster {
	t.Helper()
	binary := Binary(t, "nats-server")
	host := strings.Join(append(listen, "127.0.0.1")[:1], "")
	c := &Cluster{token: "parts"}
	var routes []string
	var ports []int
	for range n {
		ports = append(ports, Port(t))
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", Port(t)))
	}
	for i := range n {
		s := &natsServer{dir: Dir(t, "nats"), url: fmt.Sprintf("nats://%s@127.0.0.1:%d", c.token, ports[i])}
		text := fmt.Sprintf("server_name: n%d\nlisten: \"%s:%d\"\nmax_payload: 8MB\nauthorization { token: %s }\n"+
			"jetstream { store_dir: %q, max_file_store: 4GB }\n", i, host, ports[i], c.token, s.dir)
		if n > 1 { // one that names a cluster waits for others
			text += fmt.Sprintf("cluster { name: parts, listen: %q, routes: [%s] }\n", strings.TrimPrefix(routes[i], "nats://"), strings.Join(routes, ", "))
		}
		s.config = filepath.Join(s.dir, "nats.conf")
		if err := os.WriteFile(s.config, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		s.process = Launch(t, fmt.Sprint("nats-server ", i), exec.Command(binary, "-c", s.config), filepath.Join(s.dir, "log"))
		s.process.EndWith(t)
		c.servers = append(c.servers, s)
	}
	for i := range n {
		c.await(t, i)
	}
	return c
}

// URL has the addresses of all servers and the token.
func (c *Cluster) URL() string {
	var all []string
	for _, s := range c.servers {
		all = append(all, s.url)
	}
	return strings.Join(all, ",")
}

// URLOf is the address of one server.
func (c *Cluster) URLOf(i int) string { return c.servers[i].url }

// Kill ends a server as a crash does.
func (c *Cluster) Kill(i int) { c.servers[i].process.Kill() }

// Pause stops a server from running, without closing its connections, until
// Resume.
func (c *Cluster) Pause(t testing.TB, i int) { c.signal(t, i, syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (c *Cluster) Resume(t testing.TB, i int) { c.signal(t, i, syscall.SIGCONT) }

func (c *Cluster) signal(t testing.TB, i int, s syscall.Signal) {
	t.Helper()
	if err := c.servers[i].process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// Start starts a server that was killed and waits until it is back in its
// place.
func (c *Cluster) Start(t testing.TB, i int) {
	t.Helper()
	s := c.servers[i]
	cmd := exec.Command(s.process.cmd.Path, s.process.cmd.Args[1:]...)
	s.process = Launch(t, s.process.Name, cmd, s.process.log)
	s.process.EndWith(t)
	c.await(t, i)
}

// Restart kills a server and starts it again.
func (c *Cluster) Restart(t testing.TB, i int) {
	t.Helper()
	c.Kill(i)
	c.Start(t, i)
}

// Leader is the server that leads a stream's copies.
func (c *Cluster) Leader(t testing.TB, stream string) int {
	t.Helper()
	leader := -1
	until(t, "stream "+stream+" has a leader", func() bool {
		nc, err := nats.Connect(c.URL(), nats.Timeout(2*time.Second))
		if err != nil {
			return false
		}
		defer nc.Close()
		js, err := nc.JetStream(nats.MaxWait(2 * time.Second))
		if err != nil {
			return false
		}
		info, err := js.StreamInfo(stream)
		if err != nil || info.Cluster == nil {
			return false
		}
		_, err = fmt.Sscanf(info.Cluster.Leader, "n%d", &leader)
		return err == nil
	})
	return leader
}

// await waits until a server serves the streams' API, which takes a leader.
func (c *Cluster) await(t testing.TB, i int) {
	t.Helper()
	s := c.servers[i]
	s.process.Await(t, func() error {
		nc, err := nats.Connect(s.url, nats.Timeout(2*time.Second))
		if err != nil {
			return err
		}
		defer nc.Close()
		js, err := nc.JetStream(nats.MaxWait(2 * time.Second))
		if err != nil {
			return err
		}
		_, err = js.AccountInfo()
		return err
	})
}
