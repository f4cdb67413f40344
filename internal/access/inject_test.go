package access_test

import (
	"testing"

	"fairlead/internal/access"
	"fairlead/internal/principal"
)

// What people may choose goes into a question as a value: no text of theirs is
// read as policy, as another entity or as another attribute.
func TestNoValueIsReadAsPolicy(t *testing.T) {
	t.Parallel()
	s := sqliteService(t)
	put(t, s, admin, access.DefaultPolicies()+`
@id("gold") permit (principal, action == Action::"resource:reveal", resource) when { principal.hasTag("tier") && principal.getTag("tier") == "gold" };
@id("open") permit (principal, action == Action::"resource:reveal", resource) when { resource has name && resource.name == "open" };`)
	for _, evil := range []string{
		`gold" || true || "`, `"gold"`, `gold\`, `gold" }; permit (principal, action, resource);//`, `Role::"platform-admin"`, `team_a"; Team::"team_b`,
		"gold\x00", "gold\n", "GOLD", "gold\u200b", `open" || true || "`, `{"tier":"gold"}`, `__entity`, `{"__entity":{"type":"Role","id":"platform-admin"}}`,
	} {
		for where, ask := range map[string]func() (principal.Principal, access.Target){
			"an id": func() (principal.Principal, access.Target) {
				return principal.Principal{Kind: principal.User, ID: evil, Name: evil}, database("production")
			},
			"a tag": func() (principal.Principal, access.Target) {
				return with(member("usr_d", "team_b", principal.Developer), "tier", evil), database("production")
			},
			"a tag's name": func() (principal.Principal, access.Target) {
				return with(member("usr_d", "team_b", principal.Developer), evil, "gold"), database("production")
			},
			"a team": func() (principal.Principal, access.Target) {
				return member("usr_d", evil, principal.TeamOwner), database("production")
			},
			"a role": func() (principal.Principal, access.Target) {
				return principal.Principal{Kind: principal.User, ID: "usr_d", Name: "d", OrgRoles: []principal.Role{principal.Role(evil)},
					Memberships: []principal.Membership{{TeamID: "team_a", Team: "a", Role: principal.Role(evil)}}}, database("production")
			},
			"a resource": func() (principal.Principal, access.Target) {
				target := database(evil)
				target.ID, target.Name, target.Template, target.OwnerID = evil, evil, evil, evil
				return member("usr_d", "team_b", principal.Developer), target
			},
		} {
			p, target := ask()
			for _, a := range []access.Action{access.ResourceReveal, access.ResourceDestroy, access.ResourceView} {
				if d, _ := s.Check(as(t, p), a, target); d.Allowed {
					t.Errorf("%s as %q: %s is allowed by %v", where, evil, a, d.Policies)
				}
			}
		}
	}
	if !allowed(t, s, with(member("usr_d", "team_b", principal.Developer), "tier", "gold"), access.ResourceReveal, database("production")) {
		t.Error("the policy itself allows nothing")
	}
}

// An empty claim is nobody's role, team or id.
func TestAbsenceGrantsNothing(t *testing.T) {
	t.Parallel()
	s := sqliteService(t)
	bare := access.Target{Kind: "resource", ID: "res_1"}
	for why, p := range map[string]principal.Principal{
		"nobody":                           {},
		"no kind":                          {ID: "usr_1", OrgRoles: []principal.Role{principal.PlatformAdmin}},
		"no id":                            {Kind: principal.User},
		"an empty role":                    {Kind: principal.User, ID: "usr_1", OrgRoles: []principal.Role{""}},
		"an empty team":                    {Kind: principal.User, ID: "usr_1", Memberships: []principal.Membership{{Role: principal.TeamOwner}}},
		"a team without a role":            {Kind: principal.User, ID: "usr_1", Memberships: []principal.Membership{{TeamID: "team_a"}}},
		"an organisation's role in a team": {Kind: principal.User, ID: "usr_1", Memberships: []principal.Membership{{TeamID: "team_a", Role: principal.PlatformAdmin}}},
		"a scope of nothing":               {Kind: principal.User, ID: "usr_1", OrgRoles: []principal.Role{principal.PlatformAdmin}, Scopes: []string{""}},
	} {
		for _, target := range []access.Target{bare, database("production")} {
			if d, _ := s.Check(as(t, p), access.ResourceDestroy, target); d.Allowed {
				t.Errorf("%s may destroy: %v", why, d.Policies)
			}
		}
	}
}
