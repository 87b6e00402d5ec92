package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/core/task"
)

// SliceOptions sets what Slice compares.
type SliceOptions struct {
	File   string
	Height int
	Preset string
	CRF    int
	Rounds int
	Dir    string
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
	Slices    int      `json:"slices"`
	Certified bool     `json:"certified"`
}

// Cost is what one way of doing the work took.
type Cost struct {
	Wall  float64 `json:"wall_seconds"`
	CPU   float64 `json:"cpu_seconds"`
	Bytes int64   `json:"bytes"`
}

// Slice transcodes a file with plain ffmpeg and with mediafn, slicing forced,
// by turns. mediafn's figures hold everything from the request to the
// published result.
func Slice(ctx context.Context, o SliceOptions) (_ *SliceReport, err error) {
	dir, err := os.MkdirTemp(o.Dir, "mediafn-bench-")
	if err != nil {
		return nil, errs.As(errs.Internal, "bench", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	a, err := app.Open(ctx, app.Config{
		Data: filepath.Join(dir, "data"), Listen: "127.0.0.1:0", Roles: []string{"gateway", "controller", "worker", "results"},
		Most: 64, Lease: 15 * time.Second, Tick: time.Second, Grace: 10 * time.Second,
	}, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	var roles errgroup.Group
	roles.Go(func() error { return a.Run(running) })
	defer func() {
		stop()
		if e := roles.Wait(); err == nil {
			err = e
		}
		if e := a.Close(); err == nil {
			err = e
		}
	}()
	s := &slicing{o: o, base: "http://" + a.Address(), dir: dir}
	if err := s.upload(ctx); err != nil {
		return nil, err
	}
	return s.compare(ctx)
}

type slicing struct {
	o    SliceOptions
	base string
	dir  string
}

func (s *slicing) compare(ctx context.Context) (*SliceReport, error) {
	r := &SliceReport{Rounds: s.o.Rounds, Certified: true}
	var plain, sliced []Cost
	for range s.o.Rounds {
		p, err := s.plain(ctx, r)
		if err != nil {
			return nil, err
		}
		m, err := s.mediafn(ctx, r)
		if err != nil {
			return nil, err
		}
		plain, sliced = append(plain, p), append(sliced, m)
	}
	r.Plain, r.Sliced = median(plain), median(sliced)
	r.WallRatio = r.Sliced.Wall / r.Plain.Wall
	r.CPURatio = r.Sliced.CPU / r.Plain.CPU
	r.SizeRatio = float64(r.Sliced.Bytes) / float64(r.Plain.Bytes)
	return r, nil
}

// plain runs ffmpeg as a user would, with the settings of the request.
func (s *slicing) plain(ctx context.Context, r *SliceReport) (Cost, error) {
	out := filepath.Join(s.dir, "plain.mp4")
	args := []string{"-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-i", s.o.File,
		"-vf", fmt.Sprintf("scale=-2:%d", s.o.Height), "-c:v", "libx264", "-preset", s.o.Preset, "-crf", fmt.Sprint(s.o.CRF),
		"-c:a", "aac", "-b:a", "128k", "-movflags", "+faststart", out}
	r.Command = append([]string{"ffmpeg"}, args...)
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

func (s *slicing) mediafn(ctx context.Context, r *SliceReport) (Cost, error) {
	params, err := json.Marshal(map[string]any{
		"height": s.o.Height, "preset": s.o.Preset, "crf": s.o.CRF, "audio_bitrate": 128000,
	})
	if err != nil {
		return Cost{}, err
	}
	before, began := allCPU(), time.Now()
	var accepted api.Response
	err = s.call(ctx, http.MethodPost, "/v1/tasks", api.Submit{
		Cmd: "video.transcode", Params: params, Inputs: []media.Ref{{Bucket: "bench", Key: "source"}},
		Extra: task.Extra{Slice: "force"},
	}, &accepted)
	if err != nil {
		return Cost{}, err
	}
	var t api.Task
	for !t.State.Final() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return Cost{}, ctx.Err()
		}
		if err := s.call(ctx, http.MethodGet, "/v1/tasks/"+accepted.TaskID, nil, &t); err != nil {
			return Cost{}, err
		}
	}
	if t.State != task.Succeeded {
		return Cost{}, errs.New(errs.Internal, "bench", "task %s: %s: %s", t.TaskID, t.State, t.Error.Message)
	}
	r.Slices = t.Figures.Slices
	var result struct {
		Certificate struct {
			OK bool `json:"ok"`
		} `json:"certificate"`
	}
	_ = json.Unmarshal(t.Result, &result) // a result without certificate is not certified
	r.Certified = r.Certified && result.Certificate.OK
	c := Cost{Wall: time.Since(began).Seconds(), CPU: allCPU() - before}
	for _, f := range t.Outputs {
		c.Bytes += f.Size
	}
	return c, nil
}

func (s *slicing) upload(ctx context.Context) error {
	f, err := os.Open(s.o.File)
	if err != nil {
		return errs.New(errs.Invalid, "bench", "%w", err)
	}
	defer func() { _ = f.Close() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.base+"/v1/objects/bench/source", f)
	if err != nil {
		return err
	}
	if st, err := f.Stat(); err == nil {
		req.ContentLength = st.Size()
	}
	return answer(http.DefaultClient.Do(req))(nil)
}

func (s *slicing) call(ctx context.Context, method, path string, body, into any) error {
	var reader io.Reader
	if body != nil {
		pr, pw := io.Pipe()
		go func() { pw.CloseWithError(json.NewEncoder(pw).Encode(body)) }()
		reader = pr
	}
	req, err := http.NewRequestWithContext(ctx, method, s.base+path, reader)
	if err != nil {
		return err
	}
	return answer(http.DefaultClient.Do(req))(into)
}

// answer decodes a response, or turns it into an error.
func answer(resp *http.Response, err error) func(into any) error {
	return func(into any) error {
		if err != nil {
			return errs.As(errs.Transient, "bench", err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return errs.As(errs.Transient, "bench", err)
		}
		if resp.StatusCode/100 != 2 {
			return errs.New(errs.Internal, "bench", "status %d: %s", resp.StatusCode, body)
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(body, into)
	}
}

func median(all []Cost) Cost {
	middle := func(get func(Cost) float64) float64 {
		values := make([]float64, len(all))
		for i, c := range all {
			values[i] = get(c)
		}
		slices.Sort(values)
		return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
	}
	return Cost{
		Wall:  middle(func(c Cost) float64 { return c.Wall }),
		CPU:   middle(func(c Cost) float64 { return c.CPU }),
		Bytes: int64(middle(func(c Cost) float64 { return float64(c.Bytes) })),
	}
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
