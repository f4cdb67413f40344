package accesstest

import (
	"context"
	"slices"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
)

// AllowAll allows everything to everyone but nobody.
type AllowAll struct{}

// Check implements access.Authorizer.
func (AllowAll) Check(ctx context.Context, _ access.Action, _ access.Target) (access.Decision, error) {
	if principal.From(ctx).Kind == principal.Anonymous {
		return access.Decision{}, fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
	}
	return access.Decision{Allowed: true, Policies: []string{"test-allow-all"}, Version: 1}, nil
}

// Scope implements access.Authorizer.
func (AllowAll) Scope(ctx context.Context, _ access.Action) (access.Scope, error) {
	return access.Scope{All: principal.From(ctx).Kind != principal.Anonymous}, nil
}

// Teams lets a principal do everything within its own teams and nothing
// elsewhere, where it sees nothing either.
type Teams struct{}

// Check implements access.Authorizer.
func (Teams) Check(ctx context.Context, _ access.Action, t access.Target) (access.Decision, error) {
	p := principal.From(ctx)
	switch {
	case p.Kind == principal.Internal:
	case p.Kind == principal.Anonymous:
		return access.Decision{}, fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
	case !slices.ContainsFunc(p.Memberships, func(m principal.Membership) bool { return m.TeamID == t.TeamID }):
		return access.Decision{}, fault.New(fault.NotFound, "not_found", "no such %s", t.Kind)
	}
	return access.Decision{Allowed: true, Policies: []string{"test-team"}, Version: 1}, nil
}

// Scope implements access.Authorizer; only TeamIDs are filled in.
func (Teams) Scope(ctx context.Context, _ access.Action) (access.Scope, error) {
	var s access.Scope
	for _, m := range principal.From(ctx).Memberships {
		s.TeamIDs = append(s.TeamIDs, m.TeamID)
	}
	return s, nil
}

// DenyAll refuses everything to everyone, and lets nobody see anything.
type DenyAll struct{}

// Check implements access.Authorizer.
func (DenyAll) Check(ctx context.Context, a access.Action, _ access.Target) (access.Decision, error) {
	if principal.From(ctx).Kind == principal.Anonymous {
		return access.Decision{}, fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
	}
	return access.Decision{Version: 1}, fault.New(fault.Denied, "access_denied", "you may not %s", a)
}

// Scope implements access.Authorizer.
func (DenyAll) Scope(context.Context, access.Action) (access.Scope, error) {
	return access.Scope{}, nil
}
