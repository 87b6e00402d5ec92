package app

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/task"
	"github.com/mediafn/mediafn/exec/egress"
	"github.com/mediafn/mediafn/ports/blob/s3"
)

// Check completes and validates the configuration, reads every address in it,
// and says what a process would open, a line each. Nothing is opened, created
// or asked; secrets are left out.
func (c *Config) Check() ([]string, error) {
	if err := c.Complete(); err != nil {
		return nil, err
	}
	plays := func(roles ...string) bool {
		return slices.ContainsFunc(roles, func(r string) bool { return slices.Contains(c.Roles, r) })
	}
	var lines []string
	say := func(name, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%-8s %s", name, fmt.Sprintf(format, args...)))
	}
	say("roles", "%s", strings.Join(c.Roles, ", "))
	if plays("gateway") {
		say("listen", "%s", c.Listen)
		if len(c.CORSOrigins) > 0 {
			say("cors", "pages of %s", strings.Join(c.CORSOrigins, ", "))
		}
	}
	if c.Ops != "" {
		say("ops", "%s", c.Ops)
	}
	if c.OTLP != "" {
		say("otlp", "%s", redact(c.OTLP))
	}
	if plays("gateway", "controller", "results") {
		if _, err := parseState(c); err != nil {
			return nil, err
		}
		say("state", "%s", redact(c.State))
	}
	if _, err := parseQueue(c, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	say("queue", "%s", redact(c.Queue))
	names := map[string]bool{}
	for _, text := range c.Blobs {
		name, _, err := parseBlob(text)
		if err != nil {
			return nil, err
		}
		if names[name] {
			return nil, errs.New(errs.Invalid, "config", "blobs: there are two stores called %q", name)
		}
		names[name] = true
		say("blobs", "%s", redact(text))
	}
	client, err := egress.New(egress.Config{Allow: c.EgressAllow})
	if err != nil {
		return nil, err
	}
	client.Close()
	if plays("worker", "gateway") {
		say("scratch", "%s", c.Scratch)
	}
	if plays("worker") {
		sizes := strings.Join(c.Sizes, ", ")
		if sizes == "" {
			sizes = "all"
		}
		say("worker", "%d cores, %s bytes of memory, pools %s, sizes %s, stops within %s", c.Cores, c.Memory, strings.Join(c.Pools, ", "), sizes, c.Grace)
	}
	if plays("controller") {
		if err := c.checkAges(); err != nil {
			return nil, err
		}
		say("ages", "originals cold %s, kept %s; results %s, segments %s, slices %s", c.OriginalsCold, c.OriginalsKeep, c.ResultsKeep, c.SegmentsKeep, c.SliceCache)
		say("leases", "%s, looked at every %s", c.Lease, c.Tick)
	}
	if len(c.Tenants) > 0 {
		say("tenants", "%d", len(c.Tenants))
	}
	return append(lines, c.alone(plays)...), nil
}

// checkAges looks whether an S3 store could keep the ages; the others have no
// rules of their own. Its secrets need not be there.
func (c *Config) checkAges() error {
	_, where, _ := strings.Cut(c.Blobs[0], "=")
	if !strings.HasPrefix(where, "s3:") {
		return nil
	}
	o, err := s3.Parse(where)
	if err != nil {
		return err
	}
	return c.ages().Check(o.CheckRules, task.Place{Results: bucketResults, Segments: bucketSegments})
}

// alone warns of roles apart over parts that only one process can reach.
func (c *Config) alone(plays func(roles ...string) bool) []string {
	if !slices.ContainsFunc(roleNames, func(r string) bool { return !plays(r) }) {
		return nil
	}
	var lines []string
	if !strings.HasPrefix(c.Queue, "nats://") {
		lines = append(lines, "warning: no other process can reach this queue; roles apart need nats://HOST:PORT")
	}
	state := plays("gateway", "controller", "results") && !(plays("gateway") && plays("controller") && plays("results"))
	if state && strings.HasPrefix(c.State, "sqlite:") {
		lines = append(lines, "warning: SQLite is for one process; gateway, controller and results apart need postgres://…")
	}
	return lines
}
