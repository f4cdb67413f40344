package egress

import (
	"net/netip"
	"strconv"
	"strings"

	"fairlead/internal/fault"
)

// reserved are the addresses that are nobody's on the Internet, or that lead
// somewhere else than they say; each with what it is.
var reserved = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "this network"},
	{netip.MustParsePrefix("10.0.0.0/8"), "private"},
	{netip.MustParsePrefix("100.64.0.0/10"), "shared address space (CGNAT; also a cloud's metadata)"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("168.63.129.16/32"), "a cloud's metadata"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local (metadata)"},
	{netip.MustParsePrefix("172.16.0.0/12"), "private"},
	{netip.MustParsePrefix("192.0.0.0/24"), "protocol assignments (also a cloud's metadata)"},
	{netip.MustParsePrefix("192.0.2.0/24"), "documentation"},
	{netip.MustParsePrefix("192.31.196.0/24"), "AS112"},
	{netip.MustParsePrefix("192.52.193.0/24"), "AMT"},
	{netip.MustParsePrefix("192.88.99.0/24"), "6to4 relays"},
	{netip.MustParsePrefix("192.168.0.0/16"), "private"},
	{netip.MustParsePrefix("192.175.48.0/24"), "AS112"},
	{netip.MustParsePrefix("198.18.0.0/15"), "benchmarks"},
	{netip.MustParsePrefix("198.51.100.0/24"), "documentation"},
	{netip.MustParsePrefix("203.0.113.0/24"), "documentation"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved, broadcast"},
}

// global is what of IPv6 has been given to anybody; all else is refused
// without a list.
var (
	global   = netip.MustParsePrefix("2000::/3")
	exempted = []struct {
		prefix netip.Prefix
		what   string
	}{
		{netip.MustParsePrefix("2001::/23"), "protocol assignments, Teredo, ORCHID"},
		{netip.MustParsePrefix("2001:db8::/32"), "documentation"},
		{netip.MustParsePrefix("2002::/16"), "6to4"},
		{netip.MustParsePrefix("2620:4f:8000::/48"), "AS112"},
		{netip.MustParsePrefix("3fff::/20"), "documentation"},
	}
)

// kind says what an address is when it is none of the open Internet; "" when
// it is. A form that carries an IPv4 address in it (mapped, compatible, NAT64,
// 6to4, Teredo) is refused whatever it carries, except the mapped one, which
// is that IPv4 address to the kernel.
func kind(a netip.Addr) string {
	if a.Zone() != "" {
		return "of one link alone (zone)"
	}
	a = a.Unmap()
	if a.Is4() {
		for _, r := range reserved {
			if r.prefix.Contains(a) {
				return r.what
			}
		}
		return ""
	}
	if !global.Contains(a) {
		return "no global unicast address (loopback, link-local, private, multicast, NAT64, IPv4 in IPv6)"
	}
	for _, r := range exempted {
		if r.prefix.Contains(a) {
			return r.what
		}
	}
	return ""
}

// allowance is one place that the operator allows.
type allowance struct {
	prefix netip.Prefix
	port   uint16 // 0 is any
}

// parseAllowance reads 10.0.0.0/8, 10.1.2.3, and either with :PORT behind it;
// an IPv6 address without a prefix's length has brackets before a port.
func parseAllowance(s string) (allowance, error) {
	bad := func() (allowance, error) {
		return allowance{}, fault.New(fault.Invalid, "invalid_config", "egress.allow: %q is no address range", s).
			WithHint("as 10.0.0.0/8, 127.0.0.1/32:9000, fd00::/8 or [fd00::1]:443")
	}
	text, port := s, uint16(0)
	if address, rest, ranged := strings.Cut(s, "/"); ranged {
		bits, p, ported := strings.Cut(rest, ":")
		if ported {
			n, err := strconv.ParseUint(p, 10, 16)
			if err != nil || n == 0 {
				return bad()
			}
			port = uint16(n)
		}
		text = strings.Trim(address, "[]") + "/" + bits
		prefix, err := netip.ParsePrefix(text)
		if err != nil || prefix.Addr().Is4In6() {
			return bad()
		}
		return allowance{prefix.Masked(), port}, nil
	}
	if ap, err := netip.ParseAddrPort(text); err == nil && ap.Port() != 0 {
		text, port = ap.Addr().String(), ap.Port()
	}
	a, err := netip.ParseAddr(strings.Trim(text, "[]"))
	if err != nil || a.Zone() != "" {
		return bad()
	}
	a = a.Unmap()
	return allowance{netip.PrefixFrom(a, a.BitLen()), port}, nil
}

func (l allowance) covers(a netip.Addr, port uint16) bool {
	return l.prefix.Contains(a.Unmap()) && (l.port == 0 || l.port == port)
}
