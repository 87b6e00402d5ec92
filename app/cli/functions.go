package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/mediafn/mediafn/api"
	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/app/cli/show"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/fn"
	"github.com/mediafn/mediafn/core/media"
)

type functionsCmd struct {
	Name     string `arg:"" optional:"" help:"Show this one with its parameters."`
	JSON     bool   `name:"json" env:"-" help:"Print JSON, parameters as JSON Schema."`
	Markdown bool   `name:"markdown" env:"-" help:"Print the reference of all functions (docs/functions.md)."`
	Engine   string `name:"engine" help:"Path of mediafn-engine. Default: beside this binary, then in PATH."`
}

// Run shows the menu.
func (f *functionsCmd) Run(_ context.Context, std *std) error {
	if f.Markdown {
		functions, _, err := app.Offer()
		if err != nil {
			return err
		}
		return markdown(std.out, functions)
	}
	menu, err := app.Menu(f.Engine, logger(io.Discard, slog.LevelError, "text"))
	if err != nil {
		return err
	}
	if f.Name != "" {
		one, err := menu.Get(f.Name)
		switch {
		case err != nil:
			return unknown("name", "function", f.Name, menu.Names())
		case f.JSON:
			return show.JSON(std.out, api.FunctionOf(one.Spec()))
		}
		return printFunction(std.out, one.Spec())
	}
	shown := []api.Function{}
	for _, s := range offered(menu) {
		shown = append(shown, api.FunctionOf(s))
	}
	if f.JSON {
		return show.JSON(std.out, map[string]any{"functions": shown})
	}
	tw := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "FUNCTION\tSIGNATURE\tSUMMARY")
	for _, s := range offered(menu) {
		summary := s.Summary
		if s.Missing != "" {
			summary += " (not here: " + s.Missing + ")"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", s.Name, signature(s), summary)
	}
	return errs.As(errs.Internal, "output", tw.Flush())
}

// offered are the declarations of what callers may name, by name.
func offered(menu *fn.Registry) []*fn.Spec {
	var all []*fn.Spec
	for _, name := range menu.Names() {
		if f, err := menu.Get(name); err == nil && !f.Spec().Hidden {
			all = append(all, f.Spec())
		}
	}
	return all
}

// signature is what goes in and what comes out: "video → video".
func signature(s *fn.Spec) string {
	return slotKinds(s.Inputs, "nothing") + " → " + slotKinds(s.Outputs, "facts")
}

func slotKinds(slots []fn.Slot, none string) string {
	var all []string
	for _, slot := range slots {
		text := kinds(slot.Kinds)
		if slot.Max != 1 {
			text += "…"
		}
		all = append(all, text)
	}
	if len(all) == 0 {
		return none
	}
	return strings.Join(all, " + ")
}

func kinds(all []media.Kind) string {
	texts := make([]string, len(all))
	for i, k := range all {
		texts[i] = string(k)
	}
	return strings.Join(texts, "|")
}

func printFunction(w io.Writer, s *fn.Spec) error {
	fmt.Fprintf(w, "%s  version %s\n%s\n", s.Name, s.Version, s.Summary)
	if s.Doc != "" {
		fmt.Fprintf(w, "\n%s\n", s.Doc)
	}
	fmt.Fprintln(w)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, slot := range s.Inputs {
		fmt.Fprintf(tw, "in\t%s\t%s, %s\t%s\n", slot.Name, kinds(slot.Kinds), count(slot), slot.Help)
	}
	for _, slot := range s.Outputs {
		fmt.Fprintf(tw, "out\t%s\t%s, %s\t%s\n", slot.Name, kinds(slot.Kinds), count(slot), slot.Help)
	}
	fmt.Fprintf(tw, "pool\t%s\npurity\t%s\nslicing\t%s\n", s.Pool, s.Purity, s.Slicing.Mode)
	if s.Missing != "" {
		fmt.Fprintf(tw, "missing\t%s\n", s.Missing)
	}
	if len(s.Params) > 0 {
		fmt.Fprintln(tw, "\nPARAMETER\tTYPE\tDEFAULT\tRANGE\tUNIT\tHELP")
	}
	for _, p := range rows(s.Params, "") {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\n", p.name, p.kind, p.preset, p.bounds, p.unit, p.help)
	}
	return errs.As(errs.Internal, "output", tw.Flush())
}

// count says how many files a slot takes.
func count(s fn.Slot) string {
	switch {
	case s.Max == 0:
		return fmt.Sprintf("%d or more", s.Min)
	case s.Min == s.Max:
		return strconv.Itoa(s.Min)
	}
	return fmt.Sprintf("%d–%d", s.Min, s.Max)
}

// unknown says that nothing has a name, and what may have been meant.
func unknown(field, what, name string, names []string) error {
	hint := "; see mediafn functions"
	if guesses := fn.Near(name, names); len(guesses) > 0 {
		hint = "; did you mean " + strings.Join(guesses, ", ") + "?"
	}
	return errs.InField(field, "no %s is named %q%s", what, name, hint)
}
