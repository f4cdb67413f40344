package resource

import (
	"context"
	"strconv"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/engine"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// livingPage is how many are in memory at a time.
const livingPage = 500

// Living gives the facts of every resource that is not destroyed, by id, until
// yield errs: of the revision that was last made real, or, before the first,
// of the wanted one; with the plan that made it real, if it is kept. The
// action is Keep, the principal whoever made the revision, without roles. It
// is for those who may view guardrails, and of the resources only those that
// they may view. What only the gates know is missing: gate.Service.Complete.
func (s *Service) Living(ctx context.Context, yield func(gate.Facts) error) error {
	if _, err := s.Access.Check(ctx, access.GuardrailView, access.Target{Kind: "guardrail"}); err != nil {
		return err
	}
	scope := access.Scope{All: true}
	if principal.From(ctx).Kind != principal.Internal {
		var err error
		if scope, err = s.Access.Scope(ctx, access.ResourceView); err != nil {
			return err
		}
	}
	templates := map[string]Template{}
	for after := ""; ; {
		var w sqldb.Where
		scope.Narrow(&w, s.DB, access.Columns{Team: "r.team_id", Project: "r.project_id", Environment: "r.environment_id"})
		list, err := s.db.living(ctx, w, after, madeOrWanted)
		if err != nil {
			return err
		}
		for _, f := range list {
			if err := yield(s.standing(ctx, f, templates)); err != nil {
				return err
			}
		}
		if len(list) < livingPage {
			return nil
		}
		after = list[len(list)-1].ResourceID
	}
}

// standing fills in what a template knows of f. One that cannot be read keeps
// nothing from being looked at.
func (s *Service) standing(ctx context.Context, f gate.Facts, templates map[string]Template) gate.Facts {
	key := f.Template.Name + "@" + f.Template.Version
	t, known := templates[key]
	if !known {
		var err error
		if t, err = s.Templates.Load(ctx, f.Template.Name, f.Template.Version); err != nil {
			t = nil
		}
		templates[key] = t
	}
	if t != nil {
		f.Template = t.Info().Gate(f.Inputs)
	}
	return f
}

// living gives a page of facts, of one revision each, without what templates know.
func (s store) living(ctx context.Context, w sqldb.Where, after, revision string) ([]gate.Facts, error) {
	w.And(`r.id > ?`, after)
	w.And(`r.destroyed_at IS NULL`)
	where, args := w.SQL()
	return sqldb.Collect(ctx, s.db.Read(), scanLiving, `SELECT r.id, r.name, v.number, v.template, v.template_version, v.template_digest, r.engine,
		v.inputs, v.note, v.created_by, coalesce(c.name, v.created_by), coalesce(c.kind, ''), e.id, e.name, e.class, e.attributes, p.id, p.name, t.id, t.name,
		coalesce((SELECT u.id||'`+unit+`'||u.plan FROM runs u WHERE u.resource_id = r.id AND u.revision = v.number AND u.kind = 'apply'
			AND u.status = 'succeeded' AND u.plan <> '' ORDER BY u.number LIMIT 1), ''),
		coalesce((SELECT u.passed FROM runs u WHERE u.resource_id = r.id AND u.revision = v.number AND u.status = 'succeeded' AND u.passed <> ''
			ORDER BY u.number DESC LIMIT 1), '')
		FROM resources r
		JOIN revisions v ON v.resource_id = r.id AND v.number = `+revision+`
		JOIN environments e ON e.id = r.environment_id
		JOIN projects p ON p.id = r.project_id
		JOIN teams t ON t.id = r.team_id
		LEFT JOIN principals c ON c.id = v.created_by`+where+` ORDER BY r.id LIMIT `+strconv.Itoa(livingPage), args...)
}

func scanLiving(row sqldb.Row) (gate.Facts, error) {
	f := gate.Facts{Stage: gate.Request, Action: gate.Keep}
	var inputs, kind, attributes, run, passed string
	err := row.Scan(&f.ResourceID, &f.Resource, &f.Revision, &f.Template.Name, &f.Template.Version, &f.Template.Digest, &f.Template.Engine,
		&inputs, &f.Note, &f.Principal.ID, &f.Principal.Name, &kind, &f.Environment.ID, &f.Environment.Name, &f.Environment.Class, &attributes,
		&f.Environment.ProjectID, &f.Environment.Project, &f.Environment.TeamID, &f.Environment.Team, &run, &passed)
	if err != nil {
		return f, err
	}
	f.Principal.Kind, f.Author, f.Environment.Attributes = principal.Kind(kind), f.Principal.ID, sqldb.ParseAttributes(attributes)
	if passed != "" {
		var b gate.Binding
		if err := fromJSON(passed, &b); err != nil {
			return f, err
		}
		if b[partValues] != "" { // with what its references came to
			inputs, f.Resolved = b[partValues], true
		}
	}
	if f.Inputs, err = readInputs(inputs); err != nil {
		return f, err
	}
	if id, plan, ok := strings.Cut(run, unit); ok {
		f.RunID, f.RunKind, f.Plan = id, string(RunApply), &engine.Plan{}
		if err := fromJSON(plan, f.Plan); err != nil {
			return f, err
		}
	}
	return f, nil
}
