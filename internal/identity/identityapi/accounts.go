package identityapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
)

// SortInput sorts and searches a list. Embedded inputs are exported: huma
// passes over others.
type SortInput struct {
	Sort   string `query:"sort" enum:"name,-name,created,-created,updated,-updated" default:"name"`
	Search string `query:"q" maxLength:"80" doc:"Part of the name or title"`
}

// DisabledInput filters accounts.
type DisabledInput struct {
	Disabled string `query:"disabled" enum:"true,false,any" default:"any"`
}

func (in DisabledInput) value() *bool {
	if in.Disabled == "true" || in.Disabled == "false" {
		v := in.Disabled == "true"
		return &v
	}
	return nil
}

// UserPath names a user.
type UserPath struct {
	User string `path:"user" maxLength:"64" doc:"Name or id"`
}

func registerUsers(api huma.API, svc *identity.Service) {
	tags := []string{"Users"}
	httpx.Register(api, huma.Operation{OperationID: "list-users", Method: http.MethodGet, Path: "/api/v1/users", Tags: tags, Summary: "Users that the caller may see"},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			SortInput
			DisabledInput
			Team string `query:"team" maxLength:"64" doc:"Name or id"`
			Role string `query:"role" maxLength:"32"`
		}) (*httpx.Body[httpx.Page[User]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Users(ctx, identity.UserFilter{Search: in.Search, Team: in.Team, Role: principal.Role(in.Role), Disabled: in.value(), Sort: in.Sort}, page)
			return httpx.PageOf(items, next, err, viewUser)
		})
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "create-user", Method: http.MethodPost, Path: "/api/v1/users", Tags: tags, Summary: "Make a user",
		Description: "Without a role and a password; issue a sign-in link to let them in."}, "/api/v1/users/{name}"),
		func(ctx context.Context, in *struct {
			Body struct {
				Name        string            `json:"name"`
				DisplayName string            `json:"displayName,omitempty"`
				Email       string            `json:"email,omitempty"`
				Attributes  map[string]string `json:"attributes,omitempty"`
			}
		}) (*httpx.Tagged[User], error) {
			b := in.Body
			return userReply(svc.CreateUser(ctx, identity.NewUser{Name: b.Name, DisplayName: b.DisplayName, Email: b.Email, Attributes: b.Attributes}))
		})
	httpx.Register(api, huma.Operation{OperationID: "get-user", Method: http.MethodGet, Path: "/api/v1/users/{user}", Tags: tags, Summary: "A user"},
		func(ctx context.Context, in *UserPath) (*httpx.Tagged[User], error) {
			return userReply(svc.User(ctx, in.User))
		})
	httpx.Register(api, huma.Operation{OperationID: "update-user", Method: http.MethodPatch, Path: "/api/v1/users/{user}", Tags: tags, Summary: "Change a user",
		Description: "Disabling ends every session and token of theirs at once."},
		func(ctx context.Context, in *struct {
			UserPath
			httpx.IfMatchInput
			Body struct {
				DisplayName *string            `json:"displayName,omitempty"`
				Email       *string            `json:"email,omitempty"`
				Attributes  *map[string]string `json:"attributes,omitempty"`
				Disabled    *bool              `json:"disabled,omitempty"`
			}
		}) (*httpx.Tagged[User], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			b := in.Body
			return userReply(svc.UpdateUser(ctx, in.User, identity.UserChange{DisplayName: b.DisplayName, Email: b.Email, Attributes: b.Attributes, Disabled: b.Disabled}, v))
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-user", Method: http.MethodDelete, Path: "/api/v1/users/{user}", Tags: tags, Summary: "Delete a user",
		Description: "Disables the account: its name stays taken, as the audit log refers to it.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			UserPath
			httpx.IfMatchInput
		}) (*struct{}, error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return nil, svc.DisableUser(ctx, in.User, v)
		})
	registerUserRights(api, svc, tags)
}

// registerUserRights is how an administrator lets a user in, and what they are
// in the organisation.
func registerUserRights(api huma.API, svc *identity.Service, tags []string) {
	httpx.Register(api, httpx.Sensitive(huma.Operation{OperationID: "create-link", Method: http.MethodPost, Path: "/api/v1/users/{user}/links", Tags: tags,
		Summary: "Issue a one-time sign-in link", Description: "Good for 15 minutes and one use; whoever has it becomes the user."}),
		func(ctx context.Context, in *UserPath) (*httpx.Body[SignInLink], error) {
			return linkReply(svc.IssueLink(ctx, in.User))
		})
	httpx.Register(api, httpx.Sensitive(huma.Operation{OperationID: "reset-user", Method: http.MethodPost, Path: "/api/v1/users/{user}/reset", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Take a user's password and end their sessions", Description: "The reply holds a one-time sign-in link, with which they set a new password. Tokens of theirs go on."}),
		func(ctx context.Context, in *UserPath) (*httpx.Body[SignInLink], error) {
			return linkReply(svc.Reset(ctx, in.User))
		})
	httpx.Register(api, huma.Operation{OperationID: "list-user-sessions", Method: http.MethodGet, Path: "/api/v1/users/{user}/sessions", Tags: tags,
		Summary: "Live sessions of a user, the newest first", Description: "For who may end them."},
		func(ctx context.Context, in *struct {
			UserPath
			httpx.PageInput
		}) (*httpx.Body[httpx.Page[Session]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.UserSessions(ctx, in.User, page)
			return httpx.PageOf(items, next, err, viewSession)
		})
	httpx.Register(api, huma.Operation{OperationID: "revoke-user-sessions", Method: http.MethodDelete, Path: "/api/v1/users/{user}/sessions", Tags: tags,
		Summary: "End all sessions of a user", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *UserPath) (*struct{}, error) {
			return nil, svc.RevokeSessions(ctx, in.User)
		})
	type rolePath struct {
		UserPath
		Role string `path:"role" enum:"platform-admin,auditor"`
	}
	httpx.Register(api, huma.Operation{OperationID: "grant-role", Method: http.MethodPut, Path: "/api/v1/users/{user}/roles/{role}", Tags: tags,
		Summary: "Give a role in the organisation", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *rolePath) (*struct{}, error) {
			return nil, svc.GrantRole(ctx, identity.Grant{Member: in.User, Role: principal.Role(in.Role)})
		})
	httpx.Register(api, huma.Operation{OperationID: "revoke-role", Method: http.MethodDelete, Path: "/api/v1/users/{user}/roles/{role}", Tags: tags,
		Summary: "Take a role in the organisation", Description: "The last platform administrator keeps theirs.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *rolePath) (*struct{}, error) {
			return nil, svc.RevokeRole(ctx, identity.Grant{Member: in.User, Role: principal.Role(in.Role)})
		})
}

func linkReply(l identity.Issued[identity.Link], err error) (*httpx.Body[SignInLink], error) {
	if err != nil {
		return nil, err
	}
	return &httpx.Body[SignInLink]{Body: SignInLink{ID: l.Credential.ID, User: l.Credential.User, Value: l.Value.Reveal(), ExpiresAt: l.Credential.ExpiresAt}}, nil
}

// RobotPath names a robot.
type RobotPath struct {
	Robot string `path:"robot" maxLength:"64" doc:"Name or id"`
}

func robotReply(r identity.Robot, err error) (*httpx.Tagged[Robot], error) {
	if err != nil {
		return nil, err
	}
	return httpx.NewTagged(r.Version, viewRobot(r)), nil
}

func registerRobots(api huma.API, svc *identity.Service) {
	tags := []string{"Robots"}
	httpx.Register(api, huma.Operation{OperationID: "list-robots", Method: http.MethodGet, Path: "/api/v1/robots", Tags: tags, Summary: "Robots that the caller may see"},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			SortInput
			DisabledInput
			Team string `query:"team" maxLength:"64" doc:"Name or id"`
		}) (*httpx.Body[httpx.Page[Robot]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Robots(ctx, identity.RobotFilter{Search: in.Search, Team: in.Team, Disabled: in.value(), Sort: in.Sort}, page)
			return httpx.PageOf(items, next, err, viewRobot)
		})
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "create-robot", Method: http.MethodPost, Path: "/api/v1/robots", Tags: tags, Summary: "Make a robot",
		Description: "A machine identity of a team, with roles in that team only. Make a token for it with POST /api/v1/tokens."}, "/api/v1/robots/{name}"),
		func(ctx context.Context, in *struct {
			Body struct {
				Team        string            `json:"team" doc:"Name or id"`
				Name        string            `json:"name"`
				DisplayName string            `json:"displayName,omitempty"`
				Roles       []string          `json:"roles,omitempty" maxItems:"8"`
				Attributes  map[string]string `json:"attributes,omitempty"`
			}
		}) (*httpx.Tagged[Robot], error) {
			b := in.Body
			return robotReply(svc.CreateRobot(ctx, identity.NewRobot{Team: b.Team, Name: b.Name, DisplayName: b.DisplayName, Attributes: b.Attributes,
				Roles: views(b.Roles, func(r string) principal.Role { return principal.Role(r) })}))
		})
	httpx.Register(api, huma.Operation{OperationID: "get-robot", Method: http.MethodGet, Path: "/api/v1/robots/{robot}", Tags: tags, Summary: "A robot"},
		func(ctx context.Context, in *RobotPath) (*httpx.Tagged[Robot], error) {
			return robotReply(svc.Robot(ctx, in.Robot))
		})
	httpx.Register(api, huma.Operation{OperationID: "update-robot", Method: http.MethodPatch, Path: "/api/v1/robots/{robot}", Tags: tags, Summary: "Change a robot"},
		func(ctx context.Context, in *struct {
			RobotPath
			httpx.IfMatchInput
			Body struct {
				DisplayName *string            `json:"displayName,omitempty"`
				Attributes  *map[string]string `json:"attributes,omitempty"`
				Disabled    *bool              `json:"disabled,omitempty"`
			}
		}) (*httpx.Tagged[Robot], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return robotReply(svc.UpdateRobot(ctx, in.Robot, identity.RobotChange{DisplayName: in.Body.DisplayName, Attributes: in.Body.Attributes, Disabled: in.Body.Disabled}, v))
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-robot", Method: http.MethodDelete, Path: "/api/v1/robots/{robot}", Tags: tags, Summary: "Delete a robot",
		Description: "Disables it: its tokens end at once, its name stays taken.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			RobotPath
			httpx.IfMatchInput
		}) (*struct{}, error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return nil, svc.DisableRobot(ctx, in.Robot, v)
		})
}

// TokenPath names a token.
type TokenPath struct {
	Token string `path:"token" maxLength:"64" doc:"Id"`
}

func registerTokens(api huma.API, svc *identity.Service) {
	tags := []string{"Tokens"}
	httpx.Register(api, huma.Operation{OperationID: "list-tokens", Method: http.MethodGet, Path: "/api/v1/tokens", Tags: tags, Summary: "API tokens",
		Description: "The caller's own, unless asked otherwise."},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			Owner string `query:"owner" maxLength:"64" doc:"User or robot, name or id"`
			All   bool   `query:"all" doc:"Of everybody that the caller may see"`
			Ended bool   `query:"ended" doc:"Also revoked and expired ones"`
			Sort  string `query:"sort" enum:"name,-name,created,-created" default:"-created"`
		}) (*httpx.Body[httpx.Page[Token]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Tokens(ctx, identity.TokenFilter{Owner: in.Owner, All: in.All, Ended: in.Ended, Sort: in.Sort}, page)
			return httpx.PageOf(items, next, err, viewToken)
		})
	httpx.Register(api, httpx.Sensitive(huma.Operation{OperationID: "create-token", Method: http.MethodPost, Path: "/api/v1/tokens", Tags: tags, Summary: "Make an API token",
		Description: "For oneself, or for a robot. Its value is shown this once. A token made with a token is never wider and never outlives it."}),
		func(ctx context.Context, in *struct {
			Body struct {
				Name             string   `json:"name" maxLength:"80"`
				Robot            string   `json:"robot,omitempty" maxLength:"64" doc:"Whose it is, name or id; the caller's when left out"`
				Scopes           []string `json:"scopes,omitempty" maxItems:"64" doc:"Such as resource:view or resource:*; all that the owner may when left out"`
				ExpiresInSeconds int64    `json:"expiresInSeconds,omitempty" minimum:"60" maximum:"31622400" doc:"90 days when left out"`
			}
		}) (*tokenOutput, error) {
			b := in.Body
			return newToken(svc.CreateToken(ctx, identity.NewToken{Name: b.Name, Robot: b.Robot, Scopes: b.Scopes, Lifetime: time.Duration(b.ExpiresInSeconds) * time.Second}))
		})
	httpx.Register(api, huma.Operation{OperationID: "get-token", Method: http.MethodGet, Path: "/api/v1/tokens/{token}", Tags: tags, Summary: "A token, without its value"},
		func(ctx context.Context, in *TokenPath) (*httpx.Body[Token], error) {
			t, err := svc.Token(ctx, in.Token)
			if err != nil {
				return nil, err
			}
			return &httpx.Body[Token]{Body: viewToken(t)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "revoke-token", Method: http.MethodDelete, Path: "/api/v1/tokens/{token}", Tags: tags, Summary: "Revoke a token",
		Description: "It stops working at once, on every replica.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *TokenPath) (*struct{}, error) {
			return nil, svc.RevokeToken(ctx, in.Token)
		})
}
