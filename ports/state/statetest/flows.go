package statetest

import (
	"slices"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

func testFlows(t *testing.T, b *bench) {
	for _, body := range []string{"one", "two"} { // a version is written once
		if err := b.PutFlow(t.Context(), "f", "1", body, epoch); err != nil {
			t.Fatal(err)
		}
	}
	if body, err := b.Flow(t.Context(), "f", "1"); err != nil || body != "one" {
		t.Errorf("flow: %q, %v", body, err)
	}
	if _, err := b.Flow(t.Context(), "f", "2"); !errs.Is(err, errs.NotFound) {
		t.Errorf("unknown version: %v", err)
	}
	current := func(want string) {
		t.Helper()
		active, err := b.ActiveFlows(t.Context())
		if err != nil || active["f"].Version != want || (want == "") != (len(active) == 0) {
			t.Errorf("current is %+v, %v, want version %q", active, err, want)
		}
	}
	current("") // kept is not activated
	activate := func(version string, at time.Time) {
		t.Helper()
		if err := b.ActivateFlow(t.Context(), "f", version, "body "+version, "ann", at); err != nil {
			t.Fatal(err)
		}
		current(version)
	}
	activate("2", epoch)
	activate("3", epoch)                   // in the same moment
	activate("2", epoch)                   // back again
	activate("1", epoch.Add(-time.Second)) // by a clock that is behind; its text stays
	if body, err := b.Flow(t.Context(), "f", "1"); err != nil || body != "one" {
		t.Errorf("activation changed a text: %q, %v", body, err)
	}
	if err := b.RetireFlow(t.Context(), "f", epoch); err != nil {
		t.Error(err)
	}
	current("")
	if err := b.RetireFlow(t.Context(), "f", epoch); !errs.Is(err, errs.NotFound) {
		t.Errorf("retired twice: %v", err)
	}
	activate("3", epoch)
	all, err := b.FlowVersions(t.Context(), "f")
	var versions []string
	for _, v := range all {
		versions = append(versions, v.Version)
	}
	slices.Sort(versions)
	if err != nil || !slices.Equal(versions, []string{"1", "2", "3"}) {
		t.Errorf("versions %v, %v", versions, err)
	}
	for _, v := range all {
		if v.Version == "3" && (v.Body != "body 3" || v.Author != "ann" || v.ActivatedAt.IsZero() || !v.RetiredAt.IsZero() || !v.CreatedAt.Equal(epoch)) {
			t.Errorf("%+v", v)
		}
		if v.Version == "2" && v.RetiredAt.IsZero() {
			t.Errorf("retired with the flow, but %+v", v)
		}
	}
	if none, err := b.FlowVersions(t.Context(), "unknown"); err != nil || len(none) != 0 {
		t.Errorf("versions of an unknown flow: %v, %v", none, err)
	}
}
