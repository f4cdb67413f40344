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

// Credential is what a request brought along to say who asks. Exactly one of
// its fields is set.
type Credential struct {
	Token   redact.Secret // of "Authorization: Bearer"
	Session redact.Secret // of the cookie
}

// Authenticator finds out whose a credential is. identity implements it.
type Authenticator interface {
	// Authenticate gives the principal, or Unauthenticated for a credential
	// that is unknown, malformed, expired or revoked (the caller is not told
	// which). An empty principal is never a success.
	Authenticate(ctx context.Context, c Credential) (principal.Principal, error)
}

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
	bearer = !c.Token.Empty()
	if !bearer && c.Session.Empty() {
		return principal.Nobody, false, nil
	}
	if s.o.Auth == nil {
		return principal.Nobody, bearer, errNoCredentials
	}
	p, err = s.o.Auth.Authenticate(r.Context(), c)
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

func credential(r *http.Request) (c Credential, err error) {
	if auth := r.Header["Authorization"]; len(auth) > 0 {
		scheme, token, ok := strings.Cut(auth[0], " ")
		if len(auth) > 1 || !ok || !strings.EqualFold(scheme, "Bearer") || !visible(token, maxSecret) {
			return c, errBadCredentials
		}
		c.Token = redact.New(token)
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
		c.Session = redact.New(found[0].Value)
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
