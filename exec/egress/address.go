package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

// special4 is the IPv4 space that is not the public internet: the IANA IPv4
// Special-Purpose Address Registry, multicast (RFC 5771) and class E.
var special4 = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
	"172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
	"192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"224.0.0.0/4", "240.0.0.0/4")

// global6 is the only IPv6 space ever given out to the public (RFC 4291 §2.4).
// Everything else is refused without being listed: loopback, link-local,
// unique local, multicast, IPv4-mapped, NAT64 (64:ff9b::/96, 64:ff9b:1::/48).
var global6 = netip.MustParsePrefix("2000::/3")

// special6 is what is not public inside global6: protocol assignments with
// Teredo and ORCHID, documentation, 6to4 (which embeds any IPv4 address).
var special6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// public reports whether a is an address of the public internet.
func public(a netip.Addr) bool {
	if a.Is4() {
		return !within(special4, a)
	}
	return a.Zone() == "" && global6.Contains(a) && !within(special6, a)
}

// exceptions are addresses that may be dialed although they are not public.
type exceptions struct {
	nets  []netip.Prefix
	hosts map[string]bool // "host" for every port, or "host:port"
}

func parseAllow(list []string) (exceptions, error) {
	x := exceptions{hosts: map[string]bool{}}
	for _, s := range list {
		s = strings.ToLower(strings.TrimSpace(s))
		if p, err := netip.ParsePrefix(s); err == nil {
			x.nets = append(x.nets, p.Masked())
			continue
		}
		if a, err := netip.ParseAddr(s); err == nil {
			x.hosts[a.String()] = true
			continue
		}
		host, port := s, ""
		if h, p, err := net.SplitHostPort(s); err == nil {
			if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
				return x, errs.InField("egress.allow", "%q: port %q", s, p)
			}
			host, port = h, p
		}
		if host == "" || strings.ContainsAny(host, "/:@ *") && !isAddr(host) {
			return x, errs.InField("egress.allow", "%q is no CIDR, address, host or host:port", s)
		}
		if port != "" {
			host = net.JoinHostPort(host, port)
		}
		x.hosts[host] = true
	}
	return x, nil
}

func isAddr(s string) bool { _, err := netip.ParseAddr(s); return err == nil }

// allows reports whether host:port, which resolved to a, is listed.
func (x *exceptions) allows(host, port string, a netip.Addr) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return within(x.nets, a) || x.hosts[host] || x.hosts[net.JoinHostPort(host, port)] ||
		x.hosts[a.String()] || x.hosts[net.JoinHostPort(a.String(), port)]
}

// dial connects to address, but only to an address it has looked at itself:
// between the check and the connection no name is resolved again.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, errs.InField("url", "address %q", address)
	}
	addrs, err := c.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var last error
	for _, a := range addrs {
		if !public(a) && !c.allow.allows(host, port, a) {
			if last == nil {
				last = errs.New(errs.Denied, op, "%s is at %s, which is not a public address", host, a)
			}
			continue
		}
		conn, err := c.dialer.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		last = err
		if ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

func (c *Client) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil // as written: an IPv4-mapped literal is refused
	}
	addrs, err := c.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		var dns *net.DNSError
		if errors.As(err, &dns) && dns.IsNotFound {
			return nil, errs.New(errs.NotFound, op, "no host is named %s", host)
		}
		return nil, err
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap() // resolvers write A records as IPv4-mapped
	}
	if len(addrs) == 0 {
		return nil, errs.New(errs.NotFound, op, "host %s has no address", host)
	}
	return addrs, nil
}
