//go:build cgo

// Command mediafn-engine decodes, changes and encodes images on behalf of
// mediafn, which starts it as a sandboxed child with a socket as descriptor 3.
// It is not started by hand.
package main

import (
	"fmt"
	"os"

	"github.com/mediafn/mediafn/tools/engine/raster"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println("mediafn-engine, libvips", raster.Version())
		return
	}
	if err := raster.Serve(os.NewFile(3, "socket")); err != nil {
		fmt.Fprintln(os.Stderr, "mediafn-engine:", err)
		os.Exit(1)
	}
}
