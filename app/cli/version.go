package cli

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/mediafn/mediafn/app"
	"github.com/mediafn/mediafn/app/cli/show"
)

type versionCmd struct {
	JSON bool `name:"json" env:"-" help:"Print JSON."`
}

// Run says what build this is.
func (v *versionCmd) Run(_ context.Context, std *std) error {
	version, revision := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	if v.JSON {
		return show.JSON(std.out, map[string]string{
			"version": version, "revision": revision, "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH,
		})
	}
	fmt.Fprintf(std.out, "mediafn %s %s %s %s/%s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return nil
}

type migrateCmd struct {
	Data  string `name:"data" default:"data" help:"Folder for the embedded database."`
	State string `name:"state" help:"Database: sqlite:PATH. Default: sqlite in the data folder."`
}

// Run brings the database up to date; serve does the same when it starts.
func (m *migrateCmd) Run(ctx context.Context, std *std) error {
	which, err := app.Migrate(ctx, app.Config{Data: m.Data, State: m.State})
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s is up to date\n", which)
	return nil
}
