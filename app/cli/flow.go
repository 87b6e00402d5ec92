package cli

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/app/cli/draw"
	"github.com/mediafn/mediafn/app/cli/show"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/flow"
)

type flowCmd struct {
	Check flowCheckCmd `cmd:"" help:"Check flow files."`
	Show  flowShowCmd  `cmd:"" help:"Show the plan of a flow."`
}

type flowCheckCmd struct {
	Files []string `arg:"" name:"file" help:"Flow files, YAML or JSON."`
}

// Run checks every file and reports all that is wrong.
func (f *flowCheckCmd) Run(_ context.Context, std *std) error {
	functions, _, err := app.Offer()
	if err != nil {
		return err
	}
	wrong := 0
	for _, path := range f.Files {
		plan, err := loadFlow(path)
		if err == nil {
			err = plan.Check(functions)
		}
		if err != nil {
			wrong++
			fmt.Fprintf(std.err, "mediafn: %s: %v\n", path, err)
			continue
		}
		fmt.Fprintf(std.out, "%s: flow %s, version %s, %d modules, %d components\n", path, plan.Name, plan.Version, len(plan.Modules), len(plan.Components))
		for _, w := range plan.Warnings {
			fmt.Fprintf(std.out, "%s: warning: %s\n", path, w)
		}
	}
	if wrong > 0 {
		return errs.As(errs.Invalid, "flow check", errSilent)
	}
	return nil
}

func loadFlow(path string) (*flow.Plan, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		var inner *os.PathError
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return nil, errs.As(errs.NotFound, "", err)
	}
	return flow.Load(text)
}

type flowShowCmd struct {
	Name   string `arg:"" help:"Name of a flow, or a flow file."`
	Format string `name:"format" env:"-" enum:"text,mermaid,json" default:"text" help:"How: text, mermaid (a diagram), json."`
}

// Run shows a plan.
func (f *flowShowCmd) Run(_ context.Context, std *std) error {
	_, book, err := app.Offer()
	if err != nil {
		return err
	}
	plan := book.Get(f.Name)
	if plan == nil {
		if _, serr := os.Stat(f.Name); serr != nil {
			return unknown("name", "flow or file", f.Name, book.Names())
		}
		if plan, err = loadFlow(f.Name); err != nil {
			return errs.Wrap(f.Name, err)
		}
	}
	switch f.Format {
	case "mermaid":
		return draw.Mermaid(std.out, plan)
	case "json":
		return show.JSON(std.out, draw.Values(plan))
	}
	return draw.Text(std.out, plan)
}
