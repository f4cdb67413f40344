package identity

import (
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/redact"
)

// User is a person's account. Times that did not happen are zero.
type User struct {
	ID, Name    string
	DisplayName string
	Email       string // for people to read; never a key, never proof of anything
	Attributes  map[string]string
	OrgRoles    []principal.Role
	Teams       []principal.Membership
	HasPassword bool
	DisabledAt  time.Time
	SignedInAt  time.Time
	CreatedAt   time.Time
	UpdatedAt   time.Time
	Version     int64
}

// Robot is a machine's account, owned by a team, with roles in that team only.
type Robot struct {
	ID, Name     string
	DisplayName  string
	TeamID, Team string
	Roles        []principal.Role
	Attributes   map[string]string
	DisabledAt   time.Time
	CreatedAt    time.Time
	UpdatedAt    time.Time
	Version      int64
}

// Team owns projects and robots.
type Team struct {
	ID, Name, Title string
	Attributes      map[string]string
	CreatedAt       time.Time
	UpdatedAt       time.Time
	Version         int64
}

// Target says what an action on the team is on.
func (t Team) Target() access.Target {
	return access.Target{Kind: "team", ID: t.ID, Name: t.Name, TeamID: t.ID, Attributes: t.Attributes}
}

// Member is a principal with what it is in a team.
type Member struct {
	ID, Name, DisplayName string
	Kind                  principal.Kind
	Roles                 []principal.Role
	Disabled              bool
}

// Session is one signed-in browser or program.
type Session struct {
	ID, PrincipalID string
	Method          string // password, link
	Address, Agent  string
	CreatedAt       time.Time
	LastSeenAt      time.Time
	ExpiresAt       time.Time // at the latest; idle sessions end before
	Current         bool      // the one that asks
}

// Token is an API token, without its value.
type Token struct {
	ID, Name  string
	Hint      string // its last characters
	OwnerID   string
	Owner     string
	OwnerKind principal.Kind
	Scopes    []string // empty: all that the owner may
	CreatedBy string
	CreatedAt time.Time
	ExpiresAt time.Time
	LastUsed  time.Time
	RevokedAt time.Time
}

// Link is a one-time sign-in link, without its value.
type Link struct {
	ID, User  string
	ExpiresAt time.Time
}

// Issued is a credential with its value, which exists here and nowhere else.
type Issued[T any] struct {
	Credential T
	Value      redact.Secret
}

func notFound(kind string) error {
	return access.Missing(kind)
}

func unauthenticated() error {
	return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first").
		WithHint("use fairlead login, or send a token: Authorization: Bearer fl_pat_…")
}

func stale(kind string) error {
	return fault.New(fault.Stale, "stale_version", "the %s was changed by somebody else meanwhile", kind).
		WithHint("read it again, then repeat the change")
}
