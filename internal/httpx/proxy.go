package httpx

import (
	"net/http"
	"net/netip"
	"strings"
)

// client gives the address that asks and whether it asks over TLS. What a
// peer says about others counts only when the peer is a trusted proxy; then
// the nearest address that is none is the client, because everything left of
// it was written by that client.
func (s *Server) client(r *http.Request) (addr netip.Addr, secure bool) {
	secure = r.TLS != nil
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		addr = ap.Addr().Unmap()
	}
	if len(s.o.TrustedProxies) == 0 || !s.trusted(addr) {
		return addr, secure
	}
	if proto := r.Header["X-Forwarded-Proto"]; len(proto) == 1 {
		secure = strings.EqualFold(strings.TrimSpace(proto[0]), "https")
	}
	chain := strings.Join(r.Header["X-Forwarded-For"], ",")
	for chain != "" {
		var last string
		if i := strings.LastIndexByte(chain, ','); i >= 0 {
			chain, last = chain[:i], chain[i+1:]
		} else {
			chain, last = "", chain
		}
		hop, err := netip.ParseAddr(strings.TrimSpace(last))
		if err != nil {
			return addr, secure // the proxy wrote none of this: go no further
		}
		addr = hop.Unmap().WithZone("")
		if !s.trusted(addr) {
			return addr, secure
		}
	}
	return addr, secure
}

func (s *Server) trusted(a netip.Addr) bool {
	for _, p := range s.o.TrustedProxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
