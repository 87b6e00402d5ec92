package assemble

import (
	"math"
	"testing"
)

// Entry points lie elsewhere in a result than in its source, and far in front of
// what is listened to: the same stretch is heard all the same.
func TestHearFarFromEntry(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.run("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=12", "-f", "lavfi", "-i", "anoisesrc=r=48000:d=12:seed=3:a=0.3", "-c:v", "libx264", "-preset", "ultrafast",
		"-g", "25", "-pix_fmt", "yuv420p", "-c:a", "aac", b.path("dense.mp4"))
	b.run("-i", b.path("dense.mp4"), "-c:v", "libx264", "-preset", "ultrafast", "-g", "250", "-c:a", "copy", b.path("rare.mp4"))
	at := []float64{0.3, 5.5, 8.7}
	var heard [2][][]float64
	for i, name := range []string{"dense.mp4", "rare.mp4"} {
		in := b.input("source", b.path(name))
		var err error
		if heard[i], err = hear(t.Context(), &meter{ff: b.ff}, &in, 0, at, false); err != nil {
			t.Fatal(err)
		}
	}
	for i := range at {
		if lag, clear := shift(heard[0][i], heard[1][i]); !clear || math.Abs(lag) > 0.0002 {
			t.Errorf("at %g s: %g s behind, clear %v", at[i], lag, clear)
		}
		loud := 0
		for _, x := range heard[1][i] {
			if x != 0 {
				loud++
			}
		}
		if loud < len(heard[1][i])*9/10 {
			t.Errorf("at %g s: %d of %d samples are there", at[i], loud, len(heard[1][i]))
		}
	}
}
