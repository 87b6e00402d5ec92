package remux

import (
	"slices"
	"testing"

	"github.com/mediafn/mediafn/core/media"
)

func TestSameTimes(t *testing.T) {
	ms, fine := media.Rational{Num: 1, Den: 1000}, media.Rational{Num: 1, Den: 90000}
	for _, c := range []struct {
		got, want []int64
		same      bool
	}{
		{[]int64{0, 3600, 7200}, []int64{80, 0, 40}, true},
		{[]int64{0, 3600, 7201}, []int64{0, 40, 80}, false},
		{[]int64{0, 3600}, []int64{0, 40, 80}, false},
		{[]int64{0, 3600, 3600}, []int64{0, 40, 40}, false},
		{[]int64{-3600, 0}, []int64{-40, 0}, false},
	} {
		if err := sameTimes(c.got, fine, slices.Clone(c.want), ms); (err == nil) != c.same {
			t.Errorf("%v for %v: %v", c.got, c.want, err)
		}
	}
}

// The lines of framecrc, in pieces as they come.
func TestPackets(t *testing.T) {
	text := "#software: Lavf\n#tb 0: 1/1000\n#media_type 0: video\n0,  -40,  0,  40,  99, 0x1\n0, 0, 120, 40, 9, 0x2, F=0x0, S=1, 1\n0, 40, 40, 40, 9, 0x3, F=0x4\n0, 80, 80, 40, 9, 0x4, F=0x0\n"
	p := &Packets{}
	for i := 0; i < len(text); i += 7 {
		if n, err := p.Write([]byte(text[i:min(i+7, len(text))])); err != nil || n == 0 {
			t.Fatal(n, err)
		}
	}
	if p.err != nil || p.Base != (media.Rational{Num: 1, Den: 1000}) || !slices.Equal(p.PTS, []int64{0, 120, 80}) || !slices.Equal(p.Keys, []int64{0}) || p.Between(0, 120) != 2 || p.End() != 160 {
		t.Errorf("%+v", p)
	}
	p = &Packets{}
	if _, _ = p.Write([]byte("0, 0, NOPTS, 40, 9, 0x2\n")); p.err == nil {
		t.Error("a frame without a time passes")
	}
}
