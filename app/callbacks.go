package app

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
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
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails
	text, err := a.parts.store.Agree(ctx, "callback-secret", base64.StdEncoding.EncodeToString(fresh))
	if err != nil {
		return nil, err
	}
	secret, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, errs.As(errs.Internal, "callback-secret", err)
	}
	return func(trace string) string { return job.CallbackURL(base, secret, trace) }, nil
}
