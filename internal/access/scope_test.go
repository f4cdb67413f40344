package access_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"fairlead/internal/access"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// directory is a fixed access.Directory.
type directory struct {
	mu                            sync.Mutex
	teams, projects, environments []access.Target
	reads                         atomic.Int64
}

func (d *directory) get(list *[]access.Target) ([]access.Target, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads.Add(1)
	return slices.Clone(*list), nil
}

func (d *directory) Teams(context.Context) ([]access.Target, error)    { return d.get(&d.teams) }
func (d *directory) Projects(context.Context) ([]access.Target, error) { return d.get(&d.projects) }
func (d *directory) Environments(context.Context) ([]access.Target, error) {
	return d.get(&d.environments)
}

func (d *directory) add(team, project string, environments int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.ContainsFunc(d.teams, func(t access.Target) bool { return t.ID == team }) {
		d.teams = append(d.teams, access.Target{Kind: "team", ID: team, Name: team, TeamID: team})
	}
	d.projects = append(d.projects, access.Target{Kind: "project", ID: project, Name: project, TeamID: team, ProjectID: project})
	for i := range environments {
		id := fmt.Sprintf("%s-%d", project, i)
		d.environments = append(d.environments, access.Target{
			Kind: "environment", ID: id, Name: id, TeamID: team, ProjectID: project, EnvironmentID: id,
			EnvironmentClass: []string{"development", "staging", "production"}[i%3],
		})
	}
}

func small() *directory {
	d := &directory{}
	d.add("team_a", "prj_a", 3)
	d.add("team_b", "prj_b", 3)
	return d
}

func TestListsShowWhatOneMaySee(t *testing.T) {
	t.Parallel()
	all := access.Scope{All: true}
	inA := access.Scope{TeamIDs: []string{"team_a"}, ProjectIDs: []string{"prj_a"}, EnvironmentIDs: []string{"prj_a-0", "prj_a-1", "prj_a-2"}}
	viewer := member("usr_v", "team_a", principal.Viewer)
	narrow := viewer
	narrow.TokenID, narrow.Scopes = "tok_1", []string{"project:view"}
	for _, row := range []struct {
		reason string
		policy string
		who    principal.Principal
		action access.Action
		want   access.Scope
	}{
		{"an admin sees all", "", admin, access.ResourceView, all},
		{"so does an auditor", "", orgWide("a", principal.Auditor), access.EnvironmentView, all},
		{"so does Fairlead", "", principal.System, access.ResourceView, all},
		{"nobody sees nothing", "", principal.Nobody, access.ResourceView, access.Scope{}},
		{"a stranger sees nothing", "", member("x", "team_z", principal.TeamOwner), access.ResourceView, access.Scope{}},
		{"a viewer sees the team's", "", viewer, access.ResourceView, inA},
		{"and the environments themselves", "", viewer, access.EnvironmentView, inA},
		{"and projects", "", viewer, access.ProjectView, access.Scope{TeamIDs: inA.TeamIDs, ProjectIDs: inA.ProjectIDs}},
		{"templates are everybody's", "", viewer, access.TemplateView, all},
		{"a token's scopes narrow lists too", "", narrow, access.ResourceView, access.Scope{}},
		{"and let through what they name", "", narrow, access.ProjectView, access.Scope{TeamIDs: inA.TeamIDs, ProjectIDs: inA.ProjectIDs}},
		{"a forbid by class", `@id("x") forbid (principal in Role::"viewer", action == Action::"resource:view", resource) when { resource has class && resource.class == "production" };`,
			viewer, access.ResourceView, access.Scope{EnvironmentIDs: []string{"prj_a-0", "prj_a-1"}}},
		{"a forbid of one environment", `@id("x") forbid (principal, action == Action::"resource:view", resource in Environment::"prj_a-1");`,
			viewer, access.ResourceView, access.Scope{EnvironmentIDs: []string{"prj_a-0", "prj_a-2"}}},
		{"takes the admin's All away", `@id("x") forbid (principal, action == Action::"resource:view", resource in Environment::"prj_a-1");`,
			admin, access.ResourceView, access.Scope{EnvironmentIDs: []string{"prj_a-0", "prj_a-2", "prj_b-0", "prj_b-1", "prj_b-2"}}},
		{"a forbid for others changes nothing", `@id("x") forbid (principal == User::"other", action == Action::"resource:view", resource);`,
			viewer, access.ResourceView, inA},
		{"a permit for one project of another team", `@id("x") permit (principal == User::"usr_v", action, resource in Project::"prj_b");`,
			viewer, access.ResourceView, access.Scope{TeamIDs: []string{"team_a"}, ProjectIDs: []string{"prj_a", "prj_b"},
				EnvironmentIDs: []string{"prj_a-0", "prj_a-1", "prj_a-2", "prj_b-0", "prj_b-1", "prj_b-2"}}},
		{"what a forbid may hide is not listed", `@id("x") forbid (principal, action == Action::"resource:view", resource) when { resource has template && resource.template == "x" };`,
			viewer, access.ResourceView, access.Scope{}},
		{"nor what a permit only may show", `@id("x") permit (principal, action == Action::"resource:view", resource) when { resource has template && resource.template == "x" };`,
			member("x", "team_z", principal.Viewer), access.ResourceView, access.Scope{}},
		{"the thing itself is looked at when it is what is listed", `@id("x") forbid (principal, action == Action::"environment:view", resource) when { resource has name && resource.name == "prj_a-0" };`,
			viewer, access.EnvironmentView, access.Scope{EnvironmentIDs: []string{"prj_a-1", "prj_a-2"}}},
		{"ids as text are told apart", `@id("x") forbid (principal, action == Action::"resource:view", resource) when { resource has environment && resource.environment.id like "*-0" };`,
			viewer, access.ResourceView, access.Scope{EnvironmentIDs: []string{"prj_a-1", "prj_a-2"}}},
	} {
		t.Run(row.reason, func(t *testing.T) {
			t.Parallel()
			s, _ := newService(t, sqldbtest.SQLite(t), access.Options{Directory: small()})
			if row.policy != "" {
				put(t, s, admin, access.DefaultPolicies()+row.policy)
			}
			got, err := s.Scope(as(t, row.who), row.action)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(row.want, got, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAListKnowsWhatWasJustMade(t *testing.T) {
	t.Parallel()
	db, d := sqldbtest.SQLite(t), small()
	s, _ := newService(t, db, access.Options{Directory: d})
	ctx := as(t, member("usr_v", "team_a", principal.Viewer))
	for range 3 {
		if sc, err := s.Scope(ctx, access.ProjectView); err != nil || len(sc.ProjectIDs) != 1 {
			t.Fatal(sc, err)
		}
	}
	if n := d.reads.Load(); n != 3 {
		t.Errorf("the directory was read %d times, not once in three parts", n)
	}
	d.add("team_a", "prj_new", 1)
	if err := db.Write(t.Context(), "test.project", func(tx *sqldb.Tx) error { tx.Notify("directory", ""); return nil }); err != nil {
		t.Fatal(err)
	}
	if sc, err := s.Scope(ctx, access.ProjectView); err != nil || len(sc.ProjectIDs) != 2 {
		t.Fatal(sc, err)
	}
}

func TestAListNeedsAViewAction(t *testing.T) {
	t.Parallel()
	s := sqliteService(t)
	if _, err := s.Scope(as(t, admin), access.ResourceDestroy); err == nil {
		t.Error("resource:destroy is no list")
	}
}

func BenchmarkScope(b *testing.B) {
	d := &directory{}
	for i := range 100 {
		d.add(fmt.Sprint("team_", i), fmt.Sprint("prj_", i), 2000)
	}
	s, _ := newService(b, sqldbtest.SQLite(b), access.Options{Directory: d})
	p := member("usr_v", "team_7", principal.Viewer)
	if _, err := s.Scope(as(b, p), access.ResourceView); err != nil {
		b.Fatal(err)
	}
	b.Run("first question, 200k environments", func(b *testing.B) {
		for i := range b.N {
			p.Name = fmt.Sprint(i) // another caller each time
			if _, err := s.Scope(as(b, p), access.ResourceView); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("again", func(b *testing.B) {
		for range b.N {
			if _, err := s.Scope(as(b, p), access.ResourceView); err != nil {
				b.Fatal(err)
			}
		}
	})
}
