package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// oneProcess is the last release before roles ran apart: its worker knows
// neither partitions nor S3, its database has the first migration only.
const oneProcess = "8575727"

// git runs it in the repository.
func git(args ...string) (string, error) {
	out, err := exec.Command("git", args...).Output()
	return strings.TrimSpace(string(out)), err
}

// buildOf makes the binary of a commit; "" if the clone does not hold it. That
// of a release is kept beside the servers tests talk to.
func buildOf(t *testing.T, commit string) string {
	t.Helper()
	root, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		return ""
	}
	if commit, err = git("rev-parse", "--verify", "--quiet", commit+"^{commit}"); err != nil {
		return ""
	}
	dir, kept := t.TempDir(), filepath.Join(root, "bin", "tests", "mediafn-"+commit[:7], "mediafn")
	if _, err := os.Stat(kept); err == nil {
		return kept
	}
	archive := filepath.Join(dir, "archive.tar")
	if out, err := exec.Command("git", "-C", root, "archive", "-o", archive, commit).CombinedOutput(); err != nil {
		t.Fatalf("git archive %s: %v\n%s", commit, err, out)
	}
	if out, err := exec.Command("tar", "-xf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	path := filepath.Join(dir, "built", "mediafn")
	if strings.HasPrefix(commit, oneProcess) {
		path = kept
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./cmd/mediafn")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", commit, err, out)
	}
	t.Logf("built %s", commit)
	return path
}

// before is the binary of the commit before this one. A clone without history
// has none; then what is under test runs with itself, which shows less.
func before(t *testing.T) string {
	t.Helper()
	if path := buildOf(t, "HEAD^"); path != "" {
		return path
	}
	t.Log("THIS CLONE HAS NO COMMIT BEFORE HEAD (git fetch --unshallow gets it): version N runs with version N only")
	return today()
}

// testVersionsTogether: each role works beside the others in the version before
// and in this one, on one database and queue.
func testVersionsTogether(t *testing.T, p *apart) {
	old, now := before(t), today()
	for _, mix := range []struct{ name, gateway, controller, worker, results string }{
		{"old gateway, worker", old, now, old, now},
		{"old controller, results", now, old, now, old},
		{"both of all", "", "", "", ""},
	} {
		t.Run(mix.name, func(t *testing.T) {
			start := func(binary, role string, flags ...string) (all []*server) {
				if binary != "" {
					return []*server{p.run(t, binary, role, flags...)}
				}
				return []*server{p.run(t, old, role, flags...), p.run(t, now, role, flags...)}
			}
			gateways := start(mix.gateway, "gateway")
			others := start(mix.controller, "controller", "--public-url", gateways[0].url)
			others = append(others, start(mix.worker, "worker")...)
			others = append(others, start(mix.results, "results")...)
			e := newMix(t, gateways, strings.ReplaceAll(mix.name, " ", "-"), "noop", "six", "sliced", "ask", "audio", "six", "noop")
			e.verify(gateways[len(gateways)-1])
			for _, s := range append(gateways, others...) {
				s.stop()
			}
		})
	}
}

// testWorkerOfOneProcess: the worker of the release before, and its database.
func testWorkerOfOneProcess(t *testing.T, shared *apart) {
	old := buildOf(t, oneProcess)
	if old == "" {
		t.Logf("THIS CLONE DOES NOT HOLD %s: its worker and its database are not tried", oneProcess)
		return
	}
	t.Run("worker", func(t *testing.T) {
		p := *shared
		p.state, p.blobs = p.postgres.Database(t), "local=file:"+t.TempDir()
		gateway := p.run(t, today(), "gateway")
		controllers := []*server{p.run(t, today(), "controller"), p.run(t, today(), "controller")}
		results, worker := p.run(t, today(), "results"), p.run(t, old, "worker")
		newMix(t, []*server{gateway}, "old-worker", "noop", "six", "sliced", "audio").verify(gateway)
		for _, s := range append(controllers, gateway, worker, results) {
			s.stop()
		}
	})
	// Migrations only add: after this version has been there the old one goes on
	// with the same database, and this one with what that has written.
	t.Run("database", func(t *testing.T) {
		data := t.TempDir()
		for i, binary := range []string{old, today(), old, today()} {
			s := serveBy(t, binary, data, "", hooksAllowed, "--engine", filepath.Join(bin, "mediafn-engine"))
			newMix(t, []*server{s}, fmt.Sprint("turn-", i), "noop", "audio").verify(s)
			s.stop()
		}
	})
}
