package access_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb/sqldbtest"
)

type people map[string]principal.Principal

func (p people) Lookup(_ context.Context, ref string) (principal.Principal, error) {
	if who, ok := p[ref]; ok {
		return who, nil
	}
	return principal.Principal{}, fault.New(fault.NotFound, "not_found", "no such user")
}

func TestWhy(t *testing.T) {
	t.Parallel()
	dev := member("usr_d", "team_a", principal.Developer)
	s, _ := newService(t, sqldbtest.SQLite(t), access.Options{Directory: small(), Principals: people{"dev": dev}})
	reveal := func(env string) access.WhyRequest {
		return access.WhyRequest{Action: access.ResourceReveal, Target: access.Target{ProjectID: "prj_a", EnvironmentID: env, Name: "orders"}}
	}

	e, err := s.Why(as(t, dev), reveal("prj_a-0"))
	if err != nil || !e.Allowed || len(e.Deciding) != 1 || e.Deciding[0].ID != "developer-outside-production" || !strings.HasPrefix(e.Deciding[0].Text, "@id(") {
		t.Fatalf("%+v %v", e, err)
	}
	if e.Target.EnvironmentClass != "development" || e.Target.TeamID != "team_a" || !slices.Equal(e.Roles, []string{"developer"}) {
		t.Errorf("looked up: %+v %v", e.Target, e.Roles)
	}

	e, err = s.Why(as(t, dev), reveal("prj_a-2"))
	if err != nil || e.Allowed || len(e.Deciding) != 0 {
		t.Fatalf("%+v %v", e, err)
	}
	if !slices.Equal(e.WouldDo, []string{"team-owner", "platform-admin"}) {
		t.Errorf("roles that would: %v", e.WouldDo)
	}
	near := e.NearMiss[0]
	if near.ID != "developer-outside-production" && near.ID != "team-owner-owns" && near.ID != "platform-admin" {
		t.Errorf("near: %+v", near)
	}
	i := slices.IndexFunc(e.NearMiss, func(n access.NearMiss) bool { return n.ID == "developer-outside-production" })
	if i < 0 || len(e.NearMiss[i].Missing) != 1 || !strings.Contains(e.NearMiss[i].Missing[0], "resource.class") {
		t.Errorf("near: %+v", e.NearMiss)
	}

	ask := reveal("prj_a-2")
	ask.Principal = "dev"
	if _, err := s.Why(as(t, member("usr_o", "team_a", principal.TeamOwner)), ask); !fault.Is(err, fault.Denied) {
		t.Errorf("asking about others needs access:view: %v", err)
	}
	if e, err = s.Why(as(t, orgWide("usr_a", principal.Auditor)), ask); err != nil || e.Allowed || e.Principal.ID != "usr_d" {
		t.Errorf("%+v %v", e, err)
	}
	ask.Principal = "nobody-of-that-name"
	if _, err := s.Why(as(t, admin), ask); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

func TestWhyTellsStrangersNothing(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, sqldbtest.SQLite(t), access.Options{Directory: small()})
	stranger := as(t, member("usr_x", "team_z", principal.TeamOwner))
	for _, target := range []access.Target{
		{Kind: "project", ProjectID: "prj_a"}, {Kind: "resource", ProjectID: "prj_a", EnvironmentID: "none"},
		{Kind: "environment", EnvironmentID: "prj_a-0"}, {Kind: "resource", TeamID: "team_a"},
	} {
		a := access.Action(target.Kind + ":view")
		there, gone := target, target
		rename := func(s string) string {
			if s == "" {
				return ""
			}
			return "gone-" + s
		}
		gone.ProjectID, gone.EnvironmentID, gone.TeamID = rename(gone.ProjectID), rename(gone.EnvironmentID), rename(gone.TeamID)
		_, e1 := s.Why(stranger, access.WhyRequest{Action: a, Target: there})
		_, e2 := s.Why(stranger, access.WhyRequest{Action: a, Target: gone})
		f1, f2 := fault.From(e1), fault.From(e2)
		if e1 == nil || f1.Kind != fault.NotFound || f1.Message != f2.Message || f1.Field != f2.Field || f1.Hint != f2.Hint {
			t.Errorf("%+v: %v, %v", target, e1, e2)
		}
	}
	if _, err := s.Why(t.Context(), access.WhyRequest{Action: access.TeamView}); !fault.Is(err, fault.Unauthenticated) {
		t.Error(err)
	}
	if _, err := s.Why(stranger, access.WhyRequest{Action: "team:explode"}); codeOf(err) != "unknown_action" {
		t.Error(err)
	}
	if _, err := s.Why(stranger, access.WhyRequest{Action: access.TeamView, Target: access.Target{Kind: "resource"}}); codeOf(err) != "unknown_target" {
		t.Error(err)
	}
}

func TestWhyNamesForbidsAndScopes(t *testing.T) {
	t.Parallel()
	s, _ := newService(t, sqldbtest.SQLite(t), access.Options{Directory: small()})
	put(t, s, admin, access.DefaultPolicies()+`
// Nobody touches production in December.
@id("december") forbid (principal, action == Action::"resource:update", resource)
when { resource has class && resource.class == "production" }; // a remark; with a semicolon`)
	r := access.WhyRequest{Action: access.ResourceUpdate, Target: access.Target{Kind: "resource", EnvironmentID: "prj_a-2"}}
	e, err := s.Why(as(t, admin), r)
	if err != nil || e.Allowed || len(e.Deciding) != 1 || e.Deciding[0].ID != "december" || e.Deciding[0].Effect != "forbid" ||
		!strings.HasSuffix(e.Deciding[0].Text, `"production" };`) || len(e.WouldDo) != 0 {
		t.Errorf("%+v %v", e, err)
	}
	token := admin
	token.TokenID, token.Scopes = "tok_1", []string{"resource:view"}
	e, err = s.Why(as(t, token), access.WhyRequest{Action: access.ResourceReveal, Target: r.Target})
	if err != nil || e.Allowed || !strings.Contains(e.Summary, "scopes") {
		t.Errorf("%+v %v", e, err)
	}
}
