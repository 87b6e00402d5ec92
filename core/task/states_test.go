package task_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mediafn/mediafn/core/task"
)

// TestStatesPage holds docs/states.md, tables and pictures, to the tables the
// code is tested against.
func TestStatesPage(t *testing.T) {
	body, err := os.ReadFile("../../docs/states.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		section string
		table   []task.Transition
	}{{"Task", task.TaskTransitions}, {"Work", task.WorkTransitions}} {
		section := sectionOf(t, string(body), c.section)
		if diff := cmp.Diff(c.table, rowsOf(section)); diff != "" {
			t.Errorf("%s, table (-code +page):\n%s", c.section, diff)
		}
		if diff := cmp.Diff(sorted(c.table), sorted(arrowsOf(section))); diff != "" {
			t.Errorf("%s, picture (-code +page):\n%s", c.section, diff)
		}
	}
}

func sectionOf(t *testing.T, page, name string) string {
	t.Helper()
	_, rest, ok := strings.Cut(page, "\n## "+name+"\n")
	if !ok {
		t.Fatalf("docs/states.md has no section %s", name)
	}
	section, _, _ := strings.Cut(rest, "\n## ")
	return section
}

func rowsOf(section string) (all []task.Transition) {
	row := regexp.MustCompile(`(?m)^\| (\S+) \| (.+?) \| (\S+) \|$`)
	for _, m := range row.FindAllStringSubmatch(section, -1) {
		if m[1] != "from" {
			all = append(all, transition(m[1], m[2], m[3], "(new)"))
		}
	}
	return all
}

func arrowsOf(section string) (all []task.Transition) {
	arrow := regexp.MustCompile(`(?m)^    (\S+) --> (\S+): (.+)$`)
	for _, m := range arrow.FindAllStringSubmatch(section, -1) {
		if m[2] != "[*]" {
			all = append(all, transition(m[1], m[3], m[2], "[*]"))
		}
	}
	return all
}

func transition(from, on, to, none string) task.Transition {
	if from == none {
		from = ""
	}
	return task.Transition{From: task.State(from), On: on, To: task.State(to)}
}

func sorted(table []task.Transition) []task.Transition {
	return slices.SortedFunc(slices.Values(table), func(a, b task.Transition) int {
		return strings.Compare(string(a.From)+a.On+string(a.To), string(b.From)+b.On+string(b.To))
	})
}

func TestAllowed(t *testing.T) {
	if !task.Allowed(task.WorkTransitions, task.Running, task.Succeeded) {
		t.Error("running work may succeed")
	}
	for _, s := range []task.State{task.Queued, task.Waiting, task.Ready, task.Running} {
		if s.Final() {
			t.Errorf("%s is not final", s)
		}
		if task.Allowed(task.WorkTransitions, s, task.Queued) || task.Allowed(task.WorkTransitions, task.Succeeded, task.Running) {
			t.Errorf("%s: work is never queued, and succeeded work runs again only by way of ready", s)
		}
	}
}
