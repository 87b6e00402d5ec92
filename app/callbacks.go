package app

import (
	"context"
	"strings"

	"github.com/mediafn/mediafn/core/job"
)

// callbacks returns what makes the URLs outside services answer at; nil where
// nobody outside can reach this process and no public address is configured.
// The secret that signs them is the database's, so any gateway knows it.
func (a *App) callbacks(ctx context.Context) (func(trace string) string, error) {
	base := a.cfg.PublicURL
	if address := a.Address(); base == "" && strings.Contains(address, ":") {
		base = "http://" + address
	}
	if base == "" {
		return nil, nil
	}
	secret, err := a.parts.store.CallbackSecret(ctx)
	if err != nil {
		return nil, err
	}
	return func(trace string) string { return job.CallbackURL(base, secret, trace) }, nil
}
