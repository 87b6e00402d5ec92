package app

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/mediafn/mediafn/tools/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.MaybeExec()
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}
