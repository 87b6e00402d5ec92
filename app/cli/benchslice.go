package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/app/bench"
)

type benchSliceCmd struct {
	File    string            `arg:"" type:"existingfile" help:"The video to work on."`
	Fn      string            `default:"video.transcode" help:"Function to run, sliced."`
	Params  map[string]string `name:"param" short:"p" mapsep:"none" env:"-" placeholder:"NAME=VALUE" help:"Parameter of the function, beside height, preset and crf; may be repeated."`
	Filter  string            `help:"What plain ffmpeg does to match the function, in front of scaling, as hqdn3d=4."`
	Height  int               `default:"720" help:"Height of the result; 0 = as it is."`
	Preset  string            `default:"medium" help:"Preset of x264."`
	CRF     int               `name:"crf" default:"23" help:"Quality of x264."`
	Rounds  int               `default:"5" help:"Runs of each, by turns; medians are compared."`
	Cores   int               `help:"Cores to keep busy. Default: all."`
	Profile string            `help:"Write a CPU profile of mediafn's own process to this file."`
	Dir     string            `help:"Folder to work in. Default: the system's temporary folder."`
	JSON    bool              `name:"json" help:"Print JSON."`
}

func (b *benchSliceCmd) Run(ctx context.Context, std *std) error {
	more, err := functionParams(b.Fn, b.Params)
	if err != nil {
		return err
	}
	r, err := bench.Slice(ctx, bench.SliceOptions{
		File: b.File, Fn: b.Fn, Params: more, Filter: b.Filter, Height: b.Height, Preset: b.Preset, CRF: b.CRF, Rounds: max(b.Rounds, 1), Cores: b.Cores, Dir: b.Dir, Profile: b.Profile,
	})
	if err != nil {
		return err
	}
	if b.JSON {
		return json.NewEncoder(std.out).Encode(r)
	}
	fmt.Fprintf(std.out, `%s
             wall        CPU         bytes
  ffmpeg   %8.2f s  %8.2f s  %10d
  mediafn  %8.2f s  %8.2f s  %10d   %d slices, certified: %t
  ratio    %8.3f    %8.3f    %10.3f   mediafn ÷ ffmpeg, medians of %d interleaved runs
  speed-up %8.3f    of %.3f that the cores allow: %.3f
`, strings.Join(r.Command, " "), r.Plain.Wall, r.Plain.CPU, r.Plain.Bytes, r.Sliced.Wall, r.Sliced.CPU, r.Sliced.Bytes,
		r.Slices, r.Certified, r.WallRatio, r.CPURatio, r.SizeRatio, r.Rounds, 1/r.WallRatio, r.Possible, r.Reached)
	printPhases(std.out, &r.Phases, r.OwnCPU)
	return nil
}

// functionParams are parameters of a function given as texts.
func functionParams(name string, given map[string]string) (map[string]any, error) {
	functions, book, err := app.Offer()
	if err != nil {
		return nil, err
	}
	spec, _, err := (&offer{functions, book}).spec(name)
	if err != nil {
		return nil, err
	}
	raw, err := params(spec, given)
	if err != nil || raw == nil {
		return nil, err
	}
	var all map[string]any
	return all, json.Unmarshal(raw, &all)
}

func printPhases(out io.Writer, p *bench.Phases, own float64) {
	fmt.Fprintf(out, "  last run: planning %.2f s, slices %.2f s, from the last slice to the result %.2f s (%.1f %%)\n",
		p.Planning, p.Slices, p.Tail, 100*p.TailShare)
	for _, name := range slices.Sorted(maps.Keys(p.CPU)) {
		fmt.Fprintf(out, "    %-10s %7.2f s  CPU %6.2f s\n", name, p.Each[name], p.CPU[name])
	}
	fmt.Fprintf(out, "    %-10s            CPU %6.2f s\n", "mediafn", own)
}
