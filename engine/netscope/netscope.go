// Package netscope tells how far an address reaches: this machine, a private network, or everybody. It asks no name
// server.
package netscope

import (
	"errors"
	"net"
	"net/netip"
	"strings"
)

// Scope is how far an address reaches.
type Scope uint8

// The scopes.
const (
	// Public: whatever is none of the others.
	Public Scope = iota + 1
	// Private: networks of an organisation, and ranges that are not routed in public.
	Private
	// Loopback: this machine.
	Loopback
	// Special: what no service of others has, such as link-local addresses, behind which clouds keep the credentials of
	// a machine, and unspecified, multicast and broadcast ones.
	Special
)

// String returns words for messages: "a private address".
func (s Scope) String() string {
	switch s {
	case Public:
		return "a public address"
	case Private:
		return "a private address"
	case Loopback:
		return "an address of this machine"
	default:
		return "a link-local, metadata, multicast or unspecified address"
	}
}

// Beyond what netip.Addr tells.
var (
	// private: shared address space (RFC 6598), this network, protocol assignments, benchmarks, reserved, site-local.
	private = prefixes("100.64.0.0/10", "0.0.0.0/8", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "fec0::/10")
	// special: metadata services that are not at link-local addresses, of Alibaba, Oracle, Azure and AWS, and broadcast.
	special = prefixes("100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32", "fd00:ec2::/64", "fd20:ce::254/128", "255.255.255.255/32")
	nat64   = netip.MustParsePrefix("64:ff9b::/96")
	six4    = netip.MustParsePrefix("2002::/16")
)

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// Of returns the scope of an address. An IPv6 address that carries an IPv4 one has the scope of that.
func Of(a netip.Addr) Scope {
	a = plain(a)
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsMulticast(), a.IsLinkLocalUnicast(), within(a, special):
		return Special
	case a.IsLoopback():
		return Loopback
	case a.IsPrivate(), within(a, private):
		return Private
	}
	return Public
}

// plain takes the zone off, and an IPv4 address out of an IPv6 one.
func plain(a netip.Addr) netip.Addr {
	a = a.WithZone("").Unmap()
	b := a.As16()
	switch {
	case a.Is4():
	case nat64.Contains(a):
		return netip.AddrFrom4([4]byte(b[12:]))
	case six4.Contains(a):
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}

func within(a netip.Addr, list []netip.Prefix) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Within reports whether a list of networks has an address.
func Within(a netip.Addr, list []netip.Prefix) bool {
	return within(a.WithZone("").Unmap(), list) || within(plain(a), list)
}

// privateNames are the ends of names that stand for private networks.
var privateNames = []string{".local", ".internal", ".svc", ".lan", ".home.arpa", ".localdomain", ".intranet", ".corp", ".private"}

// OfHost returns the scope of a host as it is written: of an address, or what a name looks like. A name without dots,
// as in Docker and Kubernetes, and one under .internal, .local, .svc and the like looks private, localhost is this
// machine, and all other names look public.
func OfHost(host string) Scope {
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if a, err := netip.ParseAddr(host); err == nil {
		return Of(a)
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return Loopback
	}
	if !strings.Contains(host, ".") && host != "" {
		return Private
	}
	for _, end := range privateNames {
		if strings.HasSuffix(host, end) {
			return Private
		}
	}
	return Public
}

// Local reports whether who listens on an address, host:port, is reached from this machine only. A host that is a
// name is taken for an address of the network, unless it is localhost.
func Local(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && OfHost(host) == Loopback
}

// ErrPrefix is returned for a text that is neither an address nor a network.
var ErrPrefix = errors.New("neither an address nor a network: write it as 10.0.0.5 or 10.0.0.0/8")

// ParsePrefix reads a network such as 10.0.0.0/8, or an address, which is a network of its own. Error: ErrPrefix.
func ParsePrefix(text string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, ErrPrefix
	}
	return p.Masked(), nil
}
