package identityapi

import (
	"time"

	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
)

// User is a person's account.
type User struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	DisplayName string            `json:"displayName"`
	Email       string            `json:"email,omitempty"`
	Attributes  map[string]string `json:"attributes" doc:"Policies look at them"`
	Roles       []string          `json:"roles" nullable:"false" doc:"In the organisation"`
	Teams       []Membership      `json:"teams" nullable:"false"`
	HasPassword bool              `json:"hasPassword"`
	Disabled    bool              `json:"disabled"`
	SignedInAt  *time.Time        `json:"signedInAt,omitempty" doc:"The last time with a password or a link"`
	CreatedAt   time.Time         `json:"createdAt"`
	UpdatedAt   time.Time         `json:"updatedAt"`
	Version     int64             `json:"version"`
}

// Membership is one role in one team.
type Membership struct {
	TeamID string `json:"teamId"`
	Team   string `json:"team"`
	Role   string `json:"role"`
}

// Me is the caller.
type Me struct {
	User
	Kind      string   `json:"kind" enum:"user,robot"`
	Scopes    []string `json:"scopes" nullable:"false" doc:"Of the token used; empty is all that the account may"`
	SessionID string   `json:"sessionId,omitempty"`
	TokenID   string   `json:"tokenId,omitempty"`
}

// Robot is a machine's account.
type Robot struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	DisplayName string            `json:"displayName"`
	TeamID      string            `json:"teamId"`
	Team        string            `json:"team"`
	Roles       []string          `json:"roles" nullable:"false" doc:"In its team"`
	Attributes  map[string]string `json:"attributes"`
	Disabled    bool              `json:"disabled"`
	CreatedAt   time.Time         `json:"createdAt"`
	UpdatedAt   time.Time         `json:"updatedAt"`
	Version     int64             `json:"version"`
}

// Team owns projects and robots.
type Team struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Title      string            `json:"title"`
	Attributes map[string]string `json:"attributes" doc:"Policies look at them"`
	CreatedAt  time.Time         `json:"createdAt"`
	UpdatedAt  time.Time         `json:"updatedAt"`
	Version    int64             `json:"version"`
}

// Member is who has a role in a team.
type Member struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	DisplayName string   `json:"displayName"`
	Kind        string   `json:"kind" enum:"user,robot"`
	Roles       []string `json:"roles" nullable:"false"`
	Disabled    bool     `json:"disabled"`
}

// Session is one signed-in browser or program.
type Session struct {
	ID         string    `json:"id"`
	UserID     string    `json:"userId"`
	Method     string    `json:"method" enum:"password,link"`
	Address    string    `json:"address,omitempty"`
	Agent      string    `json:"agent,omitempty"`
	CreatedAt  time.Time `json:"createdAt"`
	LastSeenAt time.Time `json:"lastSeenAt"`
	ExpiresAt  time.Time `json:"expiresAt" doc:"At the latest; an idle session ends before"`
	Current    bool      `json:"current" doc:"The one that asks"`
}

// Token is an API token, without its value.
type Token struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Hint       string     `json:"hint" doc:"Its last characters"`
	OwnerID    string     `json:"ownerId"`
	Owner      string     `json:"owner"`
	OwnerKind  string     `json:"ownerKind" enum:"user,robot"`
	Scopes     []string   `json:"scopes" nullable:"false" doc:"Empty is all that the owner may"`
	CreatedAt  time.Time  `json:"createdAt"`
	ExpiresAt  time.Time  `json:"expiresAt"`
	LastUsedAt *time.Time `json:"lastUsedAt,omitempty" doc:"To the minute"`
	RevokedAt  *time.Time `json:"revokedAt,omitempty"`
}

// NewToken is a token with its value, shown this once.
type NewToken struct {
	Token
	Value string `json:"value" doc:"Keep it: it is shown this once"`
}

// SignInLink is a one-time link, shown this once.
type SignInLink struct {
	ID        string    `json:"id"`
	User      string    `json:"user"`
	Value     string    `json:"value" doc:"Redeem it with POST /api/v1/session/link, once"`
	ExpiresAt time.Time `json:"expiresAt"`
}

func viewUser(u identity.User) User {
	out := User{
		ID: u.ID, Name: u.Name, DisplayName: u.DisplayName, Email: u.Email, Attributes: attributes(u.Attributes), Roles: roles(u.OrgRoles),
		Teams: []Membership{}, HasPassword: u.HasPassword, Disabled: !u.DisabledAt.IsZero(), SignedInAt: httpx.Optional(u.SignedInAt),
		CreatedAt: u.CreatedAt, UpdatedAt: u.UpdatedAt, Version: u.Version,
	}
	for _, m := range u.Teams {
		out.Teams = append(out.Teams, Membership{TeamID: m.TeamID, Team: m.Team, Role: string(m.Role)})
	}
	return out
}

func viewRobot(r identity.Robot) Robot {
	return Robot{
		ID: r.ID, Name: r.Name, DisplayName: r.DisplayName, TeamID: r.TeamID, Team: r.Team, Roles: roles(r.Roles), Attributes: attributes(r.Attributes),
		Disabled: !r.DisabledAt.IsZero(), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, Version: r.Version,
	}
}

func viewTeam(t identity.Team) Team {
	return Team{ID: t.ID, Name: t.Name, Title: t.Title, Attributes: attributes(t.Attributes), CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt, Version: t.Version}
}

func viewMember(m identity.Member) Member {
	return Member{ID: m.ID, Name: m.Name, DisplayName: m.DisplayName, Kind: string(m.Kind), Roles: roles(m.Roles), Disabled: m.Disabled}
}

func viewSession(s identity.Session) Session {
	return Session{ID: s.ID, UserID: s.PrincipalID, Method: s.Method, Address: s.Address, Agent: s.Agent, CreatedAt: s.CreatedAt,
		LastSeenAt: s.LastSeenAt, ExpiresAt: s.ExpiresAt, Current: s.Current}
}

func viewToken(t identity.Token) Token {
	scopes := t.Scopes
	if scopes == nil {
		scopes = []string{}
	}
	return Token{ID: t.ID, Name: t.Name, Hint: t.Hint, OwnerID: t.OwnerID, Owner: t.Owner, OwnerKind: string(t.OwnerKind), Scopes: scopes,
		CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, LastUsedAt: httpx.Optional(t.LastUsed), RevokedAt: httpx.Optional(t.RevokedAt)}
}

func roles(in []principal.Role) []string {
	out := make([]string, len(in))
	for i, r := range in {
		out[i] = string(r)
	}
	return out
}

func attributes(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func views[A, B any](in []A, view func(A) B) []B {
	out := make([]B, len(in))
	for i, v := range in {
		out[i] = view(v)
	}
	return out
}
