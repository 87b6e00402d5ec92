package gateway

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
	"github.com/mediafn/mediafn/core/media"
)

// DefaultTenant owns everything where no tenants are configured.
const DefaultTenant = "default"

// Tenant may call with one of its keys and use its buckets only.
type Tenant struct {
	Name    string   `json:"name"`
	Keys    []string `json:"keys"`
	Buckets []string `json:"buckets"` // it may read and write; empty = all but the platform's own
	// Admin lets its keys make the calls under /v1/admin and reach every
	// tenant's tasks.
	Admin bool `json:"admin"`
}

// administers reports whether a tenant's keys are administrators'. Where no
// tenants are configured everybody's are.
func (g *Gateway) administers(tenant string) bool {
	return len(g.cfg.Tenants) == 0 || slices.ContainsFunc(g.cfg.Tenants, func(t Tenant) bool { return t.Name == tenant && t.Admin })
}

// admins keeps others from a call.
func (g *Gateway) admins(h handler) handler {
	return func(w http.ResponseWriter, r *http.Request, tenant string) error {
		if !g.administers(tenant) {
			return errs.New(errs.Denied, "gateway", "only administrators may do this")
		}
		return h(w, r, tenant)
	}
}

// tenant authenticates a request by its bearer key. A missing or wrong key is
// Denied; every key is compared, in constant time.
func (g *Gateway) tenant(r *http.Request) (string, error) {
	if len(g.cfg.Tenants) == 0 {
		return DefaultTenant, nil
	}
	key, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	given := sha256.Sum256([]byte(key))
	name := ""
	for _, t := range g.cfg.Tenants {
		for _, k := range t.Keys {
			want := sha256.Sum256([]byte(k))
			if subtle.ConstantTimeCompare(given[:], want[:]) == 1 && k != "" {
				name = t.Name
			}
		}
	}
	if name == "" {
		return "", errs.New(errs.Denied, "gateway", "the API key is missing or wrong")
	}
	return name, nil
}

// mayUse checks that a tenant may touch a bucket. The platform's own buckets
// are nobody's: results are reached through the task they belong to.
func (g *Gateway) mayUse(tenant, field string, ref media.Ref) error {
	own := ref.Bucket == g.parts.Place.Results || ref.Bucket == g.parts.Place.Segments || ref.Bucket == g.parts.Place.Arriving
	allowed := !own
	for _, t := range g.cfg.Tenants {
		if t.Name == tenant && len(t.Buckets) > 0 {
			allowed = slices.Contains(t.Buckets, ref.Bucket)
		}
	}
	if !allowed {
		return &errs.Error{Kind: errs.Denied, Op: "gateway", Field: field, Msg: "bucket " + ref.Bucket + " is not yours to use"}
	}
	return nil
}
