package app

import (
	"context"

	"fairlead/internal/cost"
	"fairlead/internal/gate"
	"fairlead/internal/loop"
	"fairlead/internal/project"
	"fairlead/internal/quota"
	"fairlead/internal/sqldb"
	"fairlead/internal/template"
)

// buildQuotas wires limits and prices; both stand before the gates.
func (a *App) buildQuotas(context.Context) error {
	a.quotas = quota.New(quota.Options{DB: a.db, Access: a.access, Log: a.log})
	a.costs = cost.New(cost.Options{DB: a.db, Access: a.access, Requests: requests{a.projects, a.templates}, Usage: a.quotas, Living: livingResources{a}, Holdings: a.quotas, Log: a.log})
	group := loop.NewGroup(a.db, a.log)
	for _, l := range append(a.quotas.Loops(), a.costs.Loop()) {
		a.run(func(ctx context.Context) error { group.Run(ctx, l); return nil })
	}
	return nil
}

// livingResources fits resource, which is built later, to what cost asks of it.
type livingResources struct{ a *App }

func (l livingResources) Standing(ctx context.Context, after string) (wanted, inUse []gate.Facts, err error) {
	return l.a.resources.Standing(ctx, after)
}

// environmentLimits fits quota, which is built later, to what project asks of it.
type environmentLimits struct{ a *App }

func (l environmentLimits) Reclass(ctx context.Context, tx *sqldb.Tx, e project.Environment) error {
	return l.a.quotas.Reclass(ctx, tx, gateEnvironment(e))
}

// requests gives cost what would be judged of a request.
type requests struct {
	projects  *project.Service
	templates *template.Service
}

func (r requests) Facts(ctx context.Context, q cost.Request) (gate.Facts, error) {
	env, err := r.projects.Resolve(ctx, q.Project, q.Environment)
	if err != nil {
		return gate.Facts{}, err
	}
	v, err := r.templates.Get(ctx, q.Template, q.Version)
	if err != nil {
		return gate.Facts{}, err
	}
	inputs := q.Inputs
	if inputs == nil {
		inputs = map[string]any{}
	}
	if inputs, err = v.Check(inputs); err != nil {
		return gate.Facts{}, err
	}
	return gate.Facts{
		Stage: gate.Request, Action: gate.Create, Inputs: v.HideSecrets(inputs), Template: templateVersion{v}.gate(inputs),
		Environment: gate.Environment{ID: env.ID, Name: env.Name, Class: string(env.Class), ProjectID: env.ProjectID, Project: env.Project,
			TeamID: env.TeamID, Team: env.Team, Attributes: env.Attributes},
	}, nil
}

// gateTemplate is what the gates know of a version with these inputs.
func gateTemplate(v *template.Version, inputs map[string]any) gate.Template {
	g := v.Gate(inputs)
	t := gate.Template{Name: v.Name, Version: v.Version, Digest: v.Digest, Engine: v.Engine, Stateful: v.Stateful, Attributes: v.Access, Units: g.Units, CostRule: g.CostRule}
	if v.Deprecation.Deprecated() {
		t.Deprecated, t.Instead = v.Deprecation.Sentence(v.Name, v.Version), v.Deprecation.Remedy(v.Name)
	}
	if n := g.Approval; n != nil {
		t.Approval = &gate.Need{Role: n.Role, Team: n.Team, People: n.People, Count: n.Count, Within: n.Within}
	}
	if g.Lease != (template.Lease{}) {
		t.Lease = &gate.LeaseRule{Default: g.Lease.Default, Max: g.Lease.Max}
	}
	return t
}
