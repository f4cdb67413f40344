package resource_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"fairlead/internal/access"
	"fairlead/internal/access/accesstest"
	"fairlead/internal/fault"
	"fairlead/internal/project"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// meanwhile lets something happen once, between access having been asked for a
// new resource and the resource being written.
type meanwhile struct {
	accesstest.AllowAll
	do    func()
	asked []access.Target
}

func (m *meanwhile) Check(ctx context.Context, a access.Action, t access.Target) (access.Decision, error) {
	if a == access.ResourceCreate {
		m.asked = append(m.asked, t)
		if m.do != nil {
			do := m.do
			m.do = nil
			do()
		}
	}
	return m.AllowAll.Check(ctx, a, t)
}

// noProduction refuses new resources in production.
type noProduction struct{ *meanwhile }

func (n *noProduction) Check(ctx context.Context, a access.Action, t access.Target) (access.Decision, error) {
	d, err := n.meanwhile.Check(ctx, a, t)
	if a == access.ResourceCreate && t.EnvironmentClass == "production" {
		return access.Decision{}, fault.New(fault.Denied, "not_in_production", "not here")
	}
	return d, err
}

func ptr[T any](v T) *T { return &v }

// ways are all that make a new resource.
var ways = map[string]func(ctx context.Context, svc *resource.Service, project string) (resource.Resource, error){
	"create": func(ctx context.Context, svc *resource.Service, project string) (resource.Resource, error) {
		return svc.Create(ctx, project, "dev", resource.Wanted{Name: "orders", Template: "store"})
	},
	"put": func(ctx context.Context, svc *resource.Service, project string) (resource.Resource, error) {
		a, err := svc.Put(ctx, project, "dev", resource.Wanted{Name: "orders", Template: "store"})
		return a.Resource, err
	},
	"apply": func(ctx context.Context, svc *resource.Service, project string) (resource.Resource, error) {
		a, err := svc.Apply(ctx, project, "dev", []resource.Wanted{{Name: "orders", Template: "store"}, {Name: "other", Template: "store"}})
		if err != nil {
			return resource.Resource{}, err
		}
		return a[0].Resource, nil
	},
}

func TestWhatChangedBeforeARequestWasWrittenIsDecidedAnew(t *testing.T) {
	for way, request := range ways {
		t.Run(way, func(t *testing.T) {
			each(t, func(t *testing.T, b *resourcetest.Bench) {
				projects := project.New(project.Options{DB: b.DB, Access: accesstest.AllowAll{}})
				must := func(_ any, err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
				}
				m := &meanwhile{do: func() { must(projects.Update(b.Ctx, "shop", project.Change{Team: ptr("beta")}, 0)) }}
				r, err := request(b.Ctx, b.Service(b.DB, m), "shop")
				if err != nil || r.TeamID != "team_beta" {
					t.Fatalf("moved: %+v %v", r, err)
				}
				if last := m.asked[len(m.asked)-1]; m.asked[0].TeamID != "team_alpha" || last.TeamID != "team_beta" {
					t.Errorf("access was not asked again: %+v", m.asked)
				}

				must(projects.Create(b.Ctx, project.NewProject{Team: "alpha", Name: "fresh"}))
				must(projects.CreateEnvironment(b.Ctx, "fresh", project.NewEnvironment{Name: "dev", Class: project.Development}))
				m = &meanwhile{do: func() {
					must(projects.UpdateEnvironment(b.Ctx, "fresh", "dev", project.EnvironmentChange{Class: ptr(project.Production)}, 0))
				}}
				refused := b.Service(b.DB, &noProduction{m})
				if _, err := request(b.Ctx, refused, "fresh"); code(err) != "not_in_production" {
					t.Errorf("of another class now: %v", err)
				}

				m = &meanwhile{do: func() { must(nil, projects.DeleteEnvironment(b.Ctx, "fresh", "dev", 0)) }}
				if _, err := request(b.Ctx, b.Service(b.DB, m), "fresh"); code(err) != "environment_not_found" {
					t.Errorf("deleted: %v", err)
				}
				var n int
				if err := b.DB.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM resources r JOIN projects p ON p.id = r.project_id WHERE p.name = 'fresh'`).Scan(&n); err != nil || n != 0 {
					t.Errorf("%d resources where there must be none: %v", n, err)
				}
			})
		})
	}
}

// TestAMoveAndARequestAtOnce races them: either the project moves and the
// resource is the new team's, or the resource keeps the project where it is.
func TestAMoveAndARequestAtOnce(t *testing.T) {
	t.Parallel()
	url := sqldbtest.PostgresURL(t)
	b := resourcetest.New(t, sqldbtest.Open(t, sqldb.Options{URL: url}))
	second := sqldbtest.Open(t, sqldb.Options{URL: url})
	svc, projects := b.Service(b.DB, accesstest.AllowAll{}), project.New(project.Options{DB: second, Access: accesstest.AllowAll{}})
	moved := 0
	for round := range 20 {
		name := fmt.Sprintf("p%d", round)
		if _, err := projects.Create(b.Ctx, project.NewProject{Team: "alpha", Name: name}); err != nil {
			t.Fatal(err)
		}
		if _, err := projects.CreateEnvironment(b.Ctx, name, project.NewEnvironment{Name: "dev", Class: project.Development}); err != nil {
			t.Fatal(err)
		}
		var r resource.Resource
		var makeErr, moveErr error
		var both sync.WaitGroup
		both.Go(func() { r, makeErr = ways["create"](b.Ctx, svc, name) })
		both.Go(func() { _, moveErr = projects.Update(b.Ctx, name, project.Change{Team: ptr("beta")}, 0) })
		both.Wait()
		if makeErr != nil || moveErr != nil && code(moveErr) != "project_in_use" {
			t.Fatalf("%v, %v", makeErr, moveErr)
		}
		if moveErr == nil {
			moved++
		}
		p, err := projects.Get(b.Ctx, name)
		if err != nil || p.TeamID != r.TeamID || (moveErr == nil) != (p.Team == "beta") {
			t.Fatalf("the project is %s's, its resource %s's (%v; %v)", p.TeamID, r.TeamID, moveErr, err)
		}
	}
	t.Logf("%d of 20 moved", moved)
}
