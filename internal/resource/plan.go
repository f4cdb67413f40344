package resource

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/engine"
	"fairlead/internal/gate"
)

// Preview is what a request would do, and what the gates say of it.
type Preview struct {
	engine.Plan
	Judgement gate.Judgement
}

// Plan says what Create would do, and changes nothing.
func (s *Service) Plan(ctx context.Context, project, environment string, w Wanted) (Preview, error) {
	env, err := s.Environments.Resolve(ctx, project, environment)
	if err != nil {
		return Preview{}, err
	}
	c, err := s.check(ctx, env, w, access.ResourceCreate, "")
	if err != nil {
		return Preview{}, err
	}
	if err := s.checkReferences(ctx, env, c, nil); err != nil {
		return Preview{}, err
	}
	switch _, err := s.db.find(ctx, s.DB.Read(), env.ID, w.Name); {
	case err == nil:
		return Preview{}, nameTaken(Resource{Name: w.Name, Environment: env.Name, Project: env.Project}, nil)
	case !errors.Is(err, sql.ErrNoRows):
		return Preview{}, err
	}
	// The id does not exist yet; a plan's object names show where it will be.
	r := Resource{ID: "res_00000000000000000000000000", Name: w.Name, EnvironmentID: env.ID, Engine: c.info.Engine, Revision: 1}
	return s.preview(ctx, env, r, c, nil)
}

// preview plans r and asks the gates about the plan. old is what r changes.
func (s *Service) preview(ctx context.Context, env Environment, r Resource, c checked, old *Resource) (Preview, error) {
	f, err := s.facts(ctx, env, c, old)
	if err != nil {
		return Preview{}, err
	}
	p, err := s.plan(ctx, env, r, c)
	if err != nil {
		return Preview{}, err
	}
	if f.Inputs, err = s.resolved(ctx, env.ID, f.Inputs); err != nil {
		return Preview{}, err
	}
	f.Stage, f.Plan = gate.Plan, &p
	j, err := s.Gates.Judge(ctx, f)
	return Preview{p, j}, err
}

// PlanChange says what a change would do, and changes nothing.
func (s *Service) PlanChange(ctx context.Context, w Where, ch Change) (Preview, error) {
	l, err := s.locate(ctx, w, access.ResourceUpdate)
	if err != nil {
		return Preview{}, err
	}
	if err := checkMatch(l.Resource, ch.IfMatch); err != nil {
		return Preview{}, err
	}
	c, _, err := s.checkChange(ctx, l, ch)
	if err != nil {
		return Preview{}, err
	}
	if _, err := s.linkReferences(ctx, s.DB.Read(), l.Resource, c.refs); err != nil {
		return Preview{}, err
	}
	r := l.Resource
	r.Revision++
	return s.preview(ctx, l.env, r, c, &l.Resource)
}

// plan asks the engine, with what can be resolved already. No secret output of
// another resource goes into it.
func (s *Service) plan(ctx context.Context, env Environment, r Resource, c checked) (engine.Plan, error) {
	inputs, err := s.Templates.Resolve(c.Inputs, func(resource, output string) (any, error) {
		target, err := s.db.find(ctx, s.DB.Read(), env.ID, resource)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, missingTarget(Reference{Resource: resource}, env)
		}
		if err != nil {
			return nil, err
		}
		if out, ok := target.Outputs[output]; ok && !out.Sensitive && target.Phase == Ready {
			return out.Value, nil
		}
		return notKnown, nil
	})
	if err != nil {
		return engine.Plan{}, err
	}
	req, err := s.request(env, r, c.template, inputs, nil)
	if err != nil {
		return engine.Plan{}, err
	}
	if req.Previous, err = s.previous(ctx, r); err != nil {
		return engine.Plan{}, err
	}
	p, err := s.asked(ctx, r, c, req)
	return veil(p, secretTexts(c.template, inputs)), err
}

// asked is the engine's plan of a request, on what it adopts when it does.
func (s *Service) asked(ctx context.Context, r Resource, c checked, req engine.Request) (engine.Plan, error) {
	a, err := s.adoption(ctx, r, c.Adopt)
	if err != nil || a == nil {
		if err != nil {
			return engine.Plan{}, err
		}
		return s.Engines[c.info.Engine].Plan(ctx, req)
	}
	eng, err := adopter(s.Engines[c.info.Engine], c.info.Name)
	if err != nil {
		return engine.Plan{}, err
	}
	return eng.PlanAdoption(ctx, req, *a)
}

// request builds what an engine gets.
func (s *Service) request(env Environment, r Resource, t Template, inputs map[string]any, prev *engine.Result) (engine.Request, error) {
	ref := engine.Ref{Installation: s.Installation, ID: r.ID, Name: r.Name, Team: env.Team, Project: env.Project, Environment: env.Name}
	rendered, cycle, err := t.Render(inputs, ref, env.Class)
	if err != nil {
		return engine.Request{}, err
	}
	adopted := r.Adopted
	if strings.HasPrefix(adopted, statePrefix) {
		adopted = "" // it names no object
	}
	return engine.Request{Ref: ref, Adopted: adopted, Revision: r.Revision, Template: rendered, Inputs: inputs, LifeCycle: cycle, Previous: prev, Paused: r.Paused}, nil
}

// PlanDigest binds what was shown: the same plan, the same digest.
func PlanDigest(p engine.Plan) string {
	_, digest := written(p)
	return digest
}

// written is a plan as it is recorded, and its digest. A plan may be large: who
// needs both, or one of them more than once, keeps them.
func written(p engine.Plan) (text, digest string) {
	b, err := json.Marshal(p)
	if err != nil {
		return "", "" // a plan that cannot be shown has neither
	}
	sum := sha256.Sum256(b)
	return string(b), hex.EncodeToString(sum[:])
}

// PlanSummary says in a line what a plan does.
func PlanSummary(p engine.Plan) string {
	counts := map[engine.Action]int{}
	for _, c := range p.Changes {
		counts[c.Action]++
	}
	var parts []string
	for _, a := range []engine.Action{engine.Create, engine.Update, engine.Replace, engine.Delete} {
		if counts[a] > 0 {
			parts = append(parts, itoa(counts[a])+" to "+string(a))
		}
	}
	if len(parts) == 0 {
		return "nothing to change"
	}
	return strings.Join(parts, ", ")
}
