// Package postgres keeps state in PostgreSQL, which many processes share.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/ports/state/driver"
)

const (
	// writers is how many transactions this process runs at once: while one
	// waits for the server's disk the other is carried out.
	writers = 2
	// poolSize is the most connections for queries; pool_max_conns in the URL
	// says otherwise. A server's default is 100 connections for everybody.
	poolSize = 8
	// connectTimeout is for one address, unless connect_timeout in the URL says
	// otherwise.
	connectTimeout = 5 * time.Second
	// restart is how long a server may be gone before writes fail: a quick
	// restart is only noticed as a pause.
	restart = 5 * time.Second
	// patience is the most one round trip of a writer may take. A server that
	// was cut off counts as lost then.
	patience = 20 * time.Second
	// lockKey is mediafn's advisory lock: "mediafn" in ASCII.
	lockKey = 0x6d65646961666e
)

// setup is said on every new connection. A commit waits for the disk of the
// server, whatever its configuration says, unless that asks for more (a
// standby's disk). A transaction whose process was cut off gives its rows free.
const setup = `SELECT set_config('synchronous_commit', 'on', false)
 WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');
SET idle_in_transaction_session_timeout = '15s';
SET lock_timeout = '10s';
SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
SET tcp_user_timeout = '15s'`

type db struct {
	config *pgx.ConnConfig
	pool   *sql.DB
	born   time.Time
	seen   atomic.Int64 // when the server last answered, since born; 0 = never

	once   sync.Once
	closed chan struct{}
}

// Open connects to a database that exists:
// postgres://USER:PASSWORD@HOST[:PORT][,HOST…]/NAME[?sslmode=…&pool_max_conns=N].
// Invalid: the URL is wrong, or the database can't keep what it commits.
// Transient: the server can't be reached.
func Open(ctx context.Context, url string) (driver.Driver, error) {
	config, size, err := parse(url)
	if err != nil {
		return nil, err
	}
	d := &db{config: config, born: time.Now(), closed: make(chan struct{})}
	d.pool = stdlib.OpenDB(*config)
	d.pool.SetMaxOpenConns(size)
	d.pool.SetMaxIdleConns(size)
	d.pool.SetConnMaxIdleTime(time.Minute)
	d.pool.SetConnMaxLifetime(30 * time.Minute) // a server that took over gets its share
	if err := d.check(ctx); err != nil {
		_ = d.pool.Close()
		return nil, err
	}
	return d, nil
}

// Check reads an address without connecting. Invalid: it is wrong.
func Check(url string) error {
	_, _, err := parse(url)
	return err
}

func parse(url string) (*pgx.ConnConfig, int, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		if cause := errors.Unwrap(err); cause != nil { // without the URL, which has the password
			err = cause
		}
		return nil, 0, errs.New(errs.Invalid, "postgres", "the URL can't be read: %w", err)
	}
	size := poolSize
	if text, ok := config.RuntimeParams["pool_max_conns"]; ok {
		delete(config.RuntimeParams, "pool_max_conns")
		if size, err = strconv.Atoi(text); err != nil || size < 1 || size > 1000 {
			return nil, 0, errs.New(errs.Invalid, "postgres", "pool_max_conns: %q is not 1–1000", text)
		}
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "mediafn"
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	dialer := &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         boundUnacknowledged,
	}
	config.DialFunc = dialer.DialContext
	config.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		return conn.Exec(ctx, setup).Close()
	}
	return config, size, nil
}

// check refuses a database that would lose what it said it kept.
func (d *db) check(ctx context.Context) error {
	var encoding, fsync string
	err := d.pool.QueryRowContext(ctx, `SELECT current_setting('server_encoding'), current_setting('fsync')`).Scan(&encoding, &fsync)
	switch {
	case errs.Is(classify(err), errs.Internal): // no such database, a parameter the server doesn't know
		return errs.As(errs.Invalid, "postgres", err)
	case err != nil:
		return classify(err)
	case encoding != "UTF8":
		return errs.New(errs.Invalid, "postgres", "the database's encoding is %s; mediafn needs UTF8", encoding)
	case fsync != "on":
		return errs.New(errs.Invalid, "postgres", "the server runs with fsync = %s and would lose accepted tasks", fsync)
	}
	d.answered()
	return nil
}

func (d *db) DB() *sql.DB { return d.pool }

func (d *db) Caps() driver.Caps {
	return driver.Caps{
		Dialect: "postgres", Writers: writers, Numbered: true, Share: true,
		Now: `CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)`,
	}
}

// Lock holds an advisory lock for as long as its connection lives.
func (d *db) Lock(ctx context.Context) (func(), error) {
	conn, err := d.connect(ctx)
	if err != nil {
		return nil, err
	}
	// Another process may migrate for longer than a row is waited for.
	_, err = conn.Exec(ctx, `SET lock_timeout = 0`)
	if err == nil {
		_, err = conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(lockKey))
	}
	if err != nil {
		hangUp(conn)
		return nil, classify(err)
	}
	return func() { hangUp(conn) }, nil
}

func (d *db) Close() error {
	d.once.Do(func() { close(d.closed) })
	return errs.Wrap("postgres", d.pool.Close())
}

// connect opens a connection. Where the server answered a moment ago it is
// asked again until it is back or has been gone for too long.
func (d *db) connect(ctx context.Context) (*pgx.Conn, error) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 500*time.Millisecond) {
		conn, err := pgx.ConnectConfig(ctx, d.config.Copy())
		if err == nil {
			d.answered()
			return conn, nil
		}
		err = classify(err)
		seen := time.Duration(d.seen.Load())
		if !errs.Is(err, errs.Transient) || seen == 0 || time.Since(d.born)-seen > restart {
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, err
		case <-d.closed:
			return nil, err
		}
	}
}

func (d *db) answered() { d.seen.Store(int64(time.Since(d.born))) }

// hangUp closes a connection, politely while the server listens.
func hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // whatever it says, the connection is gone
}

func classify(err error) error { return errs.As(driver.Kind(err), "postgres", err) }
