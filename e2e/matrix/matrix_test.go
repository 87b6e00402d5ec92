package matrix_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// sample are the cells most likely to break, one of each kind of trouble.
var sample = []string{
	"variable rate, mp4/frame rate", "MPEG-TS/frame rate", "WebM, VP9/transcode", "open GOPs with leading frames/transcode", "edit list, late start/watermark",
	"two sound tracks, subtitles, chapters, mkv/transcode", "HDR10, 10 bit/denoise, overlapping", "MPEG-TS, discontinuity/transcode",
	"damaged pictures/transcode", "pictures late, mkv/frame rate", "HDR10 to SDR/transcode",
}

// TestMatrix computes the cells: a sample, or all with -matrix.full.
func TestMatrix(t *testing.T) {
	filter, err := regexp.Compile(*only)
	if err != nil {
		t.Fatal(err)
	}
	l := open(t)
	var mu sync.Mutex
	table := map[string]outcome{}
	t.Run("cells", func(t *testing.T) {
		for i := range inputs {
			for j := range functions {
				in, f := &inputs[i], &functions[j]
				name := in.name + "/" + f.name
				if !*full && !slices.Contains(sample, name) || *full && !filter.MatchString(name) {
					continue
				}
				t.Run(strings.ReplaceAll(name, "/", ": "), func(t *testing.T) {
					t.Parallel()
					o := cell(t, l, in, f)
					t.Logf("%s: %s, sound %+.5f s, size %.3f", name, o, o.offset, o.size)
					if !t.Failed() {
						mu.Lock()
						defer mu.Unlock()
						table[name] = o
					}
				})
			}
		}
	})
	if *full {
		write(t, table)
	}
}

// Where the table stands.
const (
	page  = "../../docs/slicing.md"
	begin = "<!-- matrix: written by make matrix -->\n"
	end   = "<!-- end of matrix -->\n"
)

// write puts what was computed into the page's table; other cells stay.
func write(t *testing.T, computed map[string]outcome) {
	before, table, after := split(t)
	cells := read(table)
	for name, o := range computed {
		cells[name] = o.String()
	}
	var b strings.Builder
	b.WriteString(head())
	b.WriteString("\n|---|" + strings.Repeat("---|", len(functions)) + "\n")
	for _, in := range inputs {
		fmt.Fprintf(&b, "| %s |", in.name)
		for _, f := range functions {
			fmt.Fprintf(&b, " %s |", cells[in.name+"/"+f.name])
		}
		b.WriteString("\n")
	}
	if err := os.WriteFile(page, []byte(before+begin+b.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// head is the first row.
func head() string {
	row := "| source |"
	for _, f := range functions {
		row += " " + f.name + " |"
	}
	return row
}

// read takes a table apart into its cells, by source and function.
func read(table string) map[string]string {
	cells := map[string]string{}
	var columns []string
	for line := range strings.Lines(table) {
		row := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		if columns == nil {
			columns = row
			continue
		}
		for i := 1; i < min(len(row), len(columns)); i++ {
			cells[row[0]+"/"+columns[i]] = row[i]
		}
	}
	return cells
}

// split cuts the page about the table.
func split(t *testing.T) (before, table, after string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	table, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", page)
	}
	return before, table, after
}

// TestTableIsWhole: the page has a row for every source, a column for every
// function, and every cell was computed.
func TestTableIsWhole(t *testing.T) {
	_, table, _ := split(t)
	if rows := strings.Count(table, "\n") - 2; rows != len(inputs) || !strings.HasPrefix(table, head()+"\n") {
		t.Fatalf("%d rows for %d sources, or other columns; make matrix writes them", rows, len(inputs))
	}
	cells := read(table)
	for _, in := range inputs {
		for _, f := range functions {
			if cells[in.name+"/"+f.name] == "" {
				t.Errorf("%s/%s was not computed", in.name, f.name)
			}
		}
	}
}
