package app

import (
	"context"
	"time"

	"fairlead/internal/calendar"
	"fairlead/internal/gate"
	"fairlead/internal/identity"
	"fairlead/internal/lease"
	"fairlead/internal/loop"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
	"fairlead/internal/why"
)

// buildLeases wires how long things may live. It comes before projects, whose
// environments begin with a lease; what leases end is built after it.
func (a *App) buildLeases(context.Context) error {
	a.leases = lease.New(lease.Options{DB: a.db, Access: a.access, Resources: endings{a}, Environments: leasedPlaces{a}, Costs: spent{a},
		People: identity.NewDirectory(a.db), Records: a.audit, Log: a.log})
	group := loop.NewGroup(a.db, a.log)
	a.run(func(ctx context.Context) error {
		group.Run(ctx, loop.Loop{Name: "leases", Every: 2 * time.Second, Wake: lease.Topic, Once: true, Do: a.leases.Turn})
		return nil
	})
	return nil
}

// buildCalendar wires when changes may happen.
func (a *App) buildCalendar(context.Context) error {
	a.calendar = calendar.New(calendar.Options{DB: a.db, Access: a.access, Environments: leasedPlaces{a}, Wake: waker{a}, Resources: pauses{a}, Log: a.log})
	a.run(a.calendar.Run)
	group := loop.NewGroup(a.db, a.log)
	a.run(func(ctx context.Context) error {
		group.Run(ctx, loop.Loop{Name: "schedules", Every: 15 * time.Second, Once: true, Do: a.calendar.Turn})
		return nil
	})
	return nil
}

// endings takes away resources whose lease is over.
type endings struct{ a *App }

func (e endings) End(ctx context.Context, projectID, environmentID, resourceID string) error {
	_, err := e.a.resources.End(principal.With(ctx, principal.System), resource.Where{Project: projectID, Environment: environmentID, Name: resourceID})
	return err
}

// pauses stops and starts resources when schedules say so.
type pauses struct{ a *App }

func (p pauses) Pause(ctx context.Context, projectID, environmentID, resourceID string, paused bool) error {
	do := p.a.resources.Start
	if paused {
		do = p.a.resources.Stop
	}
	_, err := do(principal.With(ctx, principal.System), resource.Where{Project: projectID, Environment: environmentID, Name: resourceID}, 0)
	return err
}

// leasedPlaces fits project to what lease asks of it.
type leasedPlaces struct{ a *App }

func (p leasedPlaces) Resolve(ctx context.Context, projectRef, environmentRef string) (gate.Environment, error) {
	e, err := p.a.projects.Resolve(ctx, projectRef, environmentRef)
	return gateEnvironment(e), err
}

func (p leasedPlaces) Delete(ctx context.Context, projectID, environmentID string) error {
	return p.a.projects.DeleteEnvironment(principal.With(ctx, principal.System), projectID, environmentID, 0)
}

func gateEnvironment(e project.Environment) gate.Environment {
	return gate.Environment{ID: e.ID, Name: e.Name, Class: string(e.Class), ProjectID: e.ProjectID, Project: e.Project, TeamID: e.TeamID, Team: e.Team, Attributes: e.Attributes}
}

// spent knows what things cost, once that is built.
type spent struct{ a *App }

func (s spent) CostSoFar(ctx context.Context, id string) (float64, string, error) {
	return s.a.costs.CostSoFar(ctx, id)
}

// environmentLeases fits lease to what project asks of it.
type environmentLeases struct{ svc *lease.Service }

func (l environmentLeases) Begin(ctx context.Context, tx *sqldb.Tx, e project.Environment, length time.Duration) error {
	return l.svc.BeginEnvironment(ctx, tx, gateEnvironment(e), length)
}

func (l environmentLeases) End(ctx context.Context, tx *sqldb.Tx, environmentID string) error {
	return l.svc.End(ctx, tx, environmentID)
}

// firstLeases fits lease to what why asks of it.
type firstLeases struct{ svc *lease.Service }

func (f firstLeases) Of(ctx context.Context, r resource.Resource) (why.Lease, bool, error) {
	l, ok, err := f.svc.First(ctx, r.ID, r.EnvironmentID)
	if err != nil || !ok {
		return why.Lease{}, false, err
	}
	can, err := f.svc.Can(ctx, l)
	return why.Lease{Of: string(l.Kind), Ends: l.EndsAt, Owner: l.Owner, Can: can, Problem: l.Problem}, true, err
}
