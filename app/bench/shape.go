package bench

import (
	"embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
)

//go:embed flows/*.yaml
var flowFiles embed.FS

// Shapes are the names of what Control can send.
var Shapes = []string{"one", "six", "fan"}

const segments = 100 // of a fanned out task

// shape is one kind of task. Every function in it does nothing.
type shape struct {
	name   string
	what   string
	cmd    string
	params json.RawMessage
	tasks  int   // sent when nobody says how many
	rounds []int // components begun together, round after round
	fan    int   // segments of the only component; 0 = it is not fanned out
}

func shapeOf(name string) (shape, error) {
	switch name {
	case "one":
		return shape{name: name, what: "one component", cmd: "noop", tasks: 20000, rounds: []int{1}}, nil
	case "six":
		return shape{name: name, what: "six components, A → B → {C, D, E} → F over three modules", cmd: "bench.six",
			tasks: 6000, rounds: []int{1, 1, 3, 1}}, nil
	case "fan":
		parts := "[" + strings.Repeat("{},", segments-1) + "{}]"
		return shape{name: name, what: fmt.Sprintf("one component fanned out to %d segments", segments), cmd: "bench.fan",
			params: json.RawMessage(`{"parts":` + parts + `}`), tasks: 200, rounds: []int{1}, fan: segments}, nil
	}
	return shape{}, errs.New(errs.Invalid, "bench", "shape %q is none of %s", name, strings.Join(Shapes, ", "))
}

// units is how much work one task of the shape is.
func (s *shape) units() int {
	if s.fan > 0 {
		return s.fan
	}
	n := 0
	for _, k := range s.rounds {
		n += k
	}
	return n
}

// body is the request of task i of a run.
func (s *shape) body(run string, i int, notify string) ([]byte, error) {
	return json.Marshal(api.Submit{Cmd: s.cmd, MsgID: fmt.Sprintf("bench-%s-%s-%d", run, s.name, i), Params: s.params, NotifyURL: notify})
}

// writeFlows puts the flow files of the shapes where a mediafn reads its own.
func writeFlows(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return errs.As(errs.Internal, "bench", err)
	}
	files, err := flowFiles.ReadDir("flows")
	if err != nil {
		return errs.As(errs.Internal, "bench", err)
	}
	for _, f := range files {
		text, err := flowFiles.ReadFile("flows/" + f.Name())
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, f.Name()), text, 0o600)
		}
		if err != nil {
			return errs.As(errs.Internal, "bench", err)
		}
	}
	return nil
}
