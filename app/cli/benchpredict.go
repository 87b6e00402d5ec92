package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mediafn/mediafn/app/bench"
	"github.com/mediafn/mediafn/app/cli/show"
)

type benchPredictCmd struct {
	Files   []string          `arg:"" type:"existingfile" help:"The videos to work on."`
	Fn      string            `default:"video.transcode" help:"Function to run."`
	Params  map[string]string `name:"param" short:"p" mapsep:"none" env:"-" placeholder:"NAME=VALUE" help:"Parameter of the function; may be repeated."`
	Cores   []int             `default:"1,2" help:"Numbers of cores to predict for and to run on."`
	Workers []int             `default:"1,2,4,8,16,32,64,128,256,512,1000" help:"Numbers of cores of the curve."`
	Rounds  int               `default:"3" help:"Runs of each, by turns; medians are compared."`
	Dir     string            `help:"Folder to work in. Default: the system's temporary folder."`
	JSON    bool              `name:"json" help:"Print JSON."`
}

func (b *benchPredictCmd) Run(ctx context.Context, std *std) error {
	given, err := functionParams(b.Fn, b.Params)
	if err != nil {
		return err
	}
	all, err := bench.Predict(ctx, bench.PredictOptions{
		Files: b.Files, Fn: b.Fn, Params: given, Cores: b.Cores, Workers: b.Workers, Rounds: max(b.Rounds, 1), Dir: b.Dir,
	})
	if err != nil {
		return err
	}
	if b.JSON {
		return json.NewEncoder(std.out).Encode(all)
	}
	for _, p := range all {
		fmt.Fprintf(std.out, "%s: %s, %.2f s of CPU learned of %d attempts, declared %.2f s\n", p.File, p.Class, p.Price, p.Attempts, p.Declared)
		fmt.Fprintln(std.out, "  cores  slices   predicted    measured   error   predicted    measured   error")
		for _, r := range p.Runs {
			how := "whole"
			if r.Slices > 0 {
				how = fmt.Sprint(r.Slices)
			}
			fmt.Fprintf(std.out, "  %5d  %6s  %8.2f s  %8.2f s  %+4.0f %%  %8.2f s  %8.2f s  %+4.0f %%   wall, then CPU\n", r.Cores, how,
				r.Predicted.Wall, r.Measured.Wall, 100*r.WallError, r.Predicted.CPU, r.Measured.CPU, 100*r.CPUError)
		}
		show.Curve(std.out, p.Curve)
		fmt.Fprintln(std.out)
	}
	return nil
}
