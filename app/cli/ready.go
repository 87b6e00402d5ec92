package cli

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/mediafn/mediafn/core/errs"
)

type waitReadyCmd struct {
	Server  string        `default:"http://127.0.0.1:8080" help:"Server to wait for."`
	Timeout time.Duration `default:"30s" help:"How long to wait."`
}

// Run returns when the server is ready to take tasks.
func (w *waitReadyCmd) Run(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.Timeout)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		if w.ready(ctx) {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return errs.New(errs.Timeout, "wait-ready", "%s is not ready", w.Server)
		}
	}
}

func (w *waitReadyCmd) ready(ctx context.Context) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(w.Server, "/")+"/readyz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}
