package resource

import (
	"context"
	"database/sql"
	"errors"
	"maps"

	"fairlead/internal/audit"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Gates is what a request and its plan must pass. Package gate has it.
type Gates interface {
	// Judge asks every gate and writes nothing.
	Judge(ctx context.Context, f gate.Facts) (gate.Judgement, error)
	// Refuse records a denial and gives it as a fault.
	Refuse(ctx context.Context, j gate.Judgement) error
	// Admit takes what a request was judged fit for and records it.
	Admit(ctx context.Context, tx *sqldb.Tx, j gate.Judgement, resourceID, runID string) (decision string, err error)
	// Pass settles whether a planned run may go on now.
	Pass(ctx context.Context, tx *sqldb.Tx, j gate.Judgement, b gate.Binding) (gate.Pass, error)
	// Release gives back what a resource had taken, or withdraws what it asks for.
	Release(ctx context.Context, tx *sqldb.Tx, f gate.Facts, why gate.Ending) error
}

// facts is what the gates may know of a request. old is what it changes: as
// long as nothing of that was ever applied, what is asked for is a creation,
// whatever was asked for before.
func (s *Service) facts(ctx context.Context, env Environment, c checked, old *Resource) (gate.Facts, error) {
	f := gate.Facts{
		Stage: gate.Request, Action: gate.Create, Principal: principal.From(ctx), RequestID: audit.OriginFrom(ctx).RequestID,
		Resource: c.Name, Revision: 1, Note: c.Note, Inputs: c.shown(), Environment: env.gate(), Template: c.info.Gate(c.Inputs), Lease: c.Lease,
	}
	if old == nil {
		return f, nil
	}
	f.ResourceID, f.Revision = old.ID, old.Revision+1
	if old.AppliedRevision > 0 {
		f.Action = gate.Update
	}
	var err error
	f.Before, err = s.inUse(ctx, *old)
	return f, err
}

// inUse is the inputs that are in use: those of the revision that was applied
// last, with what its references came to then. What was only asked for is not,
// however long ago; a rule that compares would take it for what was agreed to.
// nil: nothing was ever applied.
func (s *Service) inUse(ctx context.Context, r Resource) (map[string]any, error) {
	if r.AppliedRevision == 0 {
		return nil, nil
	}
	passed, err := s.db.lastPassed(ctx, r.ID, r.AppliedRevision)
	switch {
	case err != nil:
		return nil, err
	case passed[partValues] != "":
		return readInputs(passed[partValues])
	case r.AppliedRevision == r.Revision:
		return r.Inputs, nil
	}
	rev, err := s.db.revision(ctx, s.DB.Read(), r.ID, r.AppliedRevision)
	return rev.Inputs, err
}

// partValues is noted with what a run passed the gates with, where there were
// references: the inputs with what they came to. No approval is bound to it.
const partValues = "values"

// resolved is inputs as rules may see them once there is a plan: a reference to
// what is no secret is what it comes to, so that nothing gets past a rule
// behind one.
func (s *Service) resolved(ctx context.Context, environmentID string, inputs map[string]any) (map[string]any, error) {
	return s.Templates.Resolve(inputs, func(name, output string) (any, error) {
		target, err := s.db.find(ctx, s.DB.Read(), environmentID, name)
		if errors.Is(err, sql.ErrNoRows) {
			return notKnown, nil
		}
		if err != nil {
			return nil, err
		}
		switch out, ok := target.Outputs[output]; {
		case !ok:
			return notKnown, nil
		case out.Sensitive:
			return masked, nil
		default:
			return out.Value, nil
		}
	})
}

// notKnown stands in for the output of what is not there yet.
const notKnown = "(known after apply)"

// shown is the inputs as they may be seen: no secret in the clear.
func (c checked) shown() map[string]any {
	out := c.Inputs
	for _, p := range c.toSeal() {
		out, _ = editInputs(out, p, func(any) (any, error) { return masked, nil })
	}
	return out
}

func (e Environment) gate() gate.Environment {
	return gate.Environment{ID: e.ID, Name: e.Name, Class: e.Class, ProjectID: e.ProjectID, Project: e.Project, TeamID: e.TeamID, Team: e.Team, Attributes: e.Attributes}
}

// gateRequest asks the gates about c, and keeps what they say; a denial is recorded
// and given as a fault.
func (s *Service) gateRequest(ctx context.Context, env Environment, c *checked, old *Resource) error {
	if err := s.judgeRequest(ctx, env, c, old); err != nil {
		return err
	}
	if c.judgement.Denied() {
		return s.Gates.Refuse(ctx, c.judgement)
	}
	return nil
}

// judgeRequest asks the gates about c, and keeps what they say.
func (s *Service) judgeRequest(ctx context.Context, env Environment, c *checked, old *Resource) error {
	f, err := s.facts(ctx, env, *c, old)
	if err == nil {
		c.judgement, err = s.Gates.Judge(ctx, f)
	}
	return err
}

// taken turns a denial that came up in the transaction into errMoved: what
// others were quicker to take is judged anew, so that its refusal is told and
// recorded like any other.
func taken(err error) error {
	if fault.Is(err, fault.Denied) {
		return errMoved
	}
	return err
}

// gateEnd is gateRequest for a destroy. What Fairlead itself ends was agreed to
// when its lease was.
func (s *Service) gateEnd(ctx context.Context, l located) (gate.Judgement, error) {
	if principal.From(ctx).Kind == principal.Internal {
		return gate.Judgement{}, nil
	}
	f := gate.Facts{
		Stage: gate.Request, Action: gate.Destroy, Principal: principal.From(ctx), RequestID: audit.OriginFrom(ctx).RequestID,
		ResourceID: l.ID, Resource: l.Name, Revision: l.Revision, Inputs: l.Inputs, Environment: l.env.gate(), Template: s.gateTemplate(ctx, l.Resource),
	}
	j, err := s.Gates.Judge(ctx, f)
	if err == nil && j.Denied() {
		err = s.Gates.Refuse(ctx, j)
	}
	return j, err
}

// gateTemplate is what the gates know of a resource's template, which may be
// hard to read by now: that does not keep anything alive.
func (s *Service) gateTemplate(ctx context.Context, r Resource) gate.Template {
	t, err := s.Templates.Load(ctx, r.Template, r.TemplateVersion)
	if err != nil {
		return gate.Template{Name: r.Template, Version: r.TemplateVersion, Digest: r.templateDigest, Engine: r.Engine}
	}
	return t.Info().Gate(r.Inputs)
}

// judge asks the gates about a planned run. nil is no question: an earlier
// attempt of the same run passed them with what this one wants, and what it
// had begun is gone on with.
func (w *work) judge(ctx context.Context, plan engine.Plan) (*gating, error) {
	text, digest := written(plan)
	b, err := w.binding(ctx, digest)
	if err != nil {
		return nil, err
	}
	if w.goesOn(b, plan) {
		return nil, nil
	}
	f := gate.Facts{
		Stage: gate.Plan, RunID: w.run.ID, RunKind: string(w.run.Kind), ResourceID: w.res.ID, Resource: w.res.Name, Revision: w.res.Revision,
		Inputs: w.res.Inputs, Environment: w.env.gate(), Template: w.tmpl.Info().Gate(w.res.Inputs), Plan: &plan,
	}
	if w.run.Kind == RunDestroy {
		f.Asked = w.res.DestroyWantedAt
	} else if err := w.settled(ctx, &f); err != nil {
		return nil, err
	}
	f.Author = w.res.author
	f.First = w.first()
	j, err := w.s.Gates.Judge(ctx, f)
	if err != nil {
		return nil, err
	}
	if j.Denied() {
		return nil, w.s.Gates.Refuse(context.WithoutCancel(ctx), j)
	}
	g := &gating{judgement: j, binding: b, plan: text, passed: b}
	if f.Resolved {
		g.passed = maps.Clone(b)
		g.passed[partValues] = toJSON(f.Inputs)
	}
	return g, nil
}

// settled puts into the facts what inputs come to, what they were, and whether
// anything new is wanted: another revision than the one in use, or the same
// with other values behind its references.
func (w *work) settled(ctx context.Context, f *gate.Facts) error {
	var err error
	if f.Inputs, err = w.s.resolved(ctx, w.res.EnvironmentID, w.res.Inputs); err != nil {
		return err
	}
	f.Resolved = toJSON(f.Inputs) != toJSON(w.res.Inputs)
	f.Template = w.tmpl.Info().Gate(f.Inputs)
	before, err := w.s.inUse(ctx, w.res)
	switch {
	case err != nil:
		return err
	case w.res.Revision != w.res.AppliedRevision:
		f.Before = before
	case !f.Resolved || toJSON(f.Inputs) == toJSON(before):
		f.Action = gate.Keep
	default:
		f.Action, f.Before = gate.Update, before
	}
	return nil
}

// first tells whether no run of the resource ever got anywhere, so that there
// is nothing yet that a gate has asked, opened or begun for it.
func (w *work) first() bool { return w.run.Number == 1 && w.res.Phase == Pending }

// gating is what a run must still pass.
type gating struct {
	judgement gate.Judgement
	binding   gate.Binding
	passed    gate.Binding // binding, and what is noted with it
	plan      string       // as it is recorded
}

// binding is what an approval of this run is bound to, plan being the digest of
// its plan. Secrets are bound by
// where they come from: each change of one is a new revision, or a new
// rotation of what it is taken from.
func (w *work) binding(ctx context.Context, plan string) (gate.Binding, error) {
	b := gate.Binding{gate.PartTemplate: w.res.templateDigest, gate.PartPlan: plan}
	inputs := map[string]any{"inputs": w.res.Inputs}
	if len(w.res.sealed) > 0 {
		inputs["secretsOfRevision"] = w.res.Revision
	}
	if w.res.Adopted != "" {
		inputs["adopted"] = w.res.Adopted
	}
	var err error
	if b[gate.PartPlace], err = gate.Bind([]string{w.env.ID, w.env.Class, w.env.TeamID}); err != nil {
		return nil, err
	}
	if b[gate.PartInputs], err = gate.Bind(inputs); err != nil {
		return nil, err
	}
	refs, err := w.s.Templates.References(w.res.Inputs)
	if err == nil && len(refs) > 0 {
		refs, err = w.s.db.references(ctx, w.res.ID)
	}
	if err != nil {
		return nil, err
	}
	taken := map[string]any{}
	for _, ref := range refs {
		target, err := w.s.db.byID(ctx, w.s.DB.Read(), ref.TargetID)
		if err != nil {
			return nil, err
		}
		out := target.Outputs[ref.Output]
		taken[ref.Input] = []any{ref.TargetID, ref.Output, out.Value}
		if out.Sensitive {
			taken[ref.Input] = []any{ref.TargetID, ref.Output, target.AppliedRevision, target.appliedRotation}
		}
	}
	b[gate.PartReferences], err = gate.Bind(taken)
	return b, err
}

// goesOn tells whether an earlier attempt of this run passed the gates for the
// same place, template, inputs and references, and for a plan that did at least what
// this one still does: then what was begun is finished, without asking anew.
func (w *work) goesOn(b gate.Binding, now engine.Plan) bool {
	if w.run.passed == nil || w.run.Plan == nil {
		return false
	}
	for _, part := range []string{gate.PartPlace, gate.PartTemplate, gate.PartInputs, gate.PartReferences} {
		if w.run.passed[part] != b[part] {
			return false
		}
	}
	return w.run.Kind == RunDestroy || covers(*w.run.Plan, now)
}

// covers tells whether all that now does was in the plan before: the same
// objects, and nothing worse done to them.
func covers(before, now engine.Plan) bool {
	weight := map[engine.Action]int{engine.NoOp: 0, engine.Read: 0, engine.Create: 1, engine.Update: 1, engine.Replace: 2, engine.Delete: 3}
	had := map[string]int{}
	for _, c := range before.Changes {
		had[c.Address] = weight[c.Action]
	}
	for _, c := range now.Changes {
		if weight[c.Action] > had[c.Address] {
			return false
		}
	}
	return true
}

// pass settles, in the transaction that would let the run go on, whether it
// may. It gives what holds it up; nil is nothing.
func (w *work) pass(ctx context.Context, tx *sqldb.Tx, g *gating) (*gate.Pass, error) {
	if g == nil {
		return nil, nil
	}
	p, err := w.s.Gates.Pass(ctx, tx, g.judgement, g.binding)
	if err != nil || p.Go {
		return nil, err
	}
	return &p, nil
}

// Wake has a worker look at a resource again, because what it waits for may
// have happened. Of what is gone nothing is left to look at.
func (s *Service) Wake(ctx context.Context, tx *sqldb.Tx, resourceID string) error {
	r, err := s.db.lock(ctx, tx, resourceID)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil || !r.DestroyedAt.IsZero() {
		return err
	}
	return s.enqueue(ctx, tx, r, 0)
}
