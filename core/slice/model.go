package slice

import (
	"math"
	"slices"

	"github.com/mediafn/mediafn/core/fn"
)

// What a prediction assumes beside the function's price, which is learned. All
// were measured on one machine with two cores; docs/benchmarks.md says how.
// Seconds of a tool are CPU seconds, which are wall seconds on a core of its own.
const (
	// startBase and startPixel are what any run costs beside its frames: a sandboxed
	// process and the container's tables; opening decoder and encoder, filters and
	// buffers, for each pixel of a source's picture.
	startBase, startPixel = 0.08, 1e-7
	// leadShare is the share of decoding in the price of a frame. It prices
	// frames that are decoded only to get to the first wanted one.
	leadShare = 0.15
	// threadPixel is what each pixel of the source costs more where several threads
	// hand pictures to each other.
	threadPixel = 4e-10
	// prepareTime is from the request to the first slice's start: a look at the
	// tables, the plan, the commits of both.
	prepareTime = 0.03
	// hopTime is from a component's end to the next one's start.
	hopTime = 0.01
	// grantTime is how long the controller takes over one slice.
	grantTime = 1.0 / 3000
	// mergeStart, mergeSecond and mergeByte are what a merge takes: its start, each
	// second of media (packets are read and written one by one), and each byte,
	// which is read once and written twice, since the index goes to the front.
	mergeStart, mergeSecond, mergeByte = 0.1, 0.0004, 1 / 700e6
	// certifyStart is what a certificate takes beside pictures: tables of result
	// and source, three stretches of sound of each, decoders' starts.
	// certifyLook and certifyPixel are what each picture takes that is looked up by
	// a seek, in the source and in the result, and each of its pixels; certifyMost
	// slices are looked at. Source and result are looked at side by side, so that
	// with two cores the wall takes certifySide of all that.
	certifyStart, certifyLook, certifyPixel, certifyMost, certifySide = 0.25, 0.02, 5.5e-8, 12, 0.6
	// worth is how many times its start a slice must cost. Shorter ones would
	// spend more than a tenth on starting.
	worth = 10
	// lossMost is the most a slice may cost, in CPU seconds: it is lost when one
	// fails.
	lossMost = 1800
	// minGain: slicing that saves less than this share of the time is not worth
	// what it adds.
	minGain = 0.10
)

// Prediction compares running in slices with running whole. Seconds are wall
// time with Workers, costs are CPU seconds. Sliced figures are zero where
// nothing can be cut.
type Prediction struct {
	Workers       int     `json:"workers"`
	Slices        int     `json:"slices,omitempty"`
	SlicedSeconds float64 `json:"sliced_seconds"`
	WholeSeconds  float64 `json:"whole_seconds"`
	SlicedCost    float64 `json:"sliced_cost"`
	WholeCost     float64 `json:"whole_cost"`
}

// Curve predicts a request for each number of workers, as if slicing were asked
// for: with more of them the plan itself has more and shorter slices.
func Curve(r Request, workers []int) []Prediction {
	curve := make([]Prediction, len(workers))
	for i, n := range workers {
		r.Mode, r.Workers = Force, n
		curve[i] = Decide(r).Prediction
	}
	return curve
}

// start is what any run costs beside its frames.
func (r *Request) start() float64 {
	v := r.Source.MainVideo()
	return startBase + startPixel*float64(max(v.Width, 0))*float64(max(v.Height, 0))
}

// frameCost is the CPU time of one frame of the whole, of one at least.
func (r *Request) frameCost() (cost, frames float64) {
	v := r.Source.MainVideo()
	cpu := r.Price.CPUSeconds
	if cpu <= 0 && v.Timing != nil {
		cpu = span(v)
	}
	frames = float64(max(v.Frames, 1))
	if cost = max(cpu-r.Price.Sound-r.start(), 0) / frames; !(cost < math.MaxFloat64) { // times that make no sense
		cost = 0
	}
	return cost, frames
}

// whole predicts one run with as many threads as the function can keep busy.
// What one thread does alone is not divided (Amdahl).
func (r *Request) whole() Prediction {
	p := Prediction{Workers: max(r.Workers, 1)}
	v := r.Source.MainVideo()
	frame, frames := r.frameCost()
	pictures := frame * frames
	if r.Assembly.Reduce { // which one call does by itself too
		pictures *= 1 + analyseShare
	}
	threads := float64(min(max(r.Price.Cores, 1), p.Workers))
	serial := min(r.Price.Serial, pictures)
	if threads > 1 {
		pictures += threadPixel * float64(max(v.Width, 0)) * float64(max(v.Height, 0)) * frames
	}
	p.WholeCost = r.start() + pictures + r.Price.Sound
	p.WholeSeconds = prepareTime + r.start() + serial + (pictures-serial+r.Price.Sound)/threads + hopTime
	return p
}

// predict compares the parts, longest first on the workers, with one run of the
// whole, and tells each part its share of the price.
func (r *Request) predict(c *cutter, parts []fn.Part) Prediction {
	p := r.whole()
	p.Slices = len(parts)
	frame, frames := r.frameCost()
	price, first := r.start()+frame*frames+r.Price.Sound, int64(0)
	costs := make([]float64, len(parts))
	for i := range parts {
		part := &parts[i]
		skipped := first - part.DropHead - c.keyAt(first-part.DropHead).Frame
		costs[i] = r.start() + frame*(float64(part.DropHead+part.Frames+part.DropTail)+leadShare*float64(skipped))
		part.Share = costs[i] / price
		p.SlicedCost += costs[i]
		first += part.Frames
	}
	p.SlicedSeconds = prepareTime + grantTime*float64(len(parts))
	if r.Assembly.Reduce {
		looks := slices.Clone(costs)
		for i := range looks {
			looks[i] *= analyseShare
			p.SlicedCost += looks[i]
		}
		reduction := r.start() + reduceShare*p.WholeCost
		p.SlicedSeconds += makespan(looks, p.Workers) + reduction + 2*hopTime
		p.SlicedCost += reduction
	}
	sound := 0.0
	if r.Price.Sound > 0 {
		sound = r.start() + r.Price.Sound
		p.SlicedCost += sound
	}
	merge, certify := r.join(len(parts))
	side := 1.0
	if p.Workers > 1 {
		side = certifySide
	}
	p.SlicedSeconds += beside(costs, sound, p.Workers) + merge + side*certify + 4*hopTime
	p.SlicedCost += merge + certify
	return p
}

// join is what merging and certifying n parts takes.
func (r *Request) join(n int) (merge, certify float64) {
	v := r.Source.MainVideo()
	merge = mergeStart + mergeSecond*span(v) + mergeByte*float64(max(r.Source.Size, 0))
	from := float64(v.Width) * float64(v.Height)
	to := float64(r.Assembly.Width) * float64(r.Assembly.Height)
	if to == 0 {
		to = from
	}
	return merge, certifyStart + (2*certifyLook+certifyPixel*(from+to))*float64(min(n, certifyMost))
}

// beside is the makespan of costs with one more piece of work beside them, which
// waits for no worker: it shares the cores with what runs.
func beside(costs []float64, more float64, workers int) float64 {
	sum := more
	for _, cost := range costs {
		sum += cost
	}
	return max(makespan(costs, workers), sum/float64(max(workers, 1)), more)
}

// makespan is the time until the last of the costs is done when the longest
// goes first and each next goes to the worker that is free soonest.
func makespan(costs []float64, workers int) float64 {
	costs = slices.Clone(costs)
	slices.SortFunc(costs, func(a, b float64) int {
		switch {
		case a > b:
			return -1
		case a < b:
			return 1
		}
		return 0
	})
	busy := make([]float64, min(workers, len(costs)))
	for _, cost := range costs {
		soonest := 0
		for i := range busy {
			if busy[i] < busy[soonest] {
				soonest = i
			}
		}
		busy[soonest] += cost
	}
	return slices.Max(busy)
}

// bounds are the lengths between which a slice makes sense for its price, in
// seconds: long enough to be worth starting, short enough to be lost.
func (r *Request) bounds(length float64) (least, most float64) {
	frame, frames := r.frameCost()
	second := frame * frames / max(length, 1e-9)
	least, most = absoluteMin, longest
	if second > 0 && !math.IsInf(second, 0) {
		least = min(max(least, worth*r.start()/second), max(length/2, absoluteMin))
		most = max(min(most, lossMost/second), goodMin)
	}
	return least, max(most, least)
}
