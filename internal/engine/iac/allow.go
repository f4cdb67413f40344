package iac

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/regex"
)

// place is one entry of engines.iac.allow that a run finds in its own network.
type place struct {
	name   string // "" when it was given by its address
	listen string // where it is in a run's network, as ADDRESS:PORT
	dial   string // what the server connects to, as HOST:PORT
}

// allowance is engines.iac.allow as it was read.
type allowance struct {
	places []place
	egress []string // addresses and ranges that may be private, as egress reads them
}

const (
	maxPlaces = 60
	// proxyAddress is where `init` finds the way to the registries.
	proxyAddress = "127.88.255.1:3128"
)

// metadata are the services that tell a machine its cloud's credentials; no
// configuration opens them.
var metadata = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("fd00:ec2::/32"),
	netip.MustParsePrefix("100.100.100.200/32"), netip.MustParsePrefix("168.63.129.16/32"), netip.MustParsePrefix("192.0.0.192/32"),
}

var hostName = regex.Late(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

// readAllow reads ADDRESS:PORT and NAME:PORT, which runs may reach, and ranges
// as 10.0.0.0/8 or 10.0.0.0/8:443, into which the names may lead.
func readAllow(list []string) (a allowance, err error) {
	bad := func(entry, format string, args ...any) (allowance, error) {
		return allowance{}, fault.New(fault.Invalid, "invalid_config", "engines.iac.allow: %q %s", entry, fmt.Sprintf(format, args...)).
			WithHint("as 10.1.2.3:5432, api.example.com:443, or 10.0.0.0/8 for where names may lead")
	}
	names := map[string]string{}
	for _, entry := range list {
		if strings.Contains(entry, "/") {
			text, _, _ := strings.Cut(entry, "/")
			bits := entry[len(text)+1:]
			bits, _, _ = strings.Cut(bits, ":")
			p, err := netip.ParsePrefix(strings.Trim(text, "[]") + "/" + bits)
			if err != nil {
				return bad(entry, "is no range of addresses")
			}
			for _, m := range metadata {
				if p.Overlaps(m) {
					return bad(entry, "holds %s, a cloud's metadata", m)
				}
			}
			a.egress = append(a.egress, entry)
			continue
		}
		host, port, err := net.SplitHostPort(entry)
		if n, err2 := strconv.ParseUint(port, 10, 16); err != nil || err2 != nil || n == 0 {
			return bad(entry, "is not HOST:PORT")
		}
		ip, err := netip.ParseAddr(host)
		switch {
		case err == nil && !ip.Is4():
			return bad(entry, "is an IPv6 address: give the server's name, which may lead to one")
		case err == nil && (ip.IsUnspecified() || ip.IsMulticast()):
			return bad(entry, "is no host's address")
		case err == nil:
			for _, m := range metadata {
				if m.Contains(ip) {
					return bad(entry, "is a cloud's metadata")
				}
			}
			a.egress = append(a.egress, entry)
			a.places = append(a.places, place{listen: entry, dial: entry})
		case !hostName().MatchString(host) || len(host) > 253:
			return bad(entry, "is neither an address nor a name of small letters with a dot in it")
		default:
			at := names[host]
			if at == "" {
				at = fmt.Sprintf("127.88.0.%d", len(names)+1)
				names[host] = at
			}
			a.places = append(a.places, place{name: host, listen: net.JoinHostPort(at, port), dial: entry})
		}
	}
	if len(a.places) > maxPlaces {
		return allowance{}, fault.New(fault.Invalid, "invalid_config", "engines.iac.allow: more than %d places", maxPlaces)
	}
	return a, nil
}

// hosts is what runs have as /etc/hosts.
func (a allowance) hosts() string {
	text := "127.0.0.1 localhost\n"
	seen := map[string]bool{}
	for _, p := range a.places {
		if p.name != "" && !seen[p.name] {
			seen[p.name] = true
			host, _, _ := net.SplitHostPort(p.listen)
			text += host + " " + p.name + "\n"
		}
	}
	return text
}

// listen are the addresses in a run's network beside its state's.
func (a allowance) listen() []string {
	out := make([]string, len(a.places))
	for i, p := range a.places {
		out[i] = p.listen
	}
	return out
}

// at finds the place behind an address of a run's network.
func (a allowance) at(listen string) (place, bool) {
	for _, p := range a.places {
		if p.listen == listen {
			return p, true
		}
	}
	return place{}, false
}
