package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// SliceOptions sets what Slice compares.
type SliceOptions struct {
	File   string
	Fn     string         // to run, sliced
	Params map[string]any // of Fn, beside Height, Preset and CRF
	Filter string         // what plain ffmpeg does before it scales; empty = nothing
	Height int            // of the result; 0 = as it is
	Preset string
	CRF    int
	Rounds int
	Cores  int // 0 = all
	Dir    string
	// Profile is a file to write a CPU profile of mediafn's own process to; the
	// tools it starts are not in it.
	Profile string
}

// SliceReport compares medians of interleaved runs.
type SliceReport struct {
	Command   []string `json:"command"` // of the reference
	Rounds    int      `json:"rounds"`
	Plain     Cost     `json:"ffmpeg"`
	Sliced    Cost     `json:"mediafn"`
	WallRatio float64  `json:"wall_ratio"` // mediafn ÷ ffmpeg
	CPURatio  float64  `json:"cpu_ratio"`
	SizeRatio float64  `json:"size_ratio"`
	// Possible is the speed-up that dividing the reference's CPU time over the
	// cores would give: cores × its wall ÷ its CPU, at most the cores.
	Possible  float64 `json:"possible_speed_up"`
	Reached   float64 `json:"reached"` // speed-up ÷ possible
	Slices    int     `json:"slices"`
	Certified bool    `json:"certified"`
	Phases    Phases  `json:"phases"`  // of the last run
	OwnCPU    float64 `json:"own_cpu"` // CPU seconds of mediafn's own process in the last run
}

// Cost is what one way of doing the work took.
type Cost struct {
	Wall  float64 `json:"wall_seconds"`
	CPU   float64 `json:"cpu_seconds"`
	Bytes int64   `json:"bytes"`
}

// Slice runs a file through plain ffmpeg and through mediafn, slicing forced,
// by turns. mediafn's figures hold everything from the request to the
// published result.
func Slice(ctx context.Context, o SliceOptions) (_ *SliceReport, err error) {
	dir, err := scratch(o.Dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	p, err := start(ctx, dir, o.Cores, false)
	if err != nil {
		return nil, err
	}
	defer p.end(&err)
	if err := p.upload(ctx, o.File, "source"); err != nil {
		return nil, err
	}
	s := &slicing{SliceOptions: o, platform: p, report: &SliceReport{Rounds: o.Rounds, Certified: true}}
	stop, err := Profiles{CPU: o.Profile}.start("slice", false)
	if err != nil {
		return nil, err
	}
	return s.report, errors.Join(s.compare(ctx), stop())
}

type slicing struct {
	SliceOptions
	*platform
	report *SliceReport
}

func (s *slicing) compare(ctx context.Context) error {
	var plain, sliced []Cost
	for range s.Rounds {
		p, err := s.plain(ctx)
		if err != nil {
			return err
		}
		m, err := s.mediafn(ctx)
		if err != nil {
			return err
		}
		plain, sliced = append(plain, p), append(sliced, m)
	}
	r := s.report
	r.Plain, r.Sliced = median(plain), median(sliced)
	r.WallRatio = r.Sliced.Wall / r.Plain.Wall
	r.CPURatio = r.Sliced.CPU / r.Plain.CPU
	r.SizeRatio = float64(r.Sliced.Bytes) / float64(r.Plain.Bytes)
	cores := float64(s.Cores)
	if s.Cores == 0 {
		cores = float64(runtime.NumCPU())
	}
	r.Possible = min(cores, cores*r.Plain.Wall/r.Plain.CPU)
	r.Reached = 1 / r.WallRatio / r.Possible
	return nil
}

// plain runs ffmpeg as a user would, with the settings of the request.
func (s *slicing) plain(ctx context.Context) (Cost, error) {
	out := filepath.Join(s.dir, "plain.mp4")
	args := []string{"-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-i", s.File}
	filter := s.Filter
	if s.Height > 0 {
		if filter != "" {
			filter += ","
		}
		filter += fmt.Sprintf("scale=-2:%d", s.Height)
	}
	if filter != "" {
		args = append(args, "-vf", filter)
	}
	args = append(args, "-c:v", "libx264", "-preset", s.Preset, "-crf", fmt.Sprint(s.CRF), "-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart", out)
	s.report.Command = append([]string{"ffmpeg"}, args...)
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	cmd.Stderr = os.Stderr
	began := time.Now()
	if err := cmd.Run(); err != nil {
		return Cost{}, errs.New(errs.Internal, "bench", "ffmpeg: %w", err)
	}
	c := Cost{Wall: time.Since(began).Seconds(), CPU: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}
	if st, err := os.Stat(out); err == nil {
		c.Bytes = st.Size()
	}
	return c, os.Remove(out)
}

// request is the task that does what plain does.
func (s *slicing) request() (api.Submit, error) {
	all := map[string]any{"preset": s.Preset, "crf": s.CRF, "audio_bitrate": 128000}
	if s.Height > 0 {
		all["height"] = s.Height
	}
	maps.Copy(all, s.Params)
	params, err := json.Marshal(all)
	return api.Submit{
		Cmd: s.Fn, Params: params, Inputs: []media.Ref{place("source")}, Outputs: []media.Ref{place("result.mp4")}, Extra: task.Extra{Slice: "force"},
	}, err
}

func (s *slicing) mediafn(ctx context.Context) (Cost, error) {
	body, err := s.request()
	if err != nil {
		return Cost{}, err
	}
	before, own, began := allCPU(), cpuSeconds(), time.Now()
	t, err := s.run(ctx, body)
	if err != nil {
		return Cost{}, err
	}
	c := Cost{Wall: time.Since(began).Seconds(), CPU: allCPU() - before}
	r := s.report
	r.Slices, r.Phases, r.OwnCPU = t.Figures.Slices, phasesOf(t), cpuSeconds()-own
	var result struct {
		Certificate struct {
			OK bool `json:"ok"`
		} `json:"certificate"`
	}
	_ = json.Unmarshal(t.Result, &result) // a result without certificate is not certified
	r.Certified = r.Certified && result.Certificate.OK
	for _, f := range t.Outputs {
		c.Bytes += f.Size
	}
	return c, nil
}

func median(all []Cost) Cost {
	return Cost{
		Wall:  middle(all, func(c Cost) float64 { return c.Wall }),
		CPU:   middle(all, func(c Cost) float64 { return c.CPU }),
		Bytes: int64(middle(all, func(c Cost) float64 { return float64(c.Bytes) })),
	}
}

func middle[T any](all []T, get func(T) float64) float64 {
	values := make([]float64, len(all))
	for i, one := range all {
		values[i] = get(one)
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// allCPU is what this process and its ended children have used, in seconds.
func allCPU() float64 {
	total := cpuSeconds()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err == nil {
		total += float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
	}
	return total
}
