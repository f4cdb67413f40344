package app

import (
	"context"
	"maps"
	"slices"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/engine"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/project"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
	"fairlead/internal/template"
)

// lateAuthorizer stands for the authorizer until there is one.
type lateAuthorizer struct{ access.Authorizer }

// appendAudit is audit.Append in the form that access asks for.
func appendAudit(ctx context.Context, tx *sqldb.Tx, action access.Action, target access.Target, d access.Decision, details map[string]any) {
	audit.Append(ctx, tx, audit.Entry{Action: string(action), Target: target, Decision: d, Details: details})
}

// whoAndWhence is what audit.Append takes from a request, without the request.
func whoAndWhence(ctx context.Context) context.Context {
	return principal.With(audit.WithOrigin(context.Background(), audit.OriginFrom(ctx)), principal.From(ctx))
}

// environments fits project to what resource asks of it.
type environments struct{ svc *project.Service }

func (e environments) Resolve(ctx context.Context, projectRef, environmentRef string) (resource.Environment, error) {
	env, err := e.svc.Resolve(whole(ctx), projectRef, environmentRef)
	return environmentOf(env), err
}

func (e environments) Load(ctx context.Context, id string) (resource.Environment, error) {
	env, err := e.svc.Environment(whole(ctx), id)
	return environmentOf(env), err
}

// whole is who asks, whatever their token covers. A token for resources names
// the environment that they are in: knowing it is its holder's. What is done
// there is then checked with the token's scopes.
func whole(ctx context.Context) context.Context {
	p := principal.From(ctx)
	p.Scopes = nil
	return principal.With(ctx, p)
}

func environmentOf(e project.Environment) resource.Environment {
	return resource.Environment{ID: e.ID, Name: e.Name, Class: string(e.Class), ProjectID: e.ProjectID, Project: e.Project,
		TeamID: e.TeamID, Team: e.Team, Attributes: e.Attributes}
}

// templateBridge fits template to what resource asks of it.
type templateBridge struct{ svc *template.Service }

func (b *templateBridge) Find(ctx context.Context, name, version string) (resource.Template, error) {
	v, err := b.svc.Get(ctx, name, version)
	if err != nil {
		return nil, err
	}
	return templateVersion{v}, nil
}

func (b *templateBridge) Load(ctx context.Context, name, version string) (resource.Template, error) {
	v, err := b.svc.Load(ctx, name, version)
	if err != nil {
		return nil, err
	}
	return templateVersion{v}, nil
}

func (b *templateBridge) References(inputs map[string]any) ([]resource.Reference, error) {
	found, err := template.ParseReferences(inputs)
	out := make([]resource.Reference, len(found))
	for i, r := range found {
		out[i] = resource.Reference{Input: r.Pointer, Resource: r.Resource, Output: r.Output}
	}
	return out, err
}

func (b *templateBridge) Resolve(inputs map[string]any, value func(resource, output string) (any, error)) (map[string]any, error) {
	return template.Resolve(inputs, func(r template.Reference) (any, error) { return value(r.Resource, r.Output) })
}

type templateVersion struct{ v *template.Version }

func (t templateVersion) Info() resource.TemplateInfo {
	return resource.TemplateInfo{
		Name: t.v.Name, Version: t.v.Version, Digest: t.v.Digest, Engine: t.v.Engine, ObserveEvery: t.v.ObserveEvery,
		Outputs: t.v.SensitiveOutputs(), OutputTypes: t.v.OutputTypes(), Attributes: t.v.Target().Attributes, Gate: t.gate, Drift: driftPolicy(t.v.Drift),
		EndOfLife: t.v.Deprecation.EndOfLife, Instead: t.v.Deprecation.Remedy(t.v.Name),
	}
}

// gate is what the gates know of a version with these inputs.
func (t templateVersion) gate(inputs map[string]any) gate.Template { return gateTemplate(t.v, inputs) }

func (t templateVersion) Check(inputs map[string]any) (map[string]any, error) {
	return t.v.Check(inputs)
}

func (t templateVersion) CheckResolved(inputs map[string]any) error { return t.v.CheckResolved(inputs) }

func (t templateVersion) SecretInputs(inputs map[string]any) []string {
	return t.v.SecretInputs(inputs)
}

func (t templateVersion) Render(inputs map[string]any, ref engine.Ref, class string) (engine.Template, engine.LifeCycle, error) {
	rendered, err := t.v.Render(inputs, ref, class)
	return rendered, t.v.EngineLifeCycle(inputs), err
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
