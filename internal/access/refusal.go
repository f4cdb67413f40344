package access

import (
	"slices"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
)

// refusal is what somebody who may not is told: nobody to sign in; those who
// may not know of the thing that there is none; the others what they lack and
// who has it.
func (s *Set) refusal(p principal.Principal, a Action, t Target) *fault.Error {
	if p.Kind != principal.User && p.Kind != principal.Robot {
		return fault.New(fault.Unauthenticated, "unauthenticated", "sign in first").
			WithHint("fairlead login, or send a token: Authorization: Bearer …")
	}
	whole := p
	whole.Scopes = nil
	known := knownBy(t)
	if !s.knows(whole, known) {
		return noSuch(known.Kind)
	}
	if v, err := s.ask(whole, a, t); err == nil && v.Allowed {
		return fault.New(fault.Denied, "token_scope", "this token does not cover %s", a).
			WithHint("its scopes are %s; make one that also has %s", strings.Join(p.Scopes, ", "), a)
	}
	f := fault.New(fault.Denied, "access_denied", "you may not %s%s", describe(a, t), inClass(t))
	if roles := s.rolesThatMay(p.Kind, a, t); len(roles) > 0 {
		return f.WithHint("it takes the role %s; see also: fairlead access why", strings.Join(roles, " or "))
	}
	return f.WithHint("no role may, as the policies stand; see: fairlead access why")
}

func noSuch(kind string) *fault.Error {
	return fault.New(fault.NotFound, "not_found", "no such %s", kinds[kind].noun).
		WithHint("check the name, and that you are in the team it belongs to")
}

// knownBy is the thing whose existence an answer would give away: the target,
// or, for one still to be made, what it would be in.
func knownBy(t Target) Target {
	t = t.normal()
	if t.ID != "" {
		return t
	}
	up := Target{TeamID: t.TeamID, ProjectID: t.ProjectID, EnvironmentID: t.EnvironmentID, EnvironmentClass: t.EnvironmentClass}
	switch {
	case t.EnvironmentID != "":
		up.Kind, up.ID = "environment", t.EnvironmentID
	case t.ProjectID != "":
		up.Kind, up.ID, up.EnvironmentClass = "project", t.ProjectID, ""
	case t.TeamID != "":
		up.Kind, up.ID, up.EnvironmentClass = "team", t.TeamID, ""
	default:
		return Organisation
	}
	return up
}

// knows tells whether p may know of t. What every installation has is no
// secret: the organisation, its policies, its audit log.
func (s *Set) knows(p principal.Principal, t Target) bool {
	kind, ok := kinds[t.Kind]
	if !ok {
		return false
	}
	if kind.view == "" {
		if above := (Target{TeamID: t.TeamID, ProjectID: t.ProjectID, EnvironmentID: t.EnvironmentID}); t.Kind != "organisation" && knownBy(above).Kind != "organisation" {
			return s.knows(p, knownBy(above))
		}
		return true
	}
	if !applies(actionTable[kind.view], kind) {
		t.Kind = actionTable[kind.view].kind // a session is known to who may view its user
		t.ID = t.OwnerID
	}
	v, err := s.ask(p, kind.view, t)
	return err == nil && v.Allowed
}

// rolesThatMay lists the roles that would allow it, by trying each.
func (s *Set) rolesThatMay(kind principal.Kind, a Action, t Target) []string {
	var out []string
	try := func(role principal.Role, p principal.Principal) {
		p.Kind, p.ID = kind, "\x00somebody"
		if v, err := s.ask(p, a, t); err == nil && v.Allowed && !slices.Contains(out, string(role)) {
			out = append(out, string(role))
		}
	}
	if team := t.normal().TeamID; team != "" {
		for _, role := range slices.Backward(teamRoles) {
			try(role, principal.Principal{Memberships: []principal.Membership{{TeamID: team, Role: role}}})
		}
	}
	for _, role := range slices.Backward(orgRoles) {
		try(role, principal.Principal{OrgRoles: []principal.Role{role}})
	}
	return out
}

func describe(a Action, t Target) string {
	info := actionTable[a]
	switch {
	case t.Kind == "access" || t.Kind == "audit" || t.Kind == "system": // there is one
		return info.verb + " the " + nounOf(t.Kind)
	case t.Name == "" || t.Kind == "organisation":
		noun := nounOf(info.kind)
		if strings.ContainsRune("aeio", rune(noun[0])) { // a user, but an environment
			return info.verb + " an " + noun
		}
		return info.verb + " a " + noun
	}
	return info.verb + " the " + nounOf(info.kind) + " " + t.Name
}

func nounOf(kind string) string {
	if k, ok := kinds[kind]; ok {
		return k.noun
	}
	return kind
}

func inClass(t Target) string {
	if t.EnvironmentClass == "" {
		return ""
	}
	return " in " + t.EnvironmentClass
}
