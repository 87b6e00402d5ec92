package gateway_test

import (
	"strings"
	"testing"

	"github.com/mediafn/mediafn/api"
)

// What cannot be planned is refused before anything is looked at.
func TestPlanRefuses(t *testing.T) {
	r := newRig(t)
	const in = `"input_files":[{"bucket":"bucket","key":"k.mp4"}]`
	for _, c := range []struct{ body, field string }{
		{`{"cmd":"t.work",` + in + `}`, "cmd"}, // its work cannot be cut
		{`{"cmd":"t.nothing",` + in + `}`, "cmd"},
		{`{` + in + `}`, "cmd"},
		{`{"cmd":"t.work"}`, "input_files"},
		{`{"cmd":"t.work","params":{"width":0},` + in + `}`, "params.width"},
		{`{"cmd":"t.work","slice":"maybe",` + in + `}`, "slice"},
		{`{"cmd":"t.work","workers":[0],` + in + `}`, "workers"},
		{`{"cmd":"t.work","workers":[1` + strings.Repeat(",1", api.MaxCurve) + `],` + in + `}`, "workers"},
		{`{"cmd":"t.work","cores":-1,` + in + `}`, "cores"},
		{`{"cmd":"t.work","priority":3,` + in + `}`, "priority"},
	} {
		if p := read[api.Problem](t, r.do("POST", "/v1/plan", c.body), 400); p.Field != c.field {
			t.Errorf("%s: %+v, want field %s", c.body, p, c.field)
		}
	}
}
