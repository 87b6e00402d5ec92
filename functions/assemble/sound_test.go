package assemble

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestShift: sound is found where it lies, noise and voices as well as tones,
// which are alike at every period.
func TestShift(t *testing.T) {
	const n = int(earLength * earRate)
	chance := rand.New(rand.NewPCG(1, 2))
	noise := make([]float64, n+2*earReach)
	for i := range noise {
		noise[i] = chance.NormFloat64() * 1000
		if i > 0 {
			noise[i] += 0.9 * noise[i-1] // more low than high, as most sound has
		}
	}
	steady := func(hertz float64) func(at float64) float64 {
		return func(at float64) float64 { return 9000 * math.Sin(2*math.Pi*hertz*at/earRate) }
	}
	rough := func(at float64) float64 {
		at += earReach
		i := int(math.Floor(at))
		return noise[i] + (noise[i+1]-noise[i])*(at-float64(i))
	}
	for _, c := range []struct {
		name   string
		sound  func(at float64) float64
		behind float64 // samples
		want   float64 // samples; of a tone the nearest that sounds the same
	}{
		{"noise in place", rough, 0, 0}, {"noise 100 ms late", rough, 800, 800}, {"noise early", rough, -37, -37}, {"noise half a sample late", rough, 0.5, 0.5},
		{"tone in place", steady(330), 0, 0}, {"tone a little late", steady(330), 1.24, 1.24}, {"tone a period late", steady(400), 20, 0}, {"high tone a little late", steady(1700), 0.4, 0.4},
		{"low tone 5 ms late", steady(60), 40, 40},
	} {
		a, b := make([]float64, n), make([]float64, n)
		for i := range n {
			a[i] = math.Round(c.sound(float64(i)))
			if at := float64(i) - c.behind; at > -earReach && at < float64(n+earReach-1) {
				b[i] = math.Round(c.sound(at))
			}
		}
		if lag, clear := shift(a, b); !clear || math.Abs(lag*earRate-c.want) > 0.3 {
			t.Errorf("%s: %.2f samples, clear %v, want %.2f", c.name, lag*earRate, clear, c.want)
		}
	}
	// Three samples that happen to look like half a wave are no peak: every kind of
	// noise, coded a little differently, is found in place.
	for seed := range uint64(100) {
		chance := rand.New(rand.NewPCG(seed, 7))
		a, b := make([]float64, n), make([]float64, n)
		keep := float64(seed%4)*0.6 - 0.9
		for i := range n {
			if a[i] = chance.NormFloat64() * 80; i > 0 {
				a[i] += keep * a[i-1]
			}
			b[i] = math.Round(a[i] + chance.NormFloat64()*8)
			a[i] = math.Round(a[i])
		}
		if lag, clear := shift(a, b); !clear || math.Abs(lag*earRate) > 0.3 {
			t.Errorf("noise %d: %.2f samples, clear %v", seed, lag*earRate, clear)
		}
	}
	if lag, clear := shift(make([]float64, n), make([]float64, n)); lag != 0 || clear {
		t.Errorf("silence: %g, clear %v", lag, clear)
	}
}
