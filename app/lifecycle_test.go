package app

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// TestAge: ages are written as people say them, and come back so.
func TestAge(t *testing.T) {
	for text, want := range map[string]time.Duration{"3d": 3 * day, "36h": 36 * time.Hour, "90m": 90 * time.Minute, "ever": 0, "off": 0} {
		var a Age
		if err := a.UnmarshalText([]byte(text)); err != nil || time.Duration(a) != want {
			t.Errorf("%s: %s, %v", text, time.Duration(a), err)
		}
		var again Age
		if err := again.UnmarshalText([]byte(a.String())); err != nil || again != a {
			t.Errorf("%s is written %s, which is %s (%v)", text, a, again, err)
		}
	}
	for _, text := range []string{"", "3", "0d", "-1h", "d", "1.5d", "40000d", "soon"} {
		if err := new(Age).UnmarshalText([]byte(text)); !errs.Is(err, errs.Invalid) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestLifecycleIsChecked: ages that contradict each other are refused with the
// other faults, those a store cannot keep when it is opened.
func TestLifecycleIsChecked(t *testing.T) {
	for field, l := range map[string]Lifecycle{
		"originals-cold": {OriginalsCold: Age(2 * day), OriginalsKeep: Age(day)},
		"slice-cache":    {SliceCache: Age(2 * day), SegmentsKeep: Age(day)},
		"results-keep":   {ResultsKeep: Age(time.Second)},
		"originals":      {Originals: []string{"results"}},
	} {
		c := Config{Data: t.TempDir(), Roles: []string{"controller"}, Most: 1, Submissions: 1, Lease: time.Minute, Tick: time.Second, Lifecycle: l}
		if err := c.Complete(); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), field+": ") {
			t.Errorf("%s: %v", field, err)
		}
	}
	c := Config{Data: t.TempDir(), Roles: []string{"controller"}, Most: 1, Submissions: 1, Lease: time.Minute, Tick: time.Second, Queue: "mem",
		Blobs: []string{"main=s3://key:secret@127.0.0.1:1?tls=false&lifecycle=true"}, Lifecycle: Lifecycle{ResultsKeep: Age(36 * time.Hour)}}
	a, err := Open(context.Background(), c, slog.New(slog.DiscardHandler))
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "S3 counts whole days") {
		t.Errorf("hours for a store that counts days: %v", err)
	}
	if a != nil {
		_ = a.Close()
	}
}
