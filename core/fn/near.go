package fn

import (
	"cmp"
	"slices"
	"strings"
)

// Near picks the names a person may have meant, best first, at most five.
func Near(name string, names []string) []string {
	type guess struct {
		name     string
		distance int
	}
	var all []guess
	low := strings.ToLower(name)
	for _, n := range names {
		d := distance(low, strings.ToLower(n))
		if _, verb, ok := strings.Cut(n, "."); ok {
			d = min(d, 1+distance(low, verb)) // "transcode" means video.transcode
		}
		if len(low) >= 3 && strings.Contains(n, low) {
			d = min(d, 1)
		}
		if d <= max(2, len(name)/3) {
			all = append(all, guess{n, d})
		}
	}
	slices.SortFunc(all, func(a, b guess) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), strings.Compare(a.name, b.name))
	})
	out := []string{}
	for _, g := range all[:min(5, len(all))] {
		out = append(out, g.name)
	}
	return out
}

// distance is the number of insertions, deletions and replacements between two
// texts (Levenshtein), over bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
