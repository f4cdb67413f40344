package identityapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
)

// Options of the face.
type Options struct {
	// Secure says that people reach Fairlead by https alone, so that its
	// cookie never travels otherwise. A request by TLS gets such a cookie in
	// any case.
	Secure bool
}

// Register puts identity's operations on the API.
func Register(api huma.API, svc *identity.Service, o Options) {
	registerSession(api, svc, o)
	registerMe(api, svc)
	registerUsers(api, svc)
	registerRobots(api, svc)
	registerTeams(api, svc)
	registerTokens(api, svc)
}

// Client is what a sign-in notes of the program that asks. A forged
// X-Forwarded-Proto only makes the forger's own cookie stricter.
type Client struct {
	Agent  string `header:"User-Agent" hidden:"true"`
	secure bool
}

// Resolve implements huma.Resolver.
func (c *Client) Resolve(ctx huma.Context) []error {
	c.secure = ctx.TLS() != nil || strings.EqualFold(ctx.Header("X-Forwarded-Proto"), "https")
	return nil
}

type signInBody struct {
	Name     string `json:"name" minLength:"1" maxLength:"256"`
	Password string `json:"password" minLength:"1" maxLength:"1024"`
}

type linkBody struct {
	Link string `json:"link" minLength:"1" maxLength:"256" doc:"The value of a one-time link"`
}

type loginBody struct {
	Name             string `json:"name,omitempty" maxLength:"256"`
	Password         string `json:"password,omitempty" maxLength:"1024"`
	Link             string `json:"link,omitempty" maxLength:"256" doc:"Instead of name and password"`
	TokenName        string `json:"tokenName,omitempty" maxLength:"80" doc:"What the token is for, such as the machine's name"`
	ExpiresInSeconds int64  `json:"expiresInSeconds,omitempty" minimum:"60" maximum:"31622400" doc:"90 days when left out"`
}

type sessionOutput struct {
	SetCookie    http.Cookie `header:"Set-Cookie"`
	CacheControl string      `header:"Cache-Control"`
	Body         Session
}

type signOutOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

type tokenOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         NewToken
}

func registerSession(api huma.API, svc *identity.Service, o Options) {
	start := func(ctx context.Context, c Client, in identity.SignIn) (*sessionOutput, error) {
		in.Agent = c.Agent
		s, err := svc.SignIn(ctx, in)
		if err != nil {
			return nil, err
		}
		return &sessionOutput{SetCookie: httpx.NewSessionCookie(s.Value.Reveal(), s.Credential.ExpiresAt, o.Secure || c.secure), CacheControl: "no-store",
			Body: viewSession(s.Credential)}, nil
	}
	tags := []string{"Sign-in"}
	httpx.Register(api, httpx.Sensitive(huma.Operation{
		OperationID: "sign-in", Method: http.MethodPost, Path: "/api/v1/session", Tags: tags, Security: httpx.Public,
		Summary: "Sign in with a password", Description: "Makes a session and sets its cookie. A session that the request came with ends.",
	}), func(ctx context.Context, in *struct {
		Client
		Body signInBody
	}) (*sessionOutput, error) {
		return start(ctx, in.Client, identity.SignIn{Name: in.Body.Name, Password: redact.New(in.Body.Password)})
	})
	httpx.Register(api, httpx.Sensitive(huma.Operation{
		OperationID: "redeem-link", Method: http.MethodPost, Path: "/api/v1/session/link", Tags: tags, Security: httpx.Public,
		Summary: "Sign in with a one-time link", Description: "A link works once. For an hour after it the session may set a password without the current one.",
	}), func(ctx context.Context, in *struct {
		Client
		Body linkBody
	}) (*sessionOutput, error) {
		return start(ctx, in.Client, identity.SignIn{Link: redact.New(in.Body.Link)})
	})
	httpx.Register(api, huma.Operation{
		OperationID: "sign-out", Method: http.MethodDelete, Path: "/api/v1/session", Tags: tags, Security: httpx.Public,
		Summary: "Sign out", Description: "Ends the session of the cookie and clears it.", DefaultStatus: http.StatusNoContent,
	}, func(ctx context.Context, in *struct{ Client }) (*signOutOutput, error) {
		if err := svc.SignOut(ctx); err != nil {
			return nil, err
		}
		gone := httpx.NewSessionCookie("", time.Unix(1, 0), o.Secure || in.secure)
		gone.MaxAge = -1
		return &signOutOutput{gone}, nil
	})
	httpx.Register(api, httpx.Sensitive(huma.Operation{
		OperationID: "login", Method: http.MethodPost, Path: "/api/v1/login", Tags: tags, Security: httpx.Public,
		Summary: "Sign in for an API token", Description: "For programs such as fairlead login: by name and password, or by a one-time link.",
	}), func(ctx context.Context, in *struct {
		Client
		Body loginBody
	}) (*tokenOutput, error) {
		b := in.Body
		t, err := svc.SignInForToken(ctx, identity.SignIn{Name: b.Name, Password: redact.New(b.Password), Link: redact.New(b.Link), Agent: in.Agent},
			b.TokenName, time.Duration(b.ExpiresInSeconds)*time.Second)
		return newToken(t, err)
	})
}

func newToken(t identity.Issued[identity.Token], err error) (*tokenOutput, error) {
	if err != nil {
		return nil, err
	}
	return &tokenOutput{CacheControl: "no-store", Body: NewToken{Token: viewToken(t.Credential), Value: t.Value.Reveal()}}, nil
}

func registerMe(api huma.API, svc *identity.Service) {
	tags := []string{"Me"}
	httpx.Register(api, huma.Operation{OperationID: "get-me", Method: http.MethodGet, Path: "/api/v1/me", Tags: tags,
		Summary: "Who am I", Description: "The caller's account with its roles and teams, and the credential that was used."},
		func(ctx context.Context, _ *struct{}) (*httpx.Tagged[Me], error) {
			m, err := svc.Me(ctx)
			if err != nil {
				return nil, err
			}
			scopes := m.Scopes
			if scopes == nil {
				scopes = []string{}
			}
			return httpx.NewTagged(m.User.Version, Me{User: viewUser(m.User), Kind: string(m.Kind), Scopes: scopes, SessionID: m.Session, TokenID: m.Token}), nil
		})
	httpx.Register(api, huma.Operation{OperationID: "update-me", Method: http.MethodPatch, Path: "/api/v1/me", Tags: tags, Summary: "Change how I am called"},
		func(ctx context.Context, in *struct {
			httpx.IfMatchInput
			Body struct {
				DisplayName string `json:"displayName" maxLength:"120"`
			}
		}) (*httpx.Tagged[User], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return userReply(svc.Rename(ctx, in.Body.DisplayName, v))
		})
	httpx.Register(api, huma.Operation{OperationID: "set-my-password", Method: http.MethodPut, Path: "/api/v1/me/password", Tags: tags, DefaultStatus: http.StatusNoContent,
		Summary: "Set my password", Description: "With the current password, or within an hour of signing in by a link without it. Every other session ends."},
		func(ctx context.Context, in *struct {
			Body struct {
				Current  string `json:"current,omitempty" maxLength:"1024"`
				Password string `json:"password" minLength:"1" maxLength:"1024"`
			}
		}) (*struct{}, error) {
			return nil, svc.SetPassword(ctx, redact.New(in.Body.Current), redact.New(in.Body.Password))
		})
	httpx.Register(api, huma.Operation{OperationID: "list-my-sessions", Method: http.MethodGet, Path: "/api/v1/me/sessions", Tags: tags, Summary: "My sessions, the newest first"},
		func(ctx context.Context, in *struct{ httpx.PageInput }) (*httpx.Body[httpx.Page[Session]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Sessions(ctx, page)
			return httpx.PageOf(items, next, err, viewSession)
		})
	httpx.Register(api, huma.Operation{OperationID: "revoke-my-session", Method: http.MethodDelete, Path: "/api/v1/me/sessions/{session}", Tags: tags,
		Summary: "End one of my sessions", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			Session string `path:"session" maxLength:"64"`
		}) (*struct{}, error) {
			return nil, svc.RevokeSession(ctx, in.Session)
		})
	httpx.Register(api, huma.Operation{OperationID: "revoke-my-sessions", Method: http.MethodDelete, Path: "/api/v1/me/sessions", Tags: tags,
		Summary: "End all my sessions but this one", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			return nil, svc.RevokeSessions(ctx, principal.From(ctx).ID)
		})
}

func userReply(u identity.User, err error) (*httpx.Tagged[User], error) {
	if err != nil {
		return nil, err
	}
	return httpx.NewTagged(u.Version, viewUser(u)), nil
}
