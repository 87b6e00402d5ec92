package state

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

// Settings are what operators switch while everything runs, and secrets that
// all processes share: "pool/cpu" = "paused", "worker/NAME" = "draining".

// Set stores a setting; an empty value takes it away.
func (s *Store) Set(ctx context.Context, name, value string) error {
	return s.write(ctx, "state.set", func(x *tx) {
		if value == "" {
			x.exec(nil, `DELETE FROM settings WHERE name = ?`, name)
			return
		}
		x.exec(nil, `INSERT INTO settings (name, value, at) VALUES (?,?,?)
 ON CONFLICT (name) DO UPDATE SET value = excluded.value, at = excluded.at`, name, value, ms(s.Now()))
	})
}

// Agree stores a value unless there is one, and returns what all agree on.
func (s *Store) Agree(ctx context.Context, name, value string) (string, error) {
	err := s.write(ctx, "state.agree", func(x *tx) {
		x.exec(nil, `INSERT INTO settings (name, value, at) VALUES (?,?,?) ON CONFLICT (name) DO NOTHING`, name, value, ms(s.Now()))
	})
	if err != nil {
		return "", err
	}
	all, err := s.Settings(ctx, name)
	return all[name], err
}

// CallbackSecret is what callback URLs are signed with. The first process makes
// it, all share it.
func (s *Store) CallbackSecret(ctx context.Context) ([]byte, error) {
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // never fails
	text, err := s.Agree(ctx, "callback-secret", base64.StdEncoding.EncodeToString(fresh))
	if err != nil {
		return nil, err
	}
	secret, err := base64.StdEncoding.DecodeString(text)
	return secret, errs.As(errs.Internal, "state.callback-secret", err)
}

// Settings returns all settings whose names begin with prefix.
func (s *Store) Settings(ctx context.Context, prefix string) (map[string]string, error) {
	type setting struct{ name, value string }
	rows, err := s.query(ctx, `SELECT name, value FROM settings`) // there are a handful
	all, err := collect(rows, err, func(rows *sql.Rows) (v setting, err error) { return v, rows.Scan(&v.name, &v.value) })
	found := map[string]string{}
	for _, v := range all {
		if strings.HasPrefix(v.name, prefix) {
			found[v.name] = v.value
		}
	}
	return found, classify("state.settings", err)
}
