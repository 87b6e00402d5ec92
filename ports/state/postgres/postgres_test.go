package postgres_test

import (
	"context"
	"database/sql"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/internal/testparts"
	"github.com/mediafn/mediafn/ports/state"
	"github.com/mediafn/mediafn/ports/state/driver"
	"github.com/mediafn/mediafn/ports/state/postgres"
	"github.com/mediafn/mediafn/ports/state/statetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, url string) driver.Driver {
	t.Helper()
	d, err := postgres.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// sorted makes databases that sort as people do: nothing may depend on the order
// of text. There is one a test.
func sorted(server *testparts.PostgresServer) func(t *testing.T) driver.Driver {
	var databases sync.Map
	return func(t *testing.T) driver.Driver {
		url, ok := databases.Load(t.Name())
		if !ok {
			url = server.Database(t, `TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'`)
			databases.Store(t.Name(), url)
		}
		return open(t, url.(string))
	}
}

func TestSuite(t *testing.T) { statetest.Run(t, sorted(testparts.SharedPostgres(t))) }

func TestMany(t *testing.T) { statetest.RunMany(t, sorted(testparts.SharedPostgres(t))) }

// TestRestarts stops and kills the server in turn; the last time it stays away
// for longer than writers wait.
func TestRestarts(t *testing.T) {
	server := testparts.Postgres(t)
	statetest.RunRestarts(t, sorted(server), 5, func(n int, refused <-chan struct{}) {
		if n%2 == 0 {
			server.Kill()
		} else {
			server.Stop()
		}
		if n == 4 {
			<-refused
		}
		server.Start(t)
	})
}

func writer(t *testing.T, d driver.Driver) driver.Writer {
	t.Helper()
	w, err := d.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func end(t *testing.T, w driver.Writer, commit bool) {
	t.Helper()
	if err := w.End(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
}

// TestWriter holds the contract of affected, for statements the server refuses
// and for those that never reach it.
func TestWriter(t *testing.T) {
	d := open(t, testparts.SharedPostgres(t).Database(t))
	defer func() { _ = d.Close() }()
	w := writer(t, d)
	put := func(n any, s any) driver.Statement {
		return driver.Statement{SQL: `INSERT INTO t (n, s, f, b) VALUES ($1, $2, $3, $4)`, Args: []any{n, s, 1.5, []byte("b")}}
	}
	good := []driver.Statement{
		{SQL: `CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, s TEXT, f DOUBLE PRECISION, b BYTEA)`},
	}
	if _, err := w.Run(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	end(t, w, true)
	all := driver.Statement{SQL: `UPDATE t SET s = $1`, Args: []any{sql.NullString{}}}
	for name, c := range map[string]struct {
		bad  driver.Statement
		kind errs.Kind
	}{
		"twice":          {put(int64(1), "again"), errs.Conflict},
		"no such table":  {driver.Statement{SQL: `DELETE FROM nowhere`}, errs.Internal},
		"not text":       {put(int64(9), "a\x00b"), errs.Invalid},
		"not UTF-8":      {put(int64(9), "a\xffb"), errs.Invalid},
		"can't be sent":  {put(int64(1)<<40, "too large for the column"), errs.Internal},
		"wrong argument": {put("x", "y"), errs.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := w.Run(t.Context(), []driver.Statement{put(int64(1), "a"), put(int64(2), sql.NullString{}), all, c.bad, put(int64(3), "c")})
			if diff := cmp.Diff([]int64{1, 1, 2}, got); diff != "" || !errs.Is(err, c.kind) {
				t.Errorf("%v of kind %s\n%s", err, errs.KindOf(err), diff)
			}
			end(t, w, false)
			got, err = w.Run(t.Context(), []driver.Statement{all, put(int64(1), "a")}) // the connection goes on, and nothing stayed
			if diff := cmp.Diff([]int64{0, 1}, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
			end(t, w, false)
		})
	}
}

// TestDurable: a server that was told not to wait for its disk waits for ours.
func TestDurable(t *testing.T) {
	server := testparts.SharedPostgres(t)
	url := server.Database(t)
	server.Exec(t, url, `ALTER ROLE mediafn SET synchronous_commit = off`)
	defer server.Exec(t, url, `ALTER ROLE mediafn RESET synchronous_commit`)
	d := open(t, url)
	defer func() { _ = d.Close() }()
	var setting string
	if err := d.DB().QueryRowContext(t.Context(), `SHOW synchronous_commit`).Scan(&setting); err != nil || setting != "on" {
		t.Errorf("synchronous_commit = %s, %v", setting, err)
	}
	w := writer(t, d)
	got, err := w.Run(t.Context(), []driver.Statement{{SQL: `SELECT 1 WHERE current_setting('synchronous_commit') = 'on'`}})
	if err != nil || got[0] != 1 {
		t.Errorf("a writer's connection: %v, %v", got, err)
	}
	end(t, w, false)
}

func TestOpenFails(t *testing.T) {
	server := testparts.SharedPostgres(t)
	url := server.Database(t)
	latin := server.Database(t, `TEMPLATE template0 ENCODING 'LATIN1'`)
	for name, c := range map[string]struct {
		url  string
		kind errs.Kind
	}{
		"no server":          {"postgres://u:s3cret@127.0.0.1:1/d", errs.Transient},
		"wrong password":     {strings.Replace(url, ":parts@", ":s3cret@", 1), errs.Denied},
		"no such database":   {strings.Replace(url, "/test", "/other", 1), errs.Invalid},
		"another encoding":   {latin, errs.Invalid},
		"not a URL":          {"postgres://u:s3cret@h:port/d", errs.Invalid},
		"still not a URL":    {"postgres://u:s3%zzcret@h/d", errs.Invalid},
		"pool":               {url + "?pool_max_conns=0", errs.Invalid},
		"unknown parameter":  {url + "?colour=red", errs.Invalid},
		"nonsense parameter": {url + "?sslmode=s3cret", errs.Invalid},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := postgres.Open(t.Context(), c.url)
			if err == nil {
				_ = d.Close()
			}
			if !errs.Is(err, c.kind) {
				t.Errorf("%v of kind %s", err, errs.KindOf(err))
			} else if name != "nonsense parameter" && strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "parts@") {
				t.Errorf("the password is in %v", err)
			}
		})
	}
}

// TestTooManyConnections: a server that is full is no fault of the statement.
func TestTooManyConnections(t *testing.T) {
	server := testparts.SharedPostgres(t)
	url := server.Database(t)
	d := open(t, url)
	defer func() { _ = d.Close() }()
	server.Exec(t, url, `CREATE ROLE few LOGIN PASSWORD 'parts' CONNECTION LIMIT 0`)
	defer server.Exec(t, url, `DROP ROLE few`)
	if _, err := postgres.Open(t.Context(), strings.Replace(url, "mediafn:", "few:", 1)); !errs.Is(err, errs.Transient) {
		t.Errorf("%v of kind %s", err, errs.KindOf(err))
	}
}

// TestLock: the second waits until the first has unlocked.
func TestLock(t *testing.T) {
	url := testparts.SharedPostgres(t).Database(t)
	a, b := open(t, url), open(t, url)
	defer func() { _, _ = a.Close(), b.Close() }()
	unlock, err := a.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := b.Lock(ctx); !errs.Is(err, errs.Timeout) {
		t.Errorf("both have it: %v", err)
	}
	unlock()
	unlock, err = b.Lock(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func BenchmarkSubmit(b *testing.B) {
	s, err := state.New(b.Context(), open(b, testparts.SharedPostgres(b).Database(b)))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	statetest.Bench(b, s)
}
