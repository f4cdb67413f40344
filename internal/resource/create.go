package resource

import (
	"context"
	"maps"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Wanted is one resource as somebody asks for it.
type Wanted struct {
	Name     string
	Template string
	Version  string // number, constraint, or "" for the newest stable
	Inputs   map[string]any
	Note     string // why
}

// checked is a Wanted that passed everything that needs no transaction.
type checked struct {
	Wanted
	template Template
	info     TemplateInfo
	refs     []Reference
	decision access.Decision
}

// Create accepts a request: the record, its first revision, its run, its job
// and its audit record are one transaction, and nothing external has happened
// when it returns.
func (s *Service) Create(ctx context.Context, project, environment string, w Wanted) (Resource, error) {
	env, err := s.Environments.Resolve(ctx, project, environment)
	if err != nil {
		return Resource{}, err
	}
	c, err := s.check(ctx, env, w, access.ResourceCreate, "")
	if err != nil {
		return Resource{}, err
	}
	var made Resource
	err = s.DB.Write(ctx, "resource.create", func(tx *sqldb.Tx) error {
		made, err = s.insert(ctx, tx, env, c)
		return err
	})
	return made, err
}

// check authorises and validates a request.
func (s *Service) check(ctx context.Context, env Environment, w Wanted, action access.Action, id string) (checked, error) {
	c := checked{Wanted: w}
	var err error
	if c.decision, err = s.Access.Check(ctx, action, env.target("resource", id, w.Name, w.Template)); err != nil {
		return c, err
	}
	if err := ident.CheckName(w.Name); err != nil {
		return c, fault.From(err).WithField("/name")
	}
	if len(w.Note) > 1000 {
		return c, fault.New(fault.Invalid, "note_too_long", "the note is longer than 1000 bytes").WithField("/note")
	}
	if c.template, err = s.Templates.Find(ctx, w.Template, w.Version); err != nil {
		return c, err
	}
	c.info = c.template.Info()
	use := env.target("template", c.info.Name, c.info.Name, c.info.Name)
	use.Attributes = c.info.Attributes
	if _, err := s.Access.Check(ctx, access.TemplateUse, use); err != nil {
		return c, err
	}
	if _, ok := s.Engines[c.info.Engine]; !ok {
		return c, fault.New(fault.Unavailable, "engine_unavailable", "this server has no engine %q", c.info.Engine).
			WithHint("ask the platform team to configure it")
	}
	if c.Inputs, err = c.template.Check(maps.Clone(w.Inputs)); err != nil {
		return c, err
	}
	if c.refs, err = s.Templates.References(c.Inputs); err != nil {
		return c, err
	}
	return c, s.checkReferences(ctx, env, c)
}

func (s *Service) insert(ctx context.Context, tx *sqldb.Tx, env Environment, c checked) (Resource, error) {
	now, who := tx.Now(), principal.From(ctx)
	r := Resource{
		ID: ident.New("res"), Name: c.Name, EnvironmentID: env.ID, ProjectID: env.ProjectID, TeamID: env.TeamID,
		Template: c.info.Name, TemplateVersion: c.info.Version, Engine: c.info.Engine, Phase: Pending, Revision: 1,
		Inputs: maskInputs(c.Inputs, c.info.Sensitive(c.Inputs)), Outputs: map[string]Output{}, CreatedAt: now, CreatedBy: who.ID, UpdatedAt: now, Version: 1,
		RunID: ident.New("run"), templateDigest: c.info.Digest,
	}
	if err := s.lockGraph(ctx, tx, env, c.refs); err != nil {
		return r, err
	}
	if err := s.db.insert(ctx, tx, r); err != nil {
		if sqldb.IsUnique(err) {
			return r, fault.New(fault.Conflict, "name_taken", "%s/%s already has a resource %q", env.Project, env.Name, r.Name).
				WithField("/name").WithHint("choose another name, or change the one that is there: fairlead apply").WithCause(err)
		}
		return r, err
	}
	sealed, err := s.sealInputs(ctx, tx, r.ID, 1, c.Inputs, c.info, c.refs)
	if err != nil {
		return r, err
	}
	rev := Revision{Number: 1, Template: r.Template, TemplateVersion: r.TemplateVersion, TemplateDigest: c.info.Digest,
		Inputs: sealed, Note: c.Note, CreatedAt: now, CreatedBy: who.ID}
	if err := s.adopt(ctx, tx, r, rev, c.refs); err != nil {
		return r, err
	}
	if err := s.db.insertRun(ctx, tx, s.newRun(ctx, r, RunApply, now)); err != nil {
		return r, err
	}
	audit.Append(ctx, tx, audit.Entry{
		Action: string(access.ResourceCreate), Target: env.target("resource", r.ID, r.Name, r.Template), Decision: c.decision,
		Details: map[string]any{"templateVersion": r.TemplateVersion, "templateDigest": c.info.Digest, "note": c.Note,
			"inputs": maskInputs(c.Inputs, c.info.Sensitive(c.Inputs))},
	})
	return r, s.enqueue(ctx, tx, r, 0)
}

// adopt writes a revision and makes its references the resource's own, after
// it found what they point to.
func (s *Service) adopt(ctx context.Context, tx *sqldb.Tx, r Resource, rev Revision, refs []Reference) error {
	if err := s.db.insertRevision(ctx, tx, r.ID, rev); err != nil {
		return err
	}
	resolved, err := s.linkReferences(ctx, tx, r, refs)
	if err != nil {
		return err
	}
	return s.db.replaceReferences(ctx, tx, r.ID, resolved)
}

// Plan says what Create would do, and changes nothing.
func (s *Service) Plan(ctx context.Context, project, environment string, w Wanted) (engine.Plan, error) {
	env, err := s.Environments.Resolve(ctx, project, environment)
	if err != nil {
		return engine.Plan{}, err
	}
	c, err := s.check(ctx, env, w, access.ResourceCreate, "")
	if err != nil {
		return engine.Plan{}, err
	}
	taken, err := s.db.nameTaken(ctx, env.ID, w.Name)
	if err != nil {
		return engine.Plan{}, err
	}
	if taken {
		return engine.Plan{}, fault.New(fault.Conflict, "name_taken", "%s/%s already has a resource %q", env.Project, env.Name, w.Name).
			WithField("/name").WithHint("see what a change would do: fairlead plan --change %s", w.Name)
	}
	// The id does not exist yet; a plan's object names show where it will be.
	r := Resource{ID: "res_00000000000000000000000000", Name: w.Name, EnvironmentID: env.ID, Engine: c.info.Engine, Revision: 1}
	return s.plan(ctx, env, r, c)
}

// plan asks the engine, with what can be resolved already.
func (s *Service) plan(ctx context.Context, env Environment, r Resource, c checked) (engine.Plan, error) {
	inputs, err := s.Templates.Resolve(c.Inputs, func(resource, output string) (any, error) {
		target, err := s.db.find(ctx, s.DB.Read(), env.ID, resource)
		if err != nil {
			return nil, missingTarget(resource, env)
		}
		if out, ok := target.Outputs[output]; ok && !out.Sensitive && target.Phase == Ready {
			return out.Value, nil
		}
		return "(known after apply)", nil
	})
	if err != nil {
		return engine.Plan{}, err
	}
	req, err := s.request(env, r, c.template, inputs, nil)
	if err != nil {
		return engine.Plan{}, err
	}
	if r.AppliedRevision > 0 {
		req.Previous = r.previous(nil)
	}
	return s.Engines[c.info.Engine].Plan(ctx, req)
}

// request builds what an engine gets.
func (s *Service) request(env Environment, r Resource, t Template, inputs map[string]any, prev *engine.Result) (engine.Request, error) {
	ref := engine.Ref{Installation: s.Installation, ID: r.ID, Name: r.Name, Team: env.Team, Project: env.Project, Environment: env.Name}
	rendered, err := t.Render(inputs, ref, env.Class)
	if err != nil {
		return engine.Request{}, err
	}
	return engine.Request{Ref: ref, Revision: r.Revision, Template: rendered, Inputs: inputs,
		LifeCycle: t.Info().LifeCycle(inputs), Previous: prev}, nil
}
