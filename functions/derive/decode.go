package derive

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// pass is one run of the decoder: from a keyframe to the last frame wanted
// from there.
type pass struct {
	Entry int    // index of the keyframe where decoding starts
	Shots []shot // rising
	First int    // number of the first file it writes
}

// cost is how many frames the pass decodes.
func (s pass) cost() int { return s.Shots[len(s.Shots)-1].Index - s.Entry + 1 }

// startFrames is what starting a decoder costs, in frames of the given size:
// about 0.15 s of one core against 500 million pixels decoded a second.
func startFrames(width, height int) int {
	return int(0.15*500e6/math.Max(float64(width)*float64(height), 64*64)) + 1
}

// passes groups shots so that little is decoded in vain: a gap that holds a
// keyframe and costs more to decode through than a start is jumped over. Then
// the longest passes are cut at keyframes until every worker has one, as long
// as that pays. Only keyframes are decoded where keysOnly is set, so gaps cost
// nothing there and cuts are free.
func passes(l timeline, shots []shot, workers, start int, keysOnly bool) []pass {
	entry := func(s shot) int { return l.entry(s.Index) }
	var all []pass
	for _, s := range shots {
		e := entry(s)
		if n := len(all); n > 0 && len(all[n-1].Shots) < maxTerms && (keysOnly || e-all[n-1].Shots[len(all[n-1].Shots)-1].Index <= start) {
			all[n-1].Shots = append(all[n-1].Shots, s)
			continue
		}
		all = append(all, pass{Entry: e, Shots: []shot{s}})
	}
	for len(all) < workers {
		longest := 0
		for i := range all {
			if all[i].cost() > all[longest].cost() {
				longest = i
			}
		}
		left, right, ok := halve(all[longest], entry, start)
		if !ok {
			break
		}
		all = append(all[:longest], append([]pass{left, right}, all[longest+1:]...)...)
	}
	number := 1
	for i := range all {
		all[i].First = number
		number += len(all[i].Shots)
	}
	return all
}

// halve cuts a pass into two that take about the same time; not ok when that
// saves less than a start costs.
func halve(s pass, entry func(shot) int, start int) (left, right pass, ok bool) {
	best := s.cost() - start
	for i := 1; i < len(s.Shots); i++ {
		a := pass{Entry: s.Entry, Shots: s.Shots[:i:i]}
		b := pass{Entry: entry(s.Shots[i]), Shots: s.Shots[i:]}
		if worst := max(a.cost(), b.cost()); worst < best {
			best, left, right, ok = worst, a, b, true
		}
	}
	return left, right, ok
}

// maxTerms bounds the length of a select expression: about 50 bytes a term,
// and the kernel takes 128 KiB in one argument.
const maxTerms = 1500

// stretch is a row of neighbouring frames that are all wanted, by timestamp.
type stretch struct{ From, To int64 }

// stretches joins shots that follow each other without a gap.
func stretches(l timeline, shots []shot) []stretch {
	var all []stretch
	for i, s := range shots {
		pts := l.Frames[s.Index].PTS
		if i > 0 && s.Index == shots[i-1].Index+1 {
			all[len(all)-1].To = pts
			continue
		}
		all = append(all, stretch{pts, pts})
	}
	return all
}

// selectExpr is an expression of the select filter that is true for exactly
// the given stretches (rising): a binary tree, so that a frame costs log n
// comparisons and not n.
func selectExpr(all []stretch) string {
	var b strings.Builder
	var tree func(part []stretch)
	tree = func(part []stretch) {
		if len(part) == 1 {
			from, to := strconv.FormatInt(part[0].From, 10), strconv.FormatInt(part[0].To, 10)
			if from == to {
				b.WriteString("eq(pts," + from + ")")
			} else {
				b.WriteString("between(pts," + from + "," + to + ")")
			}
			return
		}
		mid := len(part) / 2
		b.WriteString("if(lt(pts," + strconv.FormatInt(part[mid].From, 10) + "),")
		tree(part[:mid])
		b.WriteString(",")
		tree(part[mid:])
		b.WriteString(")")
	}
	tree(all)
	return b.String()
}

// lineReader cuts what is written to it into lines; longer ones than 4 KiB are
// cut short.
type lineReader struct{ part []byte }

func (r *lineReader) each(b []byte, take func(line string)) (int, error) {
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			if len(r.part)+len(b) <= 4096 {
				r.part = append(r.part, b...)
			}
			return n, nil
		}
		take(string(append(r.part, b[:i]...)))
		r.part, b = r.part[:0], b[i+1:]
	}
}

// stampReader takes what the metadata filter prints and keeps the timestamps:
// "frame:0    pts:105105  pts_time:3.5035".
type stampReader struct {
	lineReader
	PTS []int64
}

func (r *stampReader) Write(b []byte) (int, error) { return r.each(b, r.take) }

func (r *stampReader) take(line string) {
	f := strings.Fields(line)
	if len(f) < 2 || !strings.HasPrefix(f[0], "frame:") {
		return
	}
	if pts, ok := strings.CutPrefix(f[1], "pts:"); ok {
		if n, err := strconv.ParseInt(pts, 10, 64); err == nil {
			r.PTS = append(r.PTS, n)
		}
	}
}

// micro rounds seconds to the microsecond.
func micro(s float64) float64 { return math.Round(s*1e6) / 1e6 }
