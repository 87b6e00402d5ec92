package testparts

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// PostgresServer is a PostgreSQL cluster of its own.
type PostgresServer struct {
	Host string // 127.0.0.1, and whatever else it was told to listen on
	Port int

	dir       string
	bin       string
	listen    []string
	process   *Process
	databases atomic.Int64
}

const password = "parts"

// Postgres starts a server for one test. It listens on 127.0.0.1 and on the
// further addresses given.
func Postgres(t testing.TB, listen ...string) *PostgresServer {
	t.Helper()
	s := &PostgresServer{dir: Dir(t, "pg"), listen: listen}
	s.create(t)
	t.Cleanup(func() {
		s.process.Stop(syscall.SIGQUIT)
		if t.Failed() {
			t.Logf("postgres said last:\n%s", s.process.Tail())
		}
	})
	return s
}

var shared struct {
	sync.Mutex
	postgres *PostgresServer
}

// SharedPostgres is one server for all tests of a package, who take databases
// of their own and leave it running. It ends with the test process.
func SharedPostgres(t testing.TB) *PostgresServer {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.postgres == nil {
		dir, err := makeDir("pg")
		if err != nil {
			t.Fatal(err)
		}
		s := &PostgresServer{dir: dir}
		s.create(t)
		shared.postgres = s
	}
	return shared.postgres
}

// create makes the cluster and starts it.
func (s *PostgresServer) create(t testing.TB) {
	t.Helper()
	s.Host, s.Port = "127.0.0.1", Port(t)
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well-formed
	slices.Reverse(folders)                                  // the newest first
	s.bin = filepath.Dir(resolve(t, Binary(t, "initdb", folders...)))
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(password), 0o644); err != nil {
		t.Fatal(err)
	}
	initdb := s.command(t, "initdb", "-D", s.data(), "-U", "mediafn", "--pwfile", secret, "--auth", "scram-sha-256",
		"-E", "UTF8", "--locale", "C", "--no-instructions", "--no-sync")
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	if len(s.listen) > 0 { // whoever reaches those addresses may come in, with the password
		s.admit(t)
	}
	s.Start(t)
}

// admit lets clients of other machines in.
func (s *PostgresServer) admit(t testing.TB) {
	t.Helper()
	rules, err := os.OpenFile(filepath.Join(s.data(), "pg_hba.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer rules.Close()
	if _, err := fmt.Fprintln(rules, "host all all samenet scram-sha-256"); err != nil {
		t.Fatal(err)
	}
}

func resolve(t testing.TB, path string) string {
	t.Helper()
	full, err := filepath.EvalSymlinks(path) // what stands beside it is found where it really is
	if err != nil {
		t.Fatal(err)
	}
	return full
}

func (s *PostgresServer) data() string { return filepath.Join(s.dir, "data") }

// command runs a program of PostgreSQL, as another user where this one is root,
// whom PostgreSQL refuses.
func (s *PostgresServer) command(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT} // it gives its shared memory back, killed it would not
	if os.Getuid() != 0 {
		return cmd
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		t.Fatalf("%v; make setup-test creates it", err)
	}
	uid, uerr := strconv.Atoi(who.Uid)
	gid, gerr := strconv.Atoi(who.Gid)
	if uerr != nil || gerr != nil {
		t.Fatalf("user postgres is %s:%s", who.Uid, who.Gid)
	}
	if err := os.Chown(s.dir, uid, gid); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return cmd
}

// Start starts a server that was stopped and waits until it takes connections.
func (s *PostgresServer) Start(t testing.TB) {
	t.Helper()
	addresses := strings.Join(append([]string{s.Host}, s.listen...), ",")
	cmd := s.command(t, "postgres", "-D", s.data(), "-p", strconv.Itoa(s.Port), "-k", s.dir, "-h", addresses,
		"-c", "fsync=on", "-c", "shared_buffers=32MB", "-c", "max_connections=100", "-c", "max_wal_size=256MB",
		"-c", "log_min_messages=warning", "-c", "log_line_prefix=%m %d ")
	s.process = Launch(t, "postgres", cmd, filepath.Join(s.dir, "log"))
	s.process.Await(t, func() error { return s.exec("postgres", "SELECT 1") })
}

// Stop ends the server as an administrator does: connections are cut.
func (s *PostgresServer) Stop() { s.process.Stop(syscall.SIGINT) }

// Kill ends the server as a crash does.
func (s *PostgresServer) Kill() { s.process.Kill() }

// Restart stops the server and starts it again.
func (s *PostgresServer) Restart(t testing.TB) {
	t.Helper()
	s.Stop()
	s.Start(t)
}

// Database creates a database and returns its URL. It compares text by bytes,
// as is advised, unless options of CREATE DATABASE say otherwise.
func (s *PostgresServer) Database(t testing.TB, options ...string) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if options == nil {
		options = []string{"TEMPLATE template0 ENCODING 'UTF8'"}
	}
	if err := s.exec("postgres", "CREATE DATABASE "+name+" "+strings.Join(options, " ")); err != nil {
		t.Fatal(err)
	}
	return s.url(name)
}

func (s *PostgresServer) url(database string) string {
	return (&url.URL{
		Scheme: "postgres", User: url.UserPassword("mediafn", password),
		Host: net.JoinHostPort(s.Host, strconv.Itoa(s.Port)), Path: database,
	}).String()
}

// exec carries out one statement.
func (s *PostgresServer) exec(database, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url(database))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

// Exec carries out one statement in the database of a URL.
func (s *PostgresServer) Exec(t testing.TB, database, statement string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.exec(strings.TrimPrefix(u.Path, "/"), statement); err != nil {
		t.Fatal(err)
	}
}
