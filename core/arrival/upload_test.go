package arrival_test

import (
	"slices"
	"testing"

	"github.com/mediafn/mediafn/core/arrival"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
)

const mib = 1 << 20

func TestNeed(t *testing.T) {
	part := func(stream fn.Stream, pass fn.Pass, behind int64) *fn.Part {
		return &fn.Part{Stream: stream, Pass: pass, Bytes: fn.Bytes{First: 5 * mib, Behind: behind}}
	}
	probe := &job.Job{Fn: "inspect.probe"}
	slice := &job.Job{Fn: "video.transcode", Part: part(fn.Pictures, "", 7*mib)}
	split, last, front := part(fn.Pictures, "", 7*mib), part(fn.Pictures, "", 0), &job.Job{Fn: "inspect.front"}
	split.Split, last.Split = &fn.Bytes{First: 5 * mib, Behind: 6 * mib}, &fn.Bytes{First: 5 * mib}
	for _, c := range []struct {
		name  string
		job   *job.Job
		n     int
		index int64
		size  int64
		short int64
		need  int64 // 0 = the object
	}{
		{"tables", probe, 0, 1000, 100 * mib, 0, 2 * mib},
		{"tables, found short", probe, 0, 1000, 100 * mib, 8 * mib, 11 * mib},
		{"tables of a short file", probe, 0, 1000, mib / 2, 0, mib / 2},
		{"tables behind", probe, 0, -1, 100 * mib, 0, 0},
		{"tables not found yet", probe, 0, 0, 100 * mib, 0, 0},
		{"a slice", slice, 0, 1000, 100 * mib, 0, 8 * mib},
		{"a slice near the end", slice, 0, 1000, 7*mib + 5, 0, 7*mib + 5},
		{"a slice, found short", slice, 0, 1000, 100 * mib, 7*mib + 1, 10 * mib},
		{"analysis of a slice", &job.Job{Part: part(fn.Pictures, fn.Analyse, 7*mib)}, 0, 1000, 100 * mib, 0, 8 * mib},
		{"what all slices need", &job.Job{Part: part(fn.Pictures, fn.Reduce, 7*mib)}, 0, 1000, 100 * mib, 0, 0},
		{"the last slice", &job.Job{Part: part(fn.Pictures, "", 0)}, 0, 1000, 100 * mib, 0, 0},
		{"a logo", slice, 1, 1000, 100 * mib, 0, 0},
		{"sound", &job.Job{Part: part(fn.Sound, "", 7*mib)}, 0, 1000, 100 * mib, 0, 0},
		{"a whole", &job.Job{Fn: "video.transcode"}, 0, 1000, 100 * mib, 0, 0},
		{"copied before", &job.Job{Fn: "inspect.probe", PreDownload: true}, 0, 1000, 100 * mib, 0, 0},
		{"size not declared", probe, 0, 1000, -1, 0, 0},
		{"the front", front, 0, arrival.Splits, 100 * mib, 0, 5 * mib},
		{"the front, found short", front, 0, arrival.Splits, 100 * mib, 8 * mib, 11 * mib},
		{"a split", &job.Job{Part: split}, 0, arrival.Splits, 100 * mib, 0, 8 * mib},
		{"a split, found short", &job.Job{Part: split}, 0, arrival.Splits, 100 * mib, 8 * mib, 11 * mib},
		{"the last split", &job.Job{Part: last}, 0, arrival.Splits, 100 * mib, 0, 0},
		{"a split of what can't be entered", &job.Job{Part: split}, 0, arrival.Behind, 100 * mib, 0, 0},
		{"a slice without index", slice, 0, arrival.Splits, 100 * mib, 0, 0},
		{"tables without index", probe, 0, arrival.Splits, 100 * mib, 0, 0},
	} {
		u := arrival.Upload{Index: c.index, Size: c.size, State: arrival.Open}
		need := arrival.Need(c.job, c.n, &u, c.short)
		if c.need != 0 && need != c.need {
			t.Errorf("%s: %d, want %d", c.name, need, c.need)
		}
		u.Arrived = max(c.size, 0)
		if early := u.There(need); early != (c.need != 0) {
			t.Errorf("%s: may begin before the object is there: %v", c.name, early)
		}
		if u.Arrived = need - 1; c.need != 0 && u.There(need) {
			t.Errorf("%s: may begin a byte too early", c.name)
		}
		if u.State = arrival.Gone; u.There(need) {
			t.Errorf("%s: may begin on an upload that is over", c.name)
		}
		if u.State = arrival.Done; !u.There(need) {
			t.Errorf("%s: may not begin though the object is there", c.name)
		}
	}
}

// TestShortIsOvercome: an attempt that finds bytes missing again and again comes
// to the end of the file in few attempts.
func TestShortIsOvercome(t *testing.T) {
	u := arrival.Upload{Index: 1000, Size: 100 << 30, State: arrival.Open}
	probe, tries := &job.Job{Fn: "inspect.probe"}, 0
	for need := int64(0); need < u.Size; tries++ {
		next := arrival.Need(probe, 0, &u, need+1)
		if next <= need {
			t.Fatalf("waits for %d bytes after %d", next, need)
		}
		need = next
	}
	if tries > 60 {
		t.Errorf("%d attempts", tries)
	}
}

func TestWanted(t *testing.T) {
	var pieces []media.Piece
	for i := range int64(20) {
		pieces = append(pieces, media.Piece{Start: i * mib, Size: mib})
	}
	starts := func(list []media.Piece) (all []int64) {
		for _, p := range list {
			all = append(all, p.Start/mib)
		}
		return all
	}
	u := arrival.Upload{Index: 1000, Size: 20 * mib}
	j := &job.Job{Part: &fn.Part{Stream: fn.Pictures, Bytes: fn.Bytes{First: 6*mib + 5, Behind: 8 * mib}}}
	if got := starts(arrival.Wanted(j, &u, arrival.Need(j, 0, &u, 0), pieces)); !slices.Equal(got, []int64{0, 1, 6, 7, 8}) {
		t.Errorf("of a slice: %v", got)
	}
	j = &job.Job{Fn: "inspect.probe"}
	if got := starts(arrival.Wanted(j, &u, arrival.Need(j, 0, &u, 0), pieces)); !slices.Equal(got, []int64{0, 1}) {
		t.Errorf("of the tables: %v", got)
	}
}

func TestEarly(t *testing.T) {
	for _, c := range []struct {
		name         string
		u            arrival.Upload
		early, known bool
	}{
		{"arriving", arrival.Upload{State: arrival.Open, Index: arrival.Splits, Size: 100 * mib}, true, true},
		{"nothing is there", arrival.Upload{State: arrival.Open, Size: 100 * mib}, false, false},
		{"size not declared", arrival.Upload{State: arrival.Open, Index: arrival.Splits, Size: -1}, false, false},
		{"small", arrival.Upload{State: arrival.Open, Index: arrival.Splits, Size: 7 * mib}, false, true},
		{"indexed", arrival.Upload{State: arrival.Open, Index: 1000, Size: 100 * mib}, false, true},
		{"index behind", arrival.Upload{State: arrival.Open, Index: arrival.Behind, Size: 100 * mib}, false, true},
		{"whole", arrival.Upload{State: arrival.Whole, Index: arrival.Splits, Size: 100 * mib}, false, true},
		{"gone before anything came", arrival.Upload{State: arrival.Gone, Size: -1}, false, true},
	} {
		if early, known := c.u.Early(); early != c.early || known != c.known {
			t.Errorf("%s: early %v, known %v", c.name, early, known)
		}
	}
}

func TestTell(t *testing.T) {
	for _, c := range []struct {
		index, size int64
		seen        arrival.Seen
		reason      string
	}{
		{1000, 100 * mib, arrival.Seen{Slices: 2, Early: true}, "why; slices began as their bytes arrived"},
		{1000, 100 * mib, arrival.Seen{Early: true}, "why; there were no slices that could have begun before the end"},
		{1000, 100 * mib, arrival.Seen{}, "why; it was whole before anything could begin"},
		{1000, 100 * mib, arrival.Seen{Copied: true}, "extra.pre_download has the whole file copied before work begins"},
		{arrival.Behind, 100 * mib, arrival.Seen{}, "why"},
		{arrival.Splits, 100 * mib, arrival.Seen{Slices: 2, Early: true}, "why; slices began as their bytes arrived"},
		{arrival.Splits, 100 * mib, arrival.Seen{Slices: 2, Early: true, NotAhead: "of a gap"}, "why; slices began as their bytes arrived, and are not used: of a gap"},
		{arrival.Splits, 100 * mib, arrival.Seen{Early: true, NotEarly: "it depends"}, "why; it depends"},
		{arrival.Splits, 100 * mib, arrival.Seen{Together: true}, "why; slices of this function are planned when all frames are known"},
		{arrival.Splits, 100 * mib, arrival.Seen{Whole: true}, "why; the caller switched slicing off"},
		{arrival.Splits, 7 * mib, arrival.Seen{}, "why; it is too small to begin before its end"},
		{arrival.Splits, 100 * mib, arrival.Seen{}, "why; it was whole before a slice could begin"},
	} {
		u := arrival.Upload{ID: "u", Index: c.index, Size: c.size, Why: "why"}
		want := arrival.Told{Upload: "u", Early: c.seen.Early, Slices: c.seen.Slices, Reason: c.reason}
		if got := u.Tell(c.seen); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}
