package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"

	"github.com/mediafn/mediafn/app/bench"
)

type benchCmd struct {
	Control benchControlCmd `cmd:"" help:"Tasks of a function that does nothing, durable, end to end."`
	Slice   benchSliceCmd   `cmd:"" help:"A sliced transcode beside plain ffmpeg with the same settings."`
}

type benchControlCmd struct {
	Tasks   int    `default:"20000" help:"Tasks to send."`
	Clients int    `default:"64" help:"Connections that send them."`
	Dir     string `help:"Folder on the disk to measure. Default: the system's temporary folder."`
	Profile string `help:"Write a CPU profile to this file."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

func (b *benchControlCmd) Run(ctx context.Context, std *std) error {
	stop, err := profile(b.Profile)
	if err != nil {
		return err
	}
	defer stop()
	r, err := bench.Control(ctx, bench.ControlOptions{Tasks: b.Tasks, Clients: b.Clients, Dir: b.Dir})
	if err != nil {
		return err
	}
	if b.JSON {
		return json.NewEncoder(std.out).Encode(r)
	}
	_, err = fmt.Fprintf(std.out, `%d one-component tasks over HTTP, %d clients, full sync
  accepted   %8.0f/s   p50 %.2f ms, p99 %.2f ms
  completed  %8.0f/s   %.2f s in all, %.2f ms CPU a task
  reference  %8.0f/s   the rows of such a task alone, same database, same clients
  ratio      %8.2f     completed ÷ reference
  memory     %8.0f MiB peak
`, r.Tasks, r.Clients, r.AcceptedRate, r.AcceptP50, r.AcceptP99, r.CompletedRate, r.DoneSeconds, r.CPUPerTaskMs,
		r.ReferenceRate, r.Ratio, r.MaxResidentMiB)
	return err
}

type benchSliceCmd struct {
	File   string `arg:"" type:"existingfile" help:"The video to transcode."`
	Height int    `default:"720" help:"Height of the result."`
	Preset string `default:"medium" help:"Preset of x264."`
	CRF    int    `name:"crf" default:"23" help:"Quality of x264."`
	Rounds int    `default:"3" help:"Runs of each, by turns; medians are compared."`
	Dir    string `help:"Folder to work in. Default: the system's temporary folder."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

func (b *benchSliceCmd) Run(ctx context.Context, std *std) error {
	r, err := bench.Slice(ctx, bench.SliceOptions{
		File: b.File, Height: b.Height, Preset: b.Preset, CRF: b.CRF, Rounds: max(b.Rounds, 1), Dir: b.Dir,
	})
	if err != nil {
		return err
	}
	if b.JSON {
		return json.NewEncoder(std.out).Encode(r)
	}
	_, err = fmt.Fprintf(std.out, `%s
             wall        CPU         bytes
  ffmpeg   %8.2f s  %8.2f s  %10d
  mediafn  %8.2f s  %8.2f s  %10d   %d slices, certified: %t
  ratio    %8.3f    %8.3f    %10.3f   mediafn ÷ ffmpeg, medians of %d interleaved runs
`, strings.Join(r.Command, " "), r.Plain.Wall, r.Plain.CPU, r.Plain.Bytes, r.Sliced.Wall, r.Sliced.CPU, r.Sliced.Bytes,
		r.Slices, r.Certified, r.WallRatio, r.CPURatio, r.SizeRatio, r.Rounds)
	return err
}

// profile writes a CPU profile until stop is called; without a file it does
// nothing.
func profile(path string) (stop func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		_ = f.Close()
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, nil
}
