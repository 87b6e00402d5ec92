package cli

import (
	"context"
	"fmt"

	"github.com/mediafn/mediafn/app/cli/sending"
	"github.com/mediafn/mediafn/app/cli/show"
	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

type uploadCmd struct {
	serverFlags
	File   string `arg:"" help:"File to send."`
	Output string `name:"output" short:"o" env:"-" placeholder:"OUT" help:"Where the object goes: BUCKET/KEY or CLOUD:BUCKET/KEY. Default: the bucket inputs, below the upload's id."`
	Type   string `name:"type" env:"-" placeholder:"MIME" help:"MIME type of the object. Default: that of the file's extension."`
	Resume string `name:"resume" env:"-" placeholder:"ID" help:"Go on with an upload of the same file that was broken off."`
	JSON   bool   `name:"json" env:"-" help:"Print the upload as JSON when it is done, instead of its id."`
}

// Help says what is printed, and what for.
func (*uploadCmd) Help() string {
	return `The upload's id is printed at once. A task may name it from then on, before the file is there: -i upload:ID of submit,
or {"upload": "ID"} among the input_files of a request. Broken connections are gone on with; after some minutes without
a byte the command gives up (exit code 4), and --resume goes on later.`
}

// Run sends one file.
func (u *uploadCmd) Run(ctx context.Context, std *std) error {
	c, err := u.client()
	if err != nil {
		return err
	}
	place := media.Ref{Bucket: sending.Bucket}
	switch {
	case u.Resume != "" && (u.Output != "" || u.Type != ""):
		return errs.InField("resume", "goes on with an upload as it was begun: without --output and --type")
	case u.Output != "":
		if place, err = objectRef("output", u.Output); err != nil {
			return err
		}
	}
	s, err := sending.Open(u.File)
	if err != nil {
		return err
	}
	defer s.Close()
	if u.Resume != "" {
		err = s.Resume(ctx, c, u.Resume)
	} else {
		err = s.Begin(ctx, c, place, u.Type)
	}
	if err != nil {
		return err
	}
	if !u.JSON {
		fmt.Fprintln(std.out, s.ID)
	}
	fmt.Fprintf(std.err, "mediafn: a task may name it from now on: mediafn submit CMD -i upload:%s\n", s.ID)
	done, err := s.Send(ctx, c, sending.Quietly(std.err), std.err)
	if err != nil {
		return err
	}
	if u.JSON {
		return show.JSON(std.out, done)
	}
	fmt.Fprintf(std.err, "mediafn: done: %s:%s/%s\n", done.Cloud, done.Bucket, done.Key)
	return nil
}
