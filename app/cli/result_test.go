package cli

import (
	"strings"
	"testing"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/app/cli/show"
	"github.com/mediafn/mediafn/core/job"
)

func TestOutcome(t *testing.T) {
	two := 1
	err := show.Outcome(&api.Callback{Code: "invalid", Message: "m", Error: &job.Fault{Kind: 1, Message: "is broken", Component: "Segments", Segment: &two, Tail: "last line"}})
	var out strings.Builder
	if code := report(&out, err); code != exitUsage || out.String() != "mediafn: Segments slice 2: is broken\nlast line\n" {
		t.Errorf("%d %q", code, out.String())
	}
	if code := report(&out, show.Outcome(&api.Callback{Code: "too_large", Message: "too large"})); code != exitRefused {
		t.Error(code)
	}
	if code := report(&out, show.Outcome(&api.Callback{Code: "canceled"})); code != exitFailed {
		t.Error(code)
	}
	if show.Outcome(&api.Callback{Success: true}) != nil {
		t.Error("a success fails")
	}
}
