package assemble

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/job"
	"github.com/mediafn/mediafn/core/media"
	"github.com/mediafn/mediafn/tools/sniff"
)

// publish.go: assemble.publish hands finished files out as they are.

var publishSpec = fn.Spec{
	Name:    job.Publish,
	Version: "1",
	Summary: "Put finished files where the caller wants them",
	Doc:     "The same bytes as outputs. An executor that can copy inside the store does that instead.",
	Inputs:  []fn.Slot{{Name: "files", Kinds: anything, Min: 1, Help: "finished files"}},
	Outputs: []fn.Slot{{Name: "files", Kinds: anything, Min: 1, Help: "the same"}},
	Purity:  fn.Exact,
	Hidden:  true,
}

var anything = []media.Kind{media.Image, media.Video, media.Audio, media.Text, media.Package}

type publishParams struct{}

// Publish returns assemble.publish.
func Publish() fn.Function {
	return fn.Define(publishSpec, fn.Body[publishParams]{
		Price: func(_ *publishParams, inputs []*media.Info) fn.Price { return priceCopy(inputs) },
		Run: func(ctx fn.Context, call *fn.Call, _ *publishParams) (*fn.Result, error) {
			res := &fn.Result{}
			for i, in := range call.All("files") {
				if err := ctx.Err(); err != nil {
					return nil, errs.Wrap("copy", err)
				}
				name := fmt.Sprintf("%05d.%s", i, in.Format)
				path := filepath.Join(call.Dir, name)
				if err := copyTo(path, in); err != nil {
					return nil, errs.As(errs.Transient, "copy", err)
				}
				format, _ := sniff.FormatByName(in.Format)
				res.Outputs = append(res.Outputs, fn.Output{Slot: "files", Name: name, Path: path, Kind: in.Kind, Mime: format.Mime, Info: in.Info})
			}
			return res, nil
		},
	})
}

func copyTo(path string, in *fn.Input) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	_, err = io.Copy(f, io.NewSectionReader(in.Data, 0, in.Size))
	return err
}
