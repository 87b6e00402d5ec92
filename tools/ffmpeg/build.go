package ffmpeg

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

// Build names this very ffmpeg: another version, configuration or binary has
// another name. Libraries the system links to it count by what ffmpeg says of
// them. It is empty if that can't be found out. The first call starts ffmpeg and
// reads its binary; a failure is not remembered.
func (t *Tool) Build(ctx context.Context) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.built == "" {
		t.built, _ = t.build(ctx) // without a name nothing is kept, which is right
	}
	return t.built
}

func (t *Tool) build(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	says, err := t.output(ctx, t.ffmpeg, []string{"-version"}, Job{})
	if err != nil {
		return "", err
	}
	binary, err := os.Open(t.ffmpeg)
	if err != nil {
		return "", errs.As(errs.Transient, "ffmpeg", err)
	}
	defer binary.Close()
	sum := sha256.New()
	sum.Write(says)
	if _, err := io.Copy(sum, binary); err != nil {
		return "", errs.As(errs.Transient, "ffmpeg", err)
	}
	return "ffmpeg " + parseVersion(string(says)) + " " + hex.EncodeToString(sum.Sum(nil)[:12]), nil
}
