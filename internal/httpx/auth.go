package httpx

import (
	"context"
	"net/http"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
)

// SessionCookie is the name of the cookie that holds a session's secret.
const SessionCookie = "fairlead_session"

// Authenticator finds out whose a credential is. identity implements it. Each
// method gives Unauthenticated for a credential that is unknown, malformed,
// expired or revoked, and does not tell which.
type Authenticator interface {
	// AuthenticateToken recognises the token of "Authorization: Bearer".
	AuthenticateToken(ctx context.Context, value redact.Secret) (principal.Principal, error)
	// AuthenticateSession recognises the value of the SessionCookie.
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
	c, err := credential(r)
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

func credential(r *http.Request) (c presented, err error) {
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
	found := r.CookiesNamed(SessionCookie)
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
