package exec

import (
	"context"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// Identify names the content ref means now: another content has another name.
// It is empty where a server says nothing by which versions could be told
// apart; then what is known of the content must not be kept.
func (e *Executor) Identify(ctx context.Context, ref media.Ref) (string, error) {
	if ref.URL != "" {
		if e.cfg.Egress == nil {
			return "", errs.New(errs.Unsupported, op, "this installation fetches no URLs")
		}
		remote, err := e.cfg.Egress.Open(ctx, ref.URL)
		if err != nil {
			return "", err
		}
		return remote.Identity(), nil
	}
	store, err := e.cfg.Stores.Get(ref.Cloud)
	if err != nil {
		return "", err
	}
	attr, err := store.Stat(ctx, ref.Bucket, ref.Key)
	if err != nil {
		return "", err
	}
	return e.identity(ref, attr), nil
}
