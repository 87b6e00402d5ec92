package matrix_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// looks is what comparing the pictures of two results told.
type looks struct {
	sliced, whole []float64 // SSIM against the source, by frame
	delta         []float64 // mean ΔE of the frames that were looked at, by slice
}

// look decodes source, sliced and whole result side by side, in one go: SSIM
// of every frame, and the colours of some of each slice's.
func look(t *testing.T, source, undone, sliced, whole, pixels, size string, picks [][]int) looks {
	t.Helper()
	// Relative, and plain: a graph reads some letters as its own.
	name, err := os.MkdirTemp(folder.path, "look")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Base(name)
	var pick []string
	for _, frames := range picks {
		for _, n := range frames {
			pick = append(pick, fmt.Sprintf("eq(n,%d)", n))
		}
	}
	format := "yuv420p"
	if strings.Contains(pixels, "10") {
		format = "yuv420p10le"
	}
	if undone != "" {
		undone += ","
	}
	var g strings.Builder
	fmt.Fprintf(&g, "[0:v:0]%sscale=%s,format=%s,settb=1/1000,setpts=N,split=2[r1][r2];", undone, strings.Replace(size, "x", ":", 1), format)
	for i, which := range []string{"sliced", "whole"} {
		fmt.Fprintf(&g, "[%d:v:0]split=2[p%d][c%d];", i+1, i+1, i+1)
		fmt.Fprintf(&g, "[p%d]format=%s,settb=1/1000,setpts=N[q%d];[r%d][q%d]ssim=stats_file=%s[s%d];", i+1, format, i+1, i+1, i+1, filepath.Join(dir, which), i+1)
		fmt.Fprintf(&g, "[c%d]select='%s',scale,format=rgb24[f%d];", i+1, strings.Join(pick, "+"), i+1)
	}
	args := []string{"-i", source, "-i", sliced, "-i", whole, "-filter_complex", strings.TrimSuffix(g.String(), ";")}
	for i, which := range []string{"sliced", "whole"} {
		args = append(args, "-map", fmt.Sprintf("[s%d]", i+1), "-f", "null", "-",
			"-map", fmt.Sprintf("[f%d]", i+1), "-vsync", "passthrough", "-f", "rawvideo", filepath.Join(dir, which+".rgb"))
	}
	ffmpeg(t, args...)
	l := looks{sliced: ssims(t, filepath.Join(name, "sliced")), whole: ssims(t, filepath.Join(name, "whole"))}
	a, b := colours(t, filepath.Join(name, "sliced.rgb")), colours(t, filepath.Join(name, "whole.rgb"))
	if len(a) != len(b) || len(a) == 0 || len(a)%len(pick) != 0 {
		t.Fatalf("%d and %d bytes of %d frames", len(a), len(b), len(pick))
	}
	each := len(a) / len(pick)
	for _, frames := range picks {
		n := each * len(frames)
		l.delta = append(l.delta, deltaE(a[:n], b[:n]))
		a, b = a[n:], b[n:]
	}
	return l
}

func colours(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ssims reads what the filter wrote, one value a frame.
func ssims(t *testing.T, path string) (all []float64) {
	t.Helper()
	for line := range strings.Lines(string(colours(t, path))) {
		_, rest, _ := strings.Cut(line, "All:")
		value, _, _ := strings.Cut(rest, " ")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("ssim line %q", line)
		}
		all = append(all, v)
	}
	return all
}

// windows are the means over each second that begins with the first frame.
func windows(times, values []float64) []float64 {
	var sum, n []float64
	for i := range min(len(times), len(values)) {
		w := int(times[i] - times[0] + 1e-6)
		for len(sum) <= w {
			sum, n = append(sum, 0), append(n, 0)
		}
		sum[w], n[w] = sum[w]+values[i], n[w]+1
	}
	for i := range sum {
		sum[i] /= max(n[i], 1)
	}
	return sum
}

// around lists the frames of each slice whose colours are compared: two at
// each end and two inside.
func around(joints []int, frames int) (all [][]int) {
	edges := append(append([]int{0}, joints...), frames)
	for i, from := range edges[:len(edges)-1] {
		to := edges[i+1]
		picks := []int{from, from + 1, from + (to-from)/3, from + 2*(to-from)/3, to - 2, to - 1}
		picks = slices.DeleteFunc(picks, func(n int) bool { return n < from || n >= to })
		slices.Sort(picks)
		all = append(all, slices.Compact(picks))
	}
	return all
}

// deltaE is the mean CIE76 difference of two pictures of 8-bit sRGB pixels, D65.
func deltaE(a, b []byte) float64 {
	sum := 0.0
	for i := 0; i+2 < len(a); i += 3 {
		if a[i] == b[i] && a[i+1] == b[i+1] && a[i+2] == b[i+2] {
			continue
		}
		l1, a1, b1 := lab(a[i], a[i+1], a[i+2])
		l2, a2, b2 := lab(b[i], b[i+1], b[i+2])
		sum += math.Sqrt((l1-l2)*(l1-l2) + (a1-a2)*(a1-a2) + (b1-b2)*(b1-b2))
	}
	return sum / float64(len(a)/3)
}

// linear is IEC 61966-2-1's curve, by code value.
var linear = func() (t [256]float64) {
	for i := range t {
		v := float64(i) / 255
		if t[i] = v / 12.92; v > 0.04045 {
			t[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return t
}()

func lab(r, g, b byte) (L, A, B float64) {
	x := 0.4124564*linear[r] + 0.3575761*linear[g] + 0.1804375*linear[b]
	y := 0.2126729*linear[r] + 0.7151522*linear[g] + 0.0721750*linear[b]
	z := 0.0193339*linear[r] + 0.1191920*linear[g] + 0.9503041*linear[b]
	f := func(v float64) float64 {
		if v > 216.0/24389 {
			return math.Cbrt(v)
		}
		return (24389.0/27*v + 16) / 116
	}
	fx, fy, fz := f(x/0.95047), f(y), f(z/1.08883)
	return 116*fy - 16, 500 * (fx - fy), 200 * (fy - fz)
}

// TestDeltaE holds the colour measure against values known from the standard:
// sRGB red is L*a*b* 53.24, 80.09, 67.20 and white to black is 100.
func TestDeltaE(t *testing.T) {
	if l, a, b := lab(255, 0, 0); math.Abs(l-53.24) > 0.01 || math.Abs(a-80.09) > 0.01 || math.Abs(b-67.20) > 0.01 {
		t.Errorf("red is %.2f %.2f %.2f", l, a, b)
	}
	if d := deltaE([]byte{255, 255, 255, 9, 9, 9}, []byte{0, 0, 0, 9, 9, 9}); math.Abs(d-50) > 0.01 {
		t.Errorf("white to black in every other pixel: %.3f", d)
	}
}
