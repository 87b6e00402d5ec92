package roles_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
	"github.com/mediafn/mediafn/core/task"
)

// with adds a flow to the cluster's.
func (c *cluster) with(text string) *flow.Plan {
	c.t.Helper()
	p, err := flow.Load([]byte(text))
	if err != nil {
		c.t.Fatal(err)
	}
	all := []*flow.Plan{p}
	for _, name := range c.book.Names() {
		all = append(all, c.book.Get(name))
	}
	c.book.Replace(all...)
	return p
}

// TestSeventyComponents runs a flow whose slots take three words, in a wide
// module and in a long chain.
func TestSeventyComponents(t *testing.T) {
	for name, chained := range map[string]func(i int) bool{
		"wide":  func(i int) bool { return i == 69 },
		"chain": func(i int) bool { return i > 0 },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, c *cluster) {
				var all []string
				for i := range 70 {
					on := ""
					if chained(i) {
						on = fmt.Sprintf("C%d", i-1)
					}
					all = append(all, fmt.Sprintf("{component_name: C%d, fn: t.a, depends: [%q]}", i, on))
				}
				c.with("name: many\nmodules:\n- {module_name: M, status: m, next_status: done, components: [" + strings.Join(all, ", ") + "]}\n")
				c.controller()
				c.worker("w1")
				c.worker("w2")
				id := c.submit("many", "a")
				c.wake(id)
				v := c.ends(id, task.Succeeded, time.Minute)
				if n := c.run.count("t.a"); n != 70 || len(v.Work) != 70 {
					t.Errorf("%d runs, %d rows", n, len(v.Work))
				}
				want := strings.Repeat("5555555555555555.", 2) + "555" // 32, 32 and 6 components that succeeded
				if call, ret := v.Task.Call.String(), v.Task.Ret.String(); call != want || ret != want {
					t.Errorf("slots %s and %s, want %s", call, ret, want)
				}
				if len(v.Task.Outputs) != 1 || !strings.Contains(v.Task.Outputs[0].Key, "/C69/") {
					t.Errorf("the result is %+v", v.Task.Outputs)
				}
			})
		})
	}
}

// TestFallback holds that a component which failed for good is replaced, for
// what depends on it and for the result, and that the history says so.
func TestFallback(t *testing.T) {
	bubble(t, func(t *testing.T, c *cluster) {
		c.run.do["t.a"] = failing(errs.Transient)
		c.with(`
name: careful
modules:
- module_name: M
  status: m
  next_status: done
  components:
  - {component_name: A, fn: t.a, retry: 2, on_fail: fallback, fallback: Z}
  - {component_name: B, fn: t.b, inputs: {in: A}, depends: [A]}
  - {component_name: Z, fn: t.b}
result: [A]
report: {ok: A.ok}
`)
		c.controller()
		c.worker("w1")
		id := c.submit("careful", "a")
		c.wake(id)
		v := c.ends(id, task.Succeeded, time.Minute)
		if n := c.run.count("t.a"); n != 2 || row(v, "A").State != task.Skipped || row(v, "Z").State != task.Succeeded {
			t.Errorf("%d runs; A is %s, Z is %s", n, row(v, "A").State, row(v, "Z").State)
		}
		if len(v.Task.Outputs) != 1 || !strings.Contains(v.Task.Outputs[0].Key, "/Z/") || v.Task.Outputs[0].Bucket != "results" || string(v.Task.Report) != `{"ok":true}` {
			t.Errorf("the result is %+v, %s", v.Task.Outputs, v.Task.Report)
		}
		if !strings.Contains(string(row(v, "B").Job), "/Z/") {
			t.Errorf("what depends on A was given %s", row(v, "B").Job)
		}
		// A failed (2 in its call pair) and returned (1), B and Z were called and returned.
		if call, ret := v.Task.Call.String(), v.Task.Ret.String(); call != "16" || ret != "15" {
			t.Errorf("slots %s and %s", call, ret)
		}
		notes, err := c.store.History(context.Background(), id)
		said := false
		for _, n := range notes {
			said = said || n.Kind == "fallback" && strings.Contains(n.Detail, "Z takes its place") && strings.Contains(n.Detail, "it broke")
		}
		if err != nil || !said {
			t.Errorf("the history does not tell of the fallback: %+v, %v", notes, err)
		}
	})
}
