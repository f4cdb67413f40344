package project_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"fairlead/internal/audit/audittest"
	"fairlead/internal/fault"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func each(t *testing.T, f func(t *testing.T, w *identitytest.World)) {
	t.Helper()
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, identitytest.New(t, db)) })
}

func code(t *testing.T, err error, want string) {
	t.Helper()
	if !errors.Is(err, fault.New(fault.Internal, want, "")) {
		t.Errorf("got %v, want %s", err, want)
	}
}

func ptr[T any](v T) *T { return &v }

func TestEveryMethodRefusesStrangersAndRecordsWhatItDoes(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		w.Team("blue")
		e := w.Environment("red", "shop", "dev", project.Development)
		w.Environment("red", "gone", "dev", project.Development)
		w.Must(w.Projects.DeleteEnvironment(w.Admin, "gone", "dev", 0))
		stranger := w.User("mallory", "blue", principal.TeamOwner)
		owner := w.User("olga", "red", principal.TeamOwner)
		ops := []struct {
			name, audit string
			call        func(context.Context) error
		}{
			{"Create", "project:create", func(c context.Context) error {
				_, err := w.Projects.Create(c, project.NewProject{Team: "red", Name: "made"})
				return err
			}},
			{"Get", "", func(c context.Context) error { _, err := w.Projects.Get(c, "shop"); return err }},
			{"Update", "project:update", func(c context.Context) error {
				_, err := w.Projects.Update(c, "shop", project.Change{Title: ptr("Shop")}, 0)
				return err
			}},
			{"Delete", "project:delete", func(c context.Context) error { return w.Projects.Delete(c, "gone", 0) }},
			{"CreateEnvironment", "environment:create", func(c context.Context) error {
				_, err := w.Projects.CreateEnvironment(c, "shop", project.NewEnvironment{Name: "made", Class: project.Production})
				return err
			}},
			{"Resolve", "", func(c context.Context) error { _, err := w.Projects.Resolve(c, "shop", "dev"); return err }},
			{"Resolve by id", "", func(c context.Context) error { _, err := w.Projects.Resolve(c, e.ProjectID, e.ID); return err }},
			{"Environment", "", func(c context.Context) error { _, err := w.Projects.Environment(c, e.ID); return err }},
			{"Environments", "", func(c context.Context) error {
				_, _, err := w.Projects.Environments(c, project.EnvironmentFilter{Project: "shop"}, sqldb.Page{})
				return err
			}},
			{"UpdateEnvironment", "environment:update", func(c context.Context) error {
				_, err := w.Projects.UpdateEnvironment(c, "shop", "dev", project.EnvironmentChange{Title: ptr("Dev")}, 0)
				return err
			}},
			{"DeleteEnvironment", "environment:delete", func(c context.Context) error { return w.Projects.DeleteEnvironment(c, "shop", "made", 0) }},
		}
		before := len(audittest.Records(t, w.Log, ""))
		for _, op := range ops {
			if err := op.call(t.Context()); !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s by nobody: %v", op.name, err)
			}
			if err := op.call(stranger); !fault.Is(err, fault.NotFound) {
				t.Errorf("%s by a stranger: %v", op.name, err)
			}
		}
		if n := len(audittest.Records(t, w.Log, "")); n != before {
			t.Errorf("%d records of refused requests", n-before)
		}
		for _, op := range ops {
			before := len(audittest.Records(t, w.Log, op.audit))
			if err := op.call(owner); err != nil {
				t.Errorf("%s by the owner: %v", op.name, err)
			}
			if n := len(audittest.Records(t, w.Log, op.audit)); op.audit != "" && n != before+1 {
				t.Errorf("%s: %d records, want 1", op.name, n-before)
			}
		}
		for _, list := range []func(context.Context) (int, error){
			func(c context.Context) (int, error) {
				l, _, err := w.Projects.List(c, project.Filter{}, sqldb.Page{})
				return len(l), err
			},
			func(c context.Context) (int, error) {
				l, _, err := w.Projects.Environments(c, project.EnvironmentFilter{}, sqldb.Page{})
				return len(l), err
			},
		} {
			if n, err := list(stranger); n != 0 || err != nil {
				t.Errorf("a stranger sees %d, %v", n, err)
			}
			if n, err := list(owner); n == 0 || err != nil {
				t.Errorf("the owner sees %d, %v", n, err)
			}
			if _, err := list(t.Context()); !fault.Is(err, fault.Unauthenticated) {
				t.Error(err)
			}
		}
	})
}

func TestSomebodyElsesLooksLikeNothing(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		w.Team("blue")
		e := w.Environment("red", "shop", "dev", project.Development)
		stranger := w.User("mallory", "blue", principal.Developer)
		same := func(a, b error) {
			t.Helper()
			if x, y := fault.From(a), fault.From(b); x.Kind != y.Kind || x.Code != y.Code || x.Message != y.Message || x.Hint != y.Hint {
				t.Errorf("the answers differ: %v, %v", a, b)
			}
		}
		_, a := w.Projects.Resolve(stranger, "shop", "dev")
		_, b := w.Projects.Resolve(stranger, "shop", "none")
		_, c := w.Projects.Resolve(stranger, "none", "dev")
		same(a, b)
		same(a, c)
		_, a = w.Projects.Get(stranger, "shop")
		_, b = w.Projects.Get(stranger, "none")
		same(a, b)
		_, a = w.Projects.Environment(stranger, e.ID)
		_, b = w.Projects.Environment(stranger, "env_none")
		same(a, b)
		same(w.Projects.Delete(stranger, "shop", 0), w.Projects.Delete(stranger, "none", 0))
		same(w.Projects.DeleteEnvironment(stranger, "shop", "dev", 0), w.Projects.DeleteEnvironment(stranger, "shop", "none", 0))
		_, a = w.Projects.CreateEnvironment(stranger, "shop", project.NewEnvironment{Name: "x", Class: project.Development})
		_, b = w.Projects.CreateEnvironment(stranger, "none", project.NewEnvironment{Name: "x", Class: project.Development})
		same(a, b)
		_, _, a = w.Projects.Environments(stranger, project.EnvironmentFilter{Project: "shop"}, sqldb.Page{})
		_, _, b = w.Projects.Environments(stranger, project.EnvironmentFilter{Project: "none"}, sqldb.Page{})
		same(a, b)
	})
}

func TestAMoveNeedsBothTeams(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		w.Team("blue")
		w.Environment("red", "shop", "dev", project.Development)
		red := w.User("olga", "red", principal.TeamOwner)
		_, err := w.Projects.Update(red, "shop", project.Change{Team: ptr("blue")}, 0)
		code(t, err, "not_found")
		w.User("both", "red", principal.TeamOwner)
		w.Must(w.Identity.GrantRole(w.Admin, grant("blue", "both", principal.Developer)))
		_, err = w.Projects.Update(w.As("both"), "shop", project.Change{Team: ptr("blue")}, 0)
		if !fault.Is(err, fault.Denied) {
			t.Error(err)
		}
		w.Must(w.Identity.GrantRole(w.Admin, grant("blue", "both", principal.TeamOwner)))
		addResource(t, w, "shop", "dev", "orders")
		_, err = w.Projects.Update(w.As("both"), "shop", project.Change{Team: ptr("blue")}, 0)
		code(t, err, "project_in_use")
		gone(t, w)
		p, err := w.Projects.Update(w.As("both"), "shop", project.Change{Team: ptr("blue")}, 0)
		w.Must(err)
		if p.Team != "blue" {
			t.Error(p)
		}
		_, err = w.Projects.Resolve(red, "shop", "dev")
		code(t, err, "not_found")
	})
}

func TestDeletedOnlyWhenEmpty(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		e := w.Environment("red", "shop", "dev", project.Development)
		addResource(t, w, "shop", "dev", "orders")
		err := w.Projects.DeleteEnvironment(w.Admin, "shop", "dev", 0)
		code(t, err, "environment_not_empty")
		if !strings.Contains(fault.From(err).Message, "orders") {
			t.Errorf("what is inside is not named: %v", err)
		}
		err = w.Projects.Delete(w.Admin, "shop", 0)
		code(t, err, "project_not_empty")
		gone(t, w)
		code(t, w.Projects.DeleteEnvironment(w.Admin, "shop", "dev", e.Version+1), "stale_version")
		w.Must(w.Projects.DeleteEnvironment(w.Admin, "shop", "dev", e.Version)) // its history still refers to it
		_, err = w.Projects.Environment(w.Admin, e.ID)
		code(t, err, "not_found")
		again, err := w.Projects.CreateEnvironment(w.Admin, "shop", project.NewEnvironment{Name: "dev", Class: project.Development})
		w.Must(err)
		if again.ID == e.ID {
			t.Error("the same environment")
		}
	})
}

func TestClassesGuardThemselves(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		w.Environment("red", "shop", "prod", project.Production)
		dev := w.User("dave", "red", principal.Developer)
		_, err := w.Projects.CreateEnvironment(dev, "shop", project.NewEnvironment{Name: "prod2", Class: project.Production})
		if !fault.Is(err, fault.Denied) {
			t.Error(err)
		}
		_, err = w.Projects.CreateEnvironment(dev, "shop", project.NewEnvironment{Name: "dev", Class: project.Development})
		w.Must(err)
		for name, class := range map[string]project.Class{"prod": project.Development, "dev": project.Production} {
			if _, err := w.Projects.UpdateEnvironment(dev, "shop", name, project.EnvironmentChange{Class: &class}, 0); !fault.Is(err, fault.Denied) {
				t.Errorf("a developer makes %s %s: %v", name, class, err)
			}
		}
		_, err = w.Projects.CreateEnvironment(w.Admin, "shop", project.NewEnvironment{Name: "x", Class: "prod"})
		code(t, err, "unknown_class")
		_, err = w.Projects.CreateEnvironment(w.Admin, "shop", project.NewEnvironment{Name: "dev", Class: project.Staging})
		code(t, err, "name_taken")
	})
}

func TestHostileInputAndPages(t *testing.T) {
	each(t, func(t *testing.T, w *identitytest.World) {
		w.Team("red")
		_, err := w.Projects.Create(w.Admin, project.NewProject{Team: "red", Name: "shop"})
		w.Must(err)
		for i := range 5 {
			_, err := w.Projects.CreateEnvironment(w.Admin, "shop", project.NewEnvironment{Name: fmt.Sprint("preview-", i), Class: project.Development})
			w.Must(err)
		}
		var names []string
		for page := (sqldb.Page{Limit: 2}); ; {
			items, next, err := w.Projects.Environments(w.Admin, project.EnvironmentFilter{Project: "shop", Sort: "-name"}, page)
			w.Must(err)
			for _, e := range items {
				names = append(names, e.Name)
			}
			if page.After = next; next == "" {
				break
			}
		}
		if want := []string{"preview-4", "preview-3", "preview-2", "preview-1", "preview-0"}; !slices.Equal(names, want) {
			t.Error(names)
		}
		for _, bad := range []string{"", "all", "Shop", "a b", "x'; DROP TABLE teams;--", "../etc", "$(id)", "\x00", "\xff", "é", strings.Repeat("a", 41)} {
			_, err := w.Projects.Create(w.Admin, project.NewProject{Team: "red", Name: bad})
			code(t, err, "invalid_name")
			_, err = w.Projects.CreateEnvironment(w.Admin, "shop", project.NewEnvironment{Name: bad, Class: project.Development})
			code(t, err, "invalid_name")
			_, err = w.Projects.Resolve(w.Admin, bad, bad)
			code(t, err, "not_found")
			if _, _, err := w.Projects.List(w.Admin, project.Filter{Search: bad, Team: bad}, sqldb.Page{}); err != nil {
				t.Errorf("%q: %v", bad, err)
			}
		}
		_, err = w.Projects.Create(w.Admin, project.NewProject{Team: "red", Name: "x", Title: "two\nlines"})
		code(t, err, "invalid_text")
		_, err = w.Projects.Create(w.Admin, project.NewProject{Team: "red", Name: "x", Attributes: map[string]string{"a b": ""}})
		code(t, err, "invalid_attribute")
	})
}
