package quota_test

import (
	"context"
	"log/slog"
	"testing"

	"fairlead/internal/gate"
	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/quota"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// world is an installation with the team payments (olga owns it), its project
// shop, the environments dev and prod, and a team of strangers (sam owns it).
type world struct {
	*identitytest.World
	t         testing.TB
	svc       *quota.Service
	dev, prod project.Environment
}

// limited fits quota to what project asks of it.
type limited struct{ svc *quota.Service }

func (l limited) Reclass(ctx context.Context, tx *sqldb.Tx, e project.Environment) error {
	return l.svc.Reclass(ctx, tx, gate.Environment{ID: e.ID, Name: e.Name, Class: string(e.Class), ProjectID: e.ProjectID, Project: e.Project, TeamID: e.TeamID, Team: e.Team})
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := &world{World: identitytest.New(t, db), t: t}
		w.svc = quota.New(quota.Options{DB: db, Access: w.Access, Log: slog.New(slog.DiscardHandler)})
		w.Projects = project.New(project.Options{DB: db, Access: w.Access, Limits: limited{w.svc}})
		for team, owner := range map[string]string{"payments": "olga", "strangers": "sam"} {
			_, err := w.Identity.CreateTeam(w.Admin, identity.NewTeam{Name: team})
			w.Must(err)
			_, err = w.Identity.CreateUser(w.Admin, identity.NewUser{Name: owner})
			w.Must(err)
			w.Must(w.Identity.GrantRole(w.Admin, identity.Grant{Team: team, Member: owner, Role: principal.TeamOwner}))
		}
		_, err := w.Projects.Create(w.Admin, project.NewProject{Team: "payments", Name: "shop"})
		w.Must(err)
		w.dev, err = w.Projects.CreateEnvironment(w.Admin, "shop", project.NewEnvironment{Name: "dev", Class: project.Development})
		w.Must(err)
		w.prod, err = w.Projects.CreateEnvironment(w.Admin, "shop", project.NewEnvironment{Name: "prod", Class: project.Production})
		w.Must(err)
		f(t, w)
	})
}

// facts asks for a new resource in shop/dev.
func (w *world) facts(id string, cpu, cost float64) gate.Facts {
	e := w.dev
	return gate.Facts{
		Stage: gate.Request, Action: gate.Create, ResourceID: id, Resource: "db",
		Environment: gate.Environment{ID: e.ID, Name: e.Name, Class: string(e.Class), ProjectID: e.ProjectID, Project: e.Project, TeamID: e.TeamID, Team: e.Team},
		Template:    gate.Template{Name: "postgres", Version: "1.0.0", Units: map[string]float64{"cpu": cpu}},
		Cost:        gate.Cost{Currency: "EUR", Monthly: cost},
	}
}

// update asks for a change of one.
func (w *world) update(id string, cpu, cost float64) gate.Facts {
	f := w.facts(id, cpu, cost)
	f.Action = gate.Update
	return f
}

// exact fails unless every limit's use is the sum of what is held.
func (w *world) exact() {
	w.t.Helper()
	wrong, err := sqldb.Collect(w.t.Context(), w.DB.Read(), sqldb.Text, `SELECT l.id || ' ' || l.metric || ' ' || l.used FROM quota_limits l WHERE l.used <>
		(SELECT CAST(COALESCE(sum(h.amount), 0) AS BIGINT) FROM quota_holdings h WHERE h.metric = l.metric
			AND l.place IN ('', h.team_id, h.project_id, h.environment_id) AND l.class IN ('', h.class) AND l.template IN ('', h.template))`)
	w.Must(err)
	for _, l := range wrong {
		w.t.Errorf("not the sum of what is held: %s", l)
	}
}
