// Command mediafn processes images, video and audio: media = fn(media, params).
package main

import (
	"os"

	"github.com/mediafn/mediafn/app/cli"
	"github.com/mediafn/mediafn/tools/sandbox"
)

func main() {
	sandbox.MaybeExec() // the launcher of decoders: must come before anything else
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
