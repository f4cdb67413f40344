package access_test

import (
	"errors"
	"strings"
	"testing"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func TestWhatARefusalGivesAway(t *testing.T) {
	t.Parallel()
	s := sqliteService(t)
	dev := member("usr_d", "team_a", principal.Developer)
	narrow := dev
	narrow.TokenID, narrow.Scopes = "tok_1", []string{"resource:view", "*:create"}
	for _, row := range []struct {
		reason string
		who    principal.Principal
		action access.Action
		on     access.Target
		kind   fault.Kind
		code   string
	}{
		{"nobody is asked to sign in", principal.Nobody, access.ResourceView, database("production"), fault.Unauthenticated, "unauthenticated"},
		{"a stranger learns nothing", member("usr_x", "team_b", principal.TeamOwner), access.ResourceDestroy, database("production"), fault.NotFound, "not_found"},
		{"a member learns what they lack", dev, access.ResourceDestroy, database("production"), fault.Denied, "access_denied"},
		{"a stranger learns not even that the environment exists", member("usr_x", "team_b", principal.TeamOwner), access.ResourceCreate,
			access.Target{Kind: "resource", TeamID: "team_a", ProjectID: "prj_1", EnvironmentID: "env_1"}, fault.NotFound, "not_found"},
		{"what is still to be made is no secret to those who know the place", member("usr_v", "team_a", principal.Viewer), access.ResourceCreate,
			access.Target{Kind: "resource", Name: "new", TeamID: "team_a", ProjectID: "prj_1", EnvironmentID: "env_1"}, fault.Denied, "access_denied"},
		{"a team still to be made is nobody's secret", dev, access.TeamCreate, access.Target{Kind: "team", Name: "x"}, fault.Denied, "access_denied"},
		{"everybody knows that there are policies", dev, access.AccessView, access.Target{Kind: "access"}, fault.Denied, "access_denied"},
		{"but not which teams have an audit log", dev, access.AuditView, access.Target{Kind: "audit", TeamID: "team_b"}, fault.NotFound, "not_found"},
		{"a session is as secret as its user", dev, access.SessionRevoke, access.Target{Kind: "session", ID: "ses_1", OwnerID: "usr_o"}, fault.NotFound, "not_found"},
		{"a token's scope is told apart from a missing right", narrow, access.ResourceUpdate, database("development"), fault.Denied, "token_scope"},
		{"a scope never widens", narrow, access.TeamCreate, access.Target{Kind: "team", Name: "x"}, fault.Denied, "access_denied"},
	} {
		_, err := s.Check(as(t, row.who), row.action, row.on)
		if got := fault.From(err); err == nil || got.Kind != row.kind || got.Code != row.code {
			t.Errorf("%s: got %v", row.reason, err)
		}
	}
	_, err := s.Check(as(t, dev), access.ResourceReveal, database("production"))
	if f := fault.From(err); !strings.Contains(f.Hint, "team-owner") || !strings.Contains(f.Message, "orders in production") {
		t.Errorf("the hint names who may: %q; %q", f.Message, f.Hint)
	}
}

func TestScopesOfATokenNarrow(t *testing.T) {
	t.Parallel()
	s := sqliteService(t)
	for _, row := range []struct {
		scopes []string
		want   map[access.Action]bool
	}{
		{nil, map[access.Action]bool{access.ResourceView: true, access.ResourceDestroy: true}},
		{[]string{"resource:view"}, map[access.Action]bool{access.ResourceView: true, access.ResourceDestroy: false}},
		{[]string{"resource:*"}, map[access.Action]bool{access.ResourceDestroy: true, access.ProjectView: false}},
		{[]string{"*:view"}, map[access.Action]bool{access.ProjectView: true, access.ResourceDestroy: false}},
		{[]string{"*:*"}, map[access.Action]bool{access.ResourceDestroy: true}},
		{[]string{""}, map[access.Action]bool{access.ResourceView: false}},
		{[]string{"*"}, map[access.Action]bool{access.ResourceView: false}},
		{[]string{"resource"}, map[access.Action]bool{access.ResourceView: false}},
		{[]string{"RESOURCE:VIEW", "resource:view "}, map[access.Action]bool{access.ResourceView: false}},
		{[]string{":view", "resource:"}, map[access.Action]bool{access.ResourceView: false}},
	} {
		p := member("usr_o", "team_a", principal.TeamOwner)
		p.TokenID, p.Scopes = "tok_1", row.scopes
		for a, want := range row.want {
			target := database("production")
			if a == access.ProjectView {
				target = access.Target{Kind: "project", ID: "prj_1", TeamID: "team_a"}
			}
			if got := allowed(t, s, p, a, target); got != want {
				t.Errorf("scopes %q: %s is allowed: %t", row.scopes, a, got)
			}
		}
	}
	if err := access.CheckScopes([]string{"resource:*", "*:view", "*:*"}); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "*", "resource", "resources:view", "resource:see", "resource:view:x"} {
		if err := access.CheckScopes([]string{bad}); codeOf(err) != "unknown_scope" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAQuestionThatMakesNoSenseIsADefect(t *testing.T) {
	t.Parallel()
	s := sqliteService(t)
	for _, q := range []struct {
		a access.Action
		t access.Target
	}{{"resource:explode", database("")}, {access.ResourceView, access.Target{Kind: "galaxy"}}, {access.TeamGrant, access.Target{Kind: "resource"}}} {
		if d, err := s.Check(as(t, admin), q.a, q.t); d.Allowed || !fault.Is(err, fault.Internal) {
			t.Errorf("%s on %s: %+v %v", q.a, q.t.Kind, d, err)
		}
	}
}

func TestFirstStartStoresTheDefaultOnce(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s, rec := newService(t, db, access.Options{})
		_, again := newService(t, db, access.Options{})
		v, err := s.Current(as(t, admin))
		if err != nil || v.Version != 1 || v.Source != access.DefaultPolicies() {
			t.Fatalf("version %d, %v", v.Version, err)
		}
		if r := rec.all(); len(r) != 1 || r[0].action != access.AccessUpdate || r[0].by != principal.System.ID {
			t.Errorf("audited: %+v", r)
		}
		if len(again.all()) != 0 {
			t.Error("the second start stored policies again")
		}
	})
}

func TestPutVersionsAndRollsBack(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s, rec := newService(t, db, access.Options{})
		other, _ := newService(t, db, access.Options{})
		ctx := as(t, admin)
		freeze := access.DefaultPolicies() + `
@id("freeze") forbid (principal, action == Action::"resource:create", resource) when { resource has class && resource.class == "production" };`
		v, err := s.Put(ctx, access.PutRequest{Source: freeze, Note: "the week before the launch", IfVersion: 1})
		if err != nil || v.Version != 2 {
			t.Fatal(v, err)
		}
		if r := rec.all(); len(r) != 2 || r[1].by != admin.ID || r[1].details["version"] != int64(2) {
			t.Fatalf("audited: %+v", r)
		}
		if err := other.Reload(ctx); err != nil {
			t.Fatal(err)
		}
		for _, replica := range []*access.Service{s, other} {
			if allowed(t, replica, admin, access.ResourceCreate, database("production")) {
				t.Error("a forbid wins over every permit")
			}
			d, _ := replica.Check(ctx, access.ResourceCreate, database("production"))
			if d.Version != 2 || len(d.Policies) != 1 || d.Policies[0] != "freeze" {
				t.Errorf("decision: %+v", d)
			}
		}
		changes, err := s.Diff(ctx, 1, 2)
		if err != nil || len(changes) != 1 || changes[0].Kind != "added" || !strings.HasPrefix(changes[0].After, `@id("freeze")`) {
			t.Fatalf("diff: %+v %v", changes, err)
		}
		if _, err := s.Put(ctx, access.PutRequest{Source: freeze + " ", IfVersion: 1}); codeOf(err) != "stale_version" {
			t.Errorf("an old If-Match: %v", err)
		}
		if same, err := s.Put(ctx, access.PutRequest{Source: freeze}); err != nil || same.Version != 2 {
			t.Errorf("the same text again: %d %v", same.Version, err)
		}
		// The freeze binds its author too, so only somebody it does not bind
		// lifts it: here Fairlead itself.
		if _, err := s.Put(ctx, access.PutRequest{Source: access.DefaultPolicies()}); codeOf(err) != "policy_escalation" {
			t.Errorf("lifting a forbid from oneself: %v", err)
		}
		v, err = s.Put(as(t, principal.System), access.PutRequest{Source: access.DefaultPolicies(), Note: "roll back"})
		if err != nil || v.Version != 3 {
			t.Fatal(v, err)
		}
		list, next, err := s.Versions(ctx, sqldb.Page{Limit: 2})
		if err != nil || len(list) != 2 || list[0].Version != 3 || list[0].Source != "" || next != "2" {
			t.Fatalf("versions: %+v %q %v", list, next, err)
		}
		rest, next, err := s.Versions(ctx, sqldb.Page{Limit: 2, After: next})
		if err != nil || len(rest) != 1 || rest[0].Version != 1 || next != "" {
			t.Fatalf("versions: %+v %q %v", rest, next, err)
		}
		if _, err := s.ByVersion(ctx, 99); codeOf(err) != "policy_version_not_found" {
			t.Error(err)
		}
	})
}

func TestReplicasHearOfNewPolicies(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	s, _ := newService(t, db, access.Options{})
	if l := s.Loop(); l.Wake != "access" || l.Every <= 0 || l.Do == nil {
		t.Fatalf("%+v", l)
	}
	wake, stop := db.Subscribe("access")
	defer stop()
	put(t, s, admin, access.DefaultPolicies()+"\n// a comment")
	select {
	case <-wake:
	case <-t.Context().Done():
		t.Fatal("nobody was woken")
	}
}

func TestPutRefuses(t *testing.T) {
	t.Parallel()
	def := access.DefaultPolicies()
	editor := member("usr_e", "team_a", principal.Developer)
	delegated := def + `
@id("editors") permit (principal == User::"usr_e", action in [Action::"access:update", Action::"access:view"], resource);`
	for _, row := range []struct {
		reason string
		author principal.Principal
		source string
		code   string
		field  string
	}{
		{"a developer", editor, def + " ", "access_denied", ""},
		{"an auditor", orgWide("usr_a", principal.Auditor), def + " ", "access_denied", ""},
		{"a robot, even an admin", principal.Principal{Kind: principal.Robot, ID: "rbt_1", OrgRoles: []principal.Role{principal.PlatformAdmin}}, def + " ", "access_denied", ""},
		{"nonsense", admin, "\n  permit oops;", "invalid_policy", "/source/2/14"},
		{"no id", admin, def + "permit (principal, action == Action::\"team:view\", resource);", "invalid_policy", ""},
		{"an id twice", admin, def + def, "invalid_policy", ""},
		{"an action that is none", admin, def + `@id("x") permit (principal, action == Action::"team:explode", resource);`, "invalid_policy", ""},
		{"an attribute without has", admin, def + `@id("x") permit (principal, action == Action::"team:view", resource) when { resource.class == "production" };`, "invalid_policy", ""},
		{"a type error", admin, def + `@id("x") permit (principal, action == Action::"team:view", resource) when { principal.id == 1 };`, "invalid_policy", ""},
		{"nesting without end", admin, def + `@id("x") permit (principal, action, resource) when { ` + strings.Repeat("(", 100000), "invalid_policy", ""},
		{"minus without end", admin, def + `@id("x") permit (principal, action, resource) when { ` + strings.Repeat("- ", 100000) + "1 == 1 };", "invalid_policy", ""},
		{"a chain without end", admin, def + `@id("x") permit (principal, action, resource) when { ` + strings.Repeat("true && ", 100000) + "true };", "invalid_policy", ""},
		{"not UTF-8", admin, def + "// \xff", "invalid_utf8", "/source"},
		{"nothing at all", admin, "", "policy_lockout", "/source"},
		{"no way back", admin, def + `@id("x") forbid (principal, action == Action::"access:update", resource);`, "policy_lockout", "/source"},
		{"no way back for the author", admin, def + `@id("x") forbid (principal == User::"usr_admin", action == Action::"access:update", resource);`, "policy_lockout", "/source"},
		{"a delegate helps themselves", editor, delegated + `@id("x") permit (principal == User::"usr_e", action, resource);`, "policy_escalation", "/source"},
		{"in one class", editor, delegated + `@id("x") permit (principal in Role::"developer", action == Action::"resource:reveal", resource) when { resource has class && resource.class == "production" };`, "policy_escalation", "/source"},
		{"in one named project", editor, delegated + `@id("x") permit (principal, action == Action::"resource:reveal", resource in Project::"prj_9");`, "policy_escalation", "/source"},
		{"hidden behind a tag", editor, delegated + `@id("x") permit (principal, action == Action::"resource:reveal", resource) when { resource.hasTag("a") && resource.getTag("a") == "b" };`, "policy_escalation", "/source"},
		{"hidden behind a template", editor, delegated + `@id("x") permit (principal, action == Action::"resource:reveal", resource) when { resource has template && resource.template like "po*" };`, "policy_escalation", "/source"},
		{"for a friend", editor, delegated + `@id("x") permit (principal == User::"usr_friend", action == Action::"system:manage", resource);`, "policy_escalation", "/source"},
		{"by dropping a forbid", editor, strings.Replace(delegated, `@id("template-audience")`, `@id("template-audience-2")`, 1), "policy_escalation", "/source"},
	} {
		db := sqldbtest.SQLite(t)
		s, rec := newService(t, db, access.Options{})
		if row.code == "policy_escalation" {
			put(t, s, admin, delegated)
		}
		before := len(rec.all())
		_, err := s.Put(as(t, row.author), access.PutRequest{Source: row.source})
		f := fault.From(err)
		if err == nil || f.Code != row.code {
			t.Errorf("%s: %v %v", row.reason, err, f.Violations)
			continue
		}
		where := f.Field
		if len(f.Violations) > 0 {
			where = f.Violations[0].Field
		}
		if row.field != "" && where != row.field {
			t.Errorf("%s: at %q", row.reason, where)
		}
		if len(rec.all()) != before {
			t.Errorf("%s: refused, yet audited as done", row.reason)
		}
	}
}

func TestADelegateMayDoWhatTakesOrKeeps(t *testing.T) {
	t.Parallel()
	s := sqliteService(t)
	editor := member("usr_e", "team_a", principal.TeamOwner)
	delegated := access.DefaultPolicies() + `
@id("editors") permit (principal == User::"usr_e", action in [Action::"access:update", Action::"access:view"], resource);`
	put(t, s, admin, delegated)
	put(t, s, editor, delegated+`
@id("freeze") forbid (principal, action == Action::"resource:destroy", resource) when { resource has class && resource.class == "production" };`)
	if allowed(t, s, editor, access.ResourceDestroy, database("production")) {
		t.Error("the freeze is not in force")
	}
}

func TestAdminsEditFreely(t *testing.T) {
	t.Parallel()
	s := sqliteService(t)
	put(t, s, admin, access.DefaultPolicies()+`
@id("oncall") permit (principal in Role::"developer@team_a", action == Action::"resource:reveal", resource in Team::"team_a")
when { principal.hasTag("oncall") && resource has template && resource.template == "postgres" };`)
	dev := member("usr_d", "team_a", principal.Developer)
	if allowed(t, s, dev, access.ResourceReveal, database("production")) {
		t.Error("without the attribute")
	}
	if !allowed(t, s, with(dev, "oncall", ""), access.ResourceReveal, database("production")) {
		t.Error("with the attribute")
	}
	put(t, s, admin, access.DefaultPolicies())
	if allowed(t, s, with(dev, "oncall", ""), access.ResourceReveal, database("production")) {
		t.Error("rolled back")
	}
}

func TestReadingPoliciesNeedsARight(t *testing.T) {
	t.Parallel()
	s := sqliteService(t)
	ctx := as(t, member("usr_d", "team_a", principal.TeamOwner))
	_, e1 := s.Current(ctx)
	_, _, e2 := s.Versions(ctx, sqldb.Page{})
	_, e3 := s.Diff(ctx, 1, 1)
	_, e4 := s.Verify(ctx, access.DefaultPolicies())
	_, e5 := s.ByVersion(ctx, 1)
	for i, err := range []error{e1, e2, e3, e4, e5} {
		if !fault.Is(err, fault.Denied) {
			t.Errorf("%d: %v", i, err)
		}
	}
	if _, err := s.Current(t.Context()); !errors.Is(err, fault.New(fault.Unauthenticated, "unauthenticated", "")) {
		t.Error(err)
	}
	v, err := s.Verify(as(t, admin), access.DefaultPolicies()+`
@id("no-x") forbid (principal, action == Action::"resource:view", resource) when { resource has template && resource.template == "x" };`)
	if err != nil || len(v.Changes) != 1 || len(v.Warnings) != 1 || v.Warnings[0].Policy != "no-x" {
		t.Errorf("%+v %v", v, err)
	}
}
