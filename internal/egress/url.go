package egress

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"fairlead/internal/fault"
)

// maxURL is the longest URL taken, in bytes.
const maxURL = 2048

// CheckURL reads a URL that a user gave and refuses what is not plainly an
// http or https URL of one host: Invalid, code "egress_url". A host that is an
// address is judged at once: Invalid, code "egress_refused"; a name is judged
// when it is dialled, as what it means can change.
func (c *Client) CheckURL(raw string) (*url.URL, error) {
	u, err := parse(raw)
	if err != nil {
		return nil, err
	}
	port := portOf(u)
	a, err := netip.ParseAddr(u.Hostname())
	switch {
	case err == nil:
		if err := c.judge(netip.AddrPortFrom(a, port), u.Scheme == "http"); err != nil {
			return nil, err
		}
	case u.Scheme == "http" && !c.plainSomewhere():
		return nil, urlFault("the URL must begin with https://")
	}
	return u, nil
}

func urlFault(format string, args ...any) *fault.Error {
	return fault.New(fault.Invalid, "egress_url", format, args...).WithField("/url").
		WithHint("give it as https://host.example.org/path, the host as a plain name or address, without a password")
}

// parse holds for a URL's text what every reader of URLs agrees on.
func parse(raw string) (*url.URL, error) {
	if raw == "" || len(raw) > maxURL {
		return nil, urlFault("the URL must have 1 to %d characters", maxURL)
	}
	for _, b := range []byte(raw) {
		if b <= ' ' || b >= 0x7f || strings.IndexByte(`\"<>^`+"`{|}", b) >= 0 {
			return nil, urlFault("the URL holds a character that belongs in none unescaped").
				WithHint("escape it as %%20; write a name of other scripts in its xn-- form")
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, urlFault("that is no URL")
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, urlFault("the URL must begin with https://")
	case u.Opaque != "" || u.Host == "" || !strings.HasPrefix(strings.ToLower(raw), u.Scheme+"://"):
		return nil, urlFault("the URL names no host")
	case u.User != nil || strings.Contains(authority(raw), "@"):
		return nil, urlFault("the URL holds a user's name or a password")
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return nil, urlFault("the URL has a fragment, which is never sent")
	case strings.Contains(u.Host, "%"):
		return nil, urlFault("the host is written in escapes")
	}
	if err := checkHost(u); err != nil {
		return nil, err
	}
	u.Host = strings.ToLower(u.Host)
	return u, nil
}

func authority(raw string) string {
	_, rest, _ := strings.Cut(raw, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	return rest
}

// checkHost lets through an address as it is usually written, and a name of
// letters, digits and hyphens whose last part cannot be taken for a number:
// 2130706433, 0x7f.1, 0177.0.0.1 and 127.1 are addresses to many readers.
func checkHost(u *url.URL) error {
	host := u.Hostname()
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return urlFault("the port is not between 1 and 65535")
		}
	}
	if strings.HasPrefix(u.Host, "[") {
		a, err := netip.ParseAddr(host)
		if err != nil || a.Zone() != "" || !a.Is6() {
			return urlFault("the host is no address")
		}
		return nil
	}
	if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
		return nil
	}
	if host == "" || len(host) > 253 {
		return urlFault("the URL names no host")
	}
	labels := strings.Split(strings.ToLower(host), ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return urlFault("the host is neither a plain name nor an address").
				WithHint("letters, digits and hyphens between single dots, none at the end; other scripts in their xn-- form")
		}
	}
	if last := labels[len(labels)-1]; strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return urlFault("the host is a number, or an address in an unusual spelling").WithHint("write an address as 192.0.2.1 or [2001:db8::1]")
	}
	return nil
}

func portOf(u *url.URL) uint16 {
	if p, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		return uint16(p)
	}
	if u.Scheme == "http" {
		return 80
	}
	return 443
}

// Origin is where a URL leads: scheme, host and port, the port always written.
func Origin(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return u.Scheme + "://" + host + ":" + strconv.Itoa(int(portOf(u)))
}
