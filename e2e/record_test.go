package e2e_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // registers the driver

	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

// rows reads the server's database beside it.
func rows(t *testing.T, data string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, "state.db")+"?mode=ro&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// count runs a query for one number.
func count(db *sql.DB, query string, args ...any) (n int, err error) {
	err = db.QueryRow(query, args...).Scan(&n)
	return n, err
}

// quiet waits until nothing is left to do, and checks that nothing is left
// behind: rows, messages to send, processes, temporary files, objects.
func quiet(t *testing.T, s *server) {
	t.Helper()
	db := rows(t, s.data)
	defer func() { _ = db.Close() }()
	// A webhook that was under way in a crash is claimed for half a minute.
	eventually(t, 90*time.Second, func() error {
		for what, query := range map[string]string{
			"live tasks":  `SELECT COUNT(*) FROM tasks WHERE state NOT IN ('succeeded','failed','canceled')`,
			"live work":   `SELECT COUNT(*) FROM work WHERE state IN ('waiting','ready','running')`,
			"outbox rows": `SELECT COUNT(*) FROM outbox`,
		} {
			if n, err := count(db, query); err != nil || n > 0 {
				return fmt.Errorf("%d %s (%v)", n, what, err)
			}
		}
		return nil
	})
	eventually(t, 10*time.Second, func() error {
		if left := s.busy(); len(left) > 0 {
			return fmt.Errorf("processes are left: %v", left)
		}
		for _, dir := range []string{"scratch", "objects/.mediafn/tmp"} {
			if left := files(t, filepath.Join(s.data, dir), ".lock"); len(left) > 0 {
				return fmt.Errorf("%s is not empty: %q", dir, left)
			}
		}
		return nil
	})
	kept := referenced(t, db)
	for _, bucket := range []string{"segments", "results"} {
		for _, f := range files(t, filepath.Join(s.data, "objects", bucket), "") {
			if !kept[bucket+"/"+f] && !strings.HasPrefix(bucket+"/"+f, keptForLater) {
				t.Errorf("object %s/%s is left behind", bucket, f)
			}
		}
	}
}

// keptForLater is where slices lie that later tasks may use; their age alone
// removes them.
const keptForLater = "segments/" + job.Cached

// files lists the files under dir. Folders count only as far as they hold one.
func files(t *testing.T, dir, except string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		if d.IsDir() || (except != "" && strings.HasSuffix(path, except)) {
			return nil
		}
		rel, err := filepath.Rel(dir, path)
		all = append(all, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// referenced lists the objects rows speak of: results, and for tasks that may
// be retried the parts that are done.
func referenced(t *testing.T, db *sql.DB) map[string]bool {
	t.Helper()
	found, err := db.Query(`SELECT outputs FROM tasks WHERE outputs IS NOT NULL UNION ALL
		SELECT w.outputs FROM work w JOIN tasks t ON t.id = w.task_id WHERE t.state <> 'succeeded' AND w.outputs IS NOT NULL`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = found.Close() }()
	kept := map[string]bool{}
	for found.Next() {
		var raw string
		var objects []media.Object
		if err := found.Scan(&raw); err != nil {
			t.Fatal(err)
		}
		if raw == "" {
			continue
		}
		if err := json.Unmarshal([]byte(raw), &objects); err != nil {
			t.Fatalf("outputs %q: %v", raw, err)
		}
		for _, o := range objects {
			kept[o.Bucket+"/"+o.Key] = true
		}
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return kept
}
