package httpx

import (
	"context"
	"net/http"
	"strings"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
)

// SessionCookie is the name of the cookie that holds a session's secret, and
// HostCookie its name where people come by https: browsers take a __Host-
// cookie from this very host alone, so that no sister domain can plant one.
const (
	SessionCookie = "fairlead_session"
	HostCookie    = "__Host-" + SessionCookie
)

// NewSessionCookie makes the cookie for a session's secret; secure says that
// the request came by https.
func NewSessionCookie(value string, expires time.Time, secure bool) http.Cookie {
	name := SessionCookie
	if secure {
		name = HostCookie
	}
	return http.Cookie{Name: name, Value: value, Path: "/", Expires: expires.UTC(), HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode}
}

// Authenticator finds out whose a credential is. identity implements it. Each
// method gives Unauthenticated for a credential that is unknown, malformed,
// expired or revoked, and does not tell which.
type Authenticator interface {
	// AuthenticateToken recognises the token of "Authorization: Bearer".
	AuthenticateToken(ctx context.Context, value redact.Secret) (principal.Principal, error)
	// AuthenticateSession recognises the value of the session's cookie.
	AuthenticateSession(ctx context.Context, value redact.Secret) (principal.Principal, error)
}

// presented is what a request brought along to say who asks: at most one.
type presented struct{ token, session redact.Secret }

var (
	errNoCredentials = fault.New(fault.Unauthenticated, "unauthenticated", "this needs you to sign in").
				WithHint("run fairlead login, or send an API token as: Authorization: Bearer TOKEN")
	errBadCredentials = fault.New(fault.Unauthenticated, "malformed_credentials", "the credentials cannot be read").
				WithHint("send one header: Authorization: Bearer TOKEN")
)

// maxSecret bounds what is hashed and looked up for somebody unknown.
const maxSecret = 512

// authenticate looks for a token, then for a session; a token wins, because it
// was sent on purpose and a browser sends cookies by itself. Public operations
// take a session that is no longer valid for none: one must be able to sign in
// with an old cookie. A bad token is an error everywhere.
func (s *Server) authenticate(r *http.Request, public bool) (p principal.Principal, bearer bool, err error) {
	c, err := s.credential(r)
	if err != nil {
		return principal.Nobody, false, err
	}
	bearer = !c.token.Empty()
	if !bearer && c.session.Empty() {
		return principal.Nobody, false, nil
	}
	if s.o.Auth == nil {
		return principal.Nobody, bearer, errNoCredentials
	}
	if bearer {
		p, err = s.o.Auth.AuthenticateToken(r.Context(), c.token)
	} else {
		p, err = s.o.Auth.AuthenticateSession(r.Context(), c.session)
	}
	if err == nil && (p.ID == "" || p.Kind == "" || p.Kind == principal.Anonymous || p.Kind == principal.Internal) {
		err = errNoCredentials // absence never grants, and nobody comes from outside as the system
	}
	if err != nil {
		if public && !bearer && fault.Is(err, fault.Unauthenticated) {
			err = nil
		}
		return principal.Nobody, bearer, err
	}
	return p, bearer, nil
}

// Recognise gives whose session a request for a page carries; Nobody when it
// carries none that is good.
func (s *Server) Recognise(r *http.Request) principal.Principal {
	p, bearer, err := s.authenticate(r, true)
	if err != nil || bearer {
		return principal.Nobody
	}
	return p
}

func (s *Server) credential(r *http.Request) (c presented, err error) {
	if auth := r.Header["Authorization"]; len(auth) > 0 {
		scheme, token, ok := strings.Cut(auth[0], " ")
		if len(auth) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || !visible(token, maxSecret) {
			return c, errBadCredentials
		}
		c.token = redact.New(token)
		return c, nil
	}
	if len(r.Header["Cookie"]) == 0 {
		return c, nil
	}
	found := r.CookiesNamed(HostCookie)
	if len(found) == 0 && !s.o.Secure {
		found = r.CookiesNamed(SessionCookie)
	}
	switch {
	case len(found) == 0 || len(found) == 1 && found[0].Value == "":
	case len(found) > 1 || !visible(found[0].Value, maxSecret):
		// Two of them: somebody planted one from a sister domain.
		return c, errBadCredentials
	default:
		c.session = redact.New(found[0].Value)
	}
	return c, nil
}

// visible tells whether s is 1 to limit printable ASCII characters, no space.
func visible(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
