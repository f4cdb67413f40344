package principal

import (
	"context"
	"slices"
)

// Kind tells what sort of principal acts.
type Kind string

// The kinds of principal.
const (
	User      Kind = "user"
	Robot     Kind = "robot"     // a machine identity, owned by a team
	Internal  Kind = "system"    // Fairlead itself: workers, loops
	Anonymous Kind = "anonymous" // nobody has signed in
)

// Role is what a principal is in a team or in the whole organisation.
type Role string

// The roles. PlatformAdmin is organisation-wide only; Auditor may be either;
// the others belong to a team.
const (
	PlatformAdmin Role = "platform-admin"
	Auditor       Role = "auditor"
	TeamOwner     Role = "team-owner"
	Developer     Role = "developer"
	Viewer        Role = "viewer"
	Approver      Role = "approver"
)

// Membership is one role in one team.
type Membership struct {
	TeamID string
	Team   string // its name
	Role   Role
}

// Principal is who acts in a request, with all that access decisions need of
// them. It is a snapshot; do not keep it beyond a request.
type Principal struct {
	Kind        Kind
	ID          string
	Name        string
	OrgRoles    []Role
	Memberships []Membership
	Attributes  map[string]string

	// SessionID or TokenID says how they were recognised; both are empty for
	// Internal and Anonymous.
	SessionID string
	TokenID   string
	// Scopes narrow a token to some actions ("resource:view", "resource:*");
	// empty is all that the principal may. They never widen.
	Scopes []string
}

// HasOrgRole tells whether p has an organisation-wide role.
func (p Principal) HasOrgRole(r Role) bool { return slices.Contains(p.OrgRoles, r) }

// HasTeamRole tells whether p has a role in a team.
func (p Principal) HasTeamRole(teamID string, r Role) bool {
	return slices.ContainsFunc(p.Memberships, func(m Membership) bool { return m.TeamID == teamID && m.Role == r })
}

// System is the principal of Fairlead's own background work.
var System = Principal{Kind: Internal, ID: "system", Name: "fairlead"}

// Nobody is the principal of a request without credentials.
var Nobody = Principal{Kind: Anonymous, ID: "anonymous", Name: "anonymous"}

type principalKey struct{}

// With puts who acts into ctx.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From gives who acts; Nobody when ctx does not say. Absence never grants.
func From(ctx context.Context) Principal {
	if p, ok := ctx.Value(principalKey{}).(Principal); ok {
		return p
	}
	return Nobody
}
