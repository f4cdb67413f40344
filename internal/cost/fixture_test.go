package cost_test

import (
	"context"
	"log/slog"
	"testing"

	"fairlead/internal/cost"
	"fairlead/internal/gate"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// world is an installation with the team payments (olga owns it), its
// environment shop/dev, and a team of strangers (sam owns it).
type world struct {
	*identitytest.World
	t   testing.TB
	svc *cost.Service
	dev project.Environment
}

// fakeRequests judges every request as one for cpu in shop/dev.
type fakeRequests struct{ w *world }

func (r fakeRequests) Facts(_ context.Context, q cost.Request) (gate.Facts, error) {
	return r.w.facts("", q.Inputs), nil
}

type fakeUsage struct{}

func (fakeUsage) Usage(context.Context, gate.Facts) ([]gate.Use, error) {
	return []gate.Use{{Limit: "quo_1", Metric: "cpu", Max: 10, Used: 1, Wanted: 2}}, nil
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		w := &world{World: identitytest.New(t, db), t: t}
		w.svc = w.replica()
		w.Team("payments")
		w.Team("strangers")
		w.User("olga", "payments", principal.TeamOwner)
		w.User("sam", "strangers", principal.TeamOwner)
		w.dev = w.Environment("payments", "shop", "dev", project.Development)
		f(t, w)
	})
}

func (w *world) replica() *cost.Service {
	return cost.New(cost.Options{DB: w.DB, Access: w.Access, Requests: fakeRequests{w}, Usage: fakeUsage{}, Log: slog.New(slog.DiscardHandler)})
}

const table = "currency: EUR\nitems:\n  cpu: {monthly: 73}\n"

const byCPU = "package cost\nitems contains {\"item\": \"cpu\", \"quantity\": input.inputs.cpu}\n"

func (w *world) facts(id string, inputs map[string]any) gate.Facts {
	e := w.dev
	return gate.Facts{
		Stage: gate.Request, Action: gate.Create, ResourceID: id, Resource: "db", Inputs: inputs,
		Environment: gate.Environment{ID: e.ID, Name: e.Name, Class: string(e.Class), ProjectID: e.ProjectID, Project: e.Project, TeamID: e.TeamID, Team: e.Team},
		Template:    gate.Template{Name: "postgres", Version: "1.0.0", Digest: "d1", CostRule: []byte(byCPU)},
	}
}

func (w *world) put(document string) cost.Table {
	w.t.Helper()
	t, _, err := w.svc.Put(w.Admin, document)
	w.Must(err)
	return t
}
