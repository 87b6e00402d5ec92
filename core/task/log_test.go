package task

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

func TestIds(t *testing.T) {
	const id = "0199d2a4-0000-7000-8000-000000000001"
	for _, c := range []struct{ work, trace, want string }{
		{id, "", "task=" + id},
		{id + "_Merge", "t1", "task=" + id + " event=" + id + "_Merge trace=t1"},
		{id + "_Segments_3", "t2", "task=" + id + " event=" + id + "_Segments segment=3 trace=t2"},
	} {
		var out bytes.Buffer
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", Ids(c.work, c.trace), "err", "y")
		if !strings.Contains(out.String(), "msg=x "+c.want+" err=y\n") {
			t.Errorf("%s", out.String())
		}
	}
}
