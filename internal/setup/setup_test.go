package setup_test

import (
	"context"
	"testing"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/setup"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

type world struct {
	*identitytest.World
	svc *setup.Service
}

func each(t *testing.T, f func(t *testing.T, w world)) {
	t.Helper()
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := identitytest.New(t, db)
		f(t, world{w, setup.New(setup.Options{DB: db, Access: w.Access})})
	})
}

func (w world) list(t *testing.T, ctx context.Context) setup.List {
	t.Helper()
	l, err := w.svc.List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestStepsFollowFromWhatThereIs(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		l := w.list(t, w.Admin)
		if l.Kind != setup.Platform || l.Done() != 0 || !l.Fresh() {
			t.Fatalf("an empty installation: %+v", l)
		}
		if next, ok := l.Next(); !ok || next.Name != setup.Password {
			t.Errorf("first comes %v", next.Name)
		}
		w.Team("red")
		p, err := w.Projects.Create(w.Admin, project.NewProject{Team: "red", Name: "web"})
		w.Must(err)
		_, err = w.Projects.CreateEnvironment(w.Admin, p.ID, project.NewEnvironment{Name: "dev", Class: project.Development})
		w.Must(err)
		w.User("dora", "red", principal.Developer)
		l = w.list(t, w.Admin)
		for _, name := range []string{setup.Team, setup.Project, setup.Environment, setup.Colleague} {
			if !l.Has(name) {
				t.Errorf("%s is not done", name)
			}
		}
		for _, name := range []string{setup.Password, setup.Resource, setup.SecondAdmin, setup.Guardrails, setup.Backup} {
			if l.Has(name) {
				t.Errorf("%s is done", name)
			}
		}
		if l.Fresh() {
			t.Error("it is still new")
		}
		w.Must(w.Identity.GrantRole(w.Admin, identity.Grant{Member: "dora", Role: principal.PlatformAdmin}))
		if !w.list(t, w.Admin).Has(setup.SecondAdmin) {
			t.Error("a second administrator does not count")
		}
		// What is gone counts no more.
		off := true
		_, err = w.Identity.UpdateUser(w.Admin, "dora", identity.UserChange{Disabled: &off}, 0)
		w.Must(err)
		w.Must(w.Projects.DeleteEnvironment(w.Admin, p.ID, "dev", 0))
		if l = w.list(t, w.Admin); l.Has(setup.SecondAdmin) || l.Has(setup.Colleague) || l.Has(setup.Environment) {
			t.Errorf("what is gone counts: %+v", l.Steps)
		}
	})
}

func TestEverybodyElseHasAShortWay(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.Team("red")
		w.Team("blue")
		p, err := w.Projects.Create(w.Admin, project.NewProject{Team: "blue", Name: "others"})
		w.Must(err)
		_, err = w.Projects.CreateEnvironment(w.Admin, p.ID, project.NewEnvironment{Name: "dev", Class: project.Development})
		w.Must(err)
		l := w.list(t, w.User("dora", "red", principal.Developer))
		if l.Kind != setup.Developer || !l.Has(setup.Membership) || l.Has(setup.Environment) || l.Has(setup.Request) {
			t.Errorf("a developer without an environment of their own: %+v", l)
		}
		if l.Has(setup.Team) || l.Has(setup.Backup) || l.Fresh() {
			t.Errorf("a developer is told of the installation: %+v", l)
		}
		if l = w.list(t, w.User("bo", "blue", principal.Viewer)); !l.Has(setup.Environment) {
			t.Errorf("who sees one: %+v", l)
		}
	})
}

func TestAListIsPutAwayAndTakenOutAgain(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		for range 2 { // twice is once
			w.Must(w.svc.Dismiss(w.Admin, true))
		}
		if l := w.list(t, w.Admin); !l.Dismissed || len(l.Steps) != 0 {
			t.Errorf("it is still shown: %+v", l)
		}
		if l, err := w.svc.Whole(w.Admin); err != nil || !l.Dismissed || len(l.Steps) == 0 {
			t.Errorf("who wants to see it: %+v, %v", l, err)
		}
		w.Must(w.svc.Dismiss(w.Admin, false))
		if l := w.list(t, w.Admin); l.Dismissed || len(l.Steps) == 0 {
			t.Errorf("it is not back: %+v", l)
		}
		records, _, err := w.Log.Search(w.Admin, audit.Filter{Action: "user:dismiss-first-steps"}, sqldb.Page{})
		w.Must(err)
		if len(records) != 2 {
			t.Errorf("%d records, want 2", len(records))
		}
	})
}

func TestNobodyAndMachinesHaveNone(t *testing.T) {
	each(t, func(t *testing.T, w world) {
		w.Team("red")
		_, err := w.Identity.CreateRobot(w.Admin, identity.NewRobot{Team: "red", Name: "ci"})
		w.Must(err)
		for who, c := range map[string]struct {
			ctx  context.Context
			want fault.Kind
		}{"nobody": {t.Context(), fault.Unauthenticated}, "a robot": {w.As("ci"), fault.Denied}} {
			_, list := w.svc.List(c.ctx)
			_, whole := w.svc.Whole(c.ctx)
			for what, err := range map[string]error{"list": list, "whole": whole, "dismiss": w.svc.Dismiss(c.ctx, true)} {
				if !fault.Is(err, c.want) {
					t.Errorf("%s: %s: %v", who, what, err)
				}
			}
		}
	})
}
