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
