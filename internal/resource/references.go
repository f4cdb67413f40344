package resource

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// lockGraph makes changes to one environment's graph take turns, when they
// touch it: two changes that see only their own edge could close a cycle.
func (s *Service) lockGraph(ctx context.Context, tx *sqldb.Tx, env Environment, refs []Reference) error {
	if len(refs) == 0 {
		return nil
	}
	return s.db.lockEnvironment(ctx, tx, env.ID)
}

// linkReferences finds what references point to, in r's environment, and
// refuses what cannot be: nothing there, on its way out, no such output, a
// secret that would come out in the open, a cycle.
func (s *Service) linkReferences(ctx context.Context, tx sqldb.Querier, r Resource, refs []Reference) ([]Reference, error) {
	out := make([]Reference, 0, len(refs))
	for _, ref := range refs {
		target, err := s.db.find(ctx, tx, r.EnvironmentID, ref.Resource)
		if errors.Is(err, sql.ErrNoRows) || (err == nil && !target.DestroyWantedAt.IsZero()) {
			return nil, missingTarget(ref, Environment{Name: r.Environment, Project: r.Project})
		}
		if err != nil {
			return nil, err
		}
		if target.ID == r.ID {
			return nil, cycle(ref, []string{r.Name, r.Name})
		}
		ref.TargetID = target.ID
		out = append(out, ref)
	}
	for _, ref := range out {
		path, err := s.db.path(ctx, tx, ref.TargetID, r.ID)
		if err != nil {
			return nil, err
		}
		if path != nil {
			return nil, cycle(ref, append([]string{r.Name}, path...))
		}
	}
	return out, nil
}

func cycle(ref Reference, names []string) error {
	return fault.New(fault.Conflict, "reference_cycle", "the reference would close a cycle: %s", strings.Join(names, " → ")).
		WithField("/inputs" + ref.Input).WithHint("take away one of these references")
}

func missingTarget(ref Reference, env Environment) error {
	return fault.New(fault.Invalid, "reference_not_found", "there is no resource %q to refer to in %s/%s", clip(ref.Resource), env.Project, env.Name).
		WithField("/inputs" + ref.Input).WithHint("request it first, or put both into one file for: fairlead apply -f")
}

// checkReferences asks, before the transaction, whether each reference names
// an output that exists and may be used so. A secret output may only go into
// an input that is itself secret, and only at the hand of someone who could
// read it: a reference must not be a way around either. Siblings are wanted
// together with c.
func (s *Service) checkReferences(ctx context.Context, env Environment, c checked, siblings map[string]*item) error {
	for _, ref := range c.refs {
		outputs, template, id, err := s.outputsOf(ctx, env, ref, siblings)
		if err != nil {
			return err
		}
		sensitive, ok := outputs[ref.Output]
		if !ok {
			return fault.New(fault.Invalid, "unknown_output", "%s (template %s) has no output %q", ref.Resource, template, clip(ref.Output)).
				WithField("/inputs"+ref.Input).WithHint("its outputs are listed by: fairlead template show %s", template)
		}
		if !sensitive {
			continue
		}
		if !c.isSecret(ref.Input) {
			return fault.New(fault.Invalid, "secret_reference", "output %s of %s is secret, but the input is not", ref.Output, ref.Resource).
				WithField("/inputs" + ref.Input).WithHint("refer to it from an input that the template declares writeOnly")
		}
		if _, err := s.Access.Check(ctx, access.ResourceReveal, env.target("resource", id, ref.Resource, template)); err != nil {
			return err
		}
	}
	return nil
}

// outputsOf gives the declared outputs of what a reference points to.
func (s *Service) outputsOf(ctx context.Context, env Environment, ref Reference, siblings map[string]*item) (outputs map[string]bool, template, id string, err error) {
	if it := siblings[ref.Resource]; it != nil {
		if it.old != nil {
			id = it.old.ID
		}
		return it.info.Outputs, it.info.Name, id, nil
	}
	target, err := s.db.find(ctx, s.DB.Read(), env.ID, ref.Resource)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && !target.DestroyWantedAt.IsZero()) {
		return nil, "", "", missingTarget(ref, env)
	}
	if err != nil {
		return nil, "", "", err
	}
	t, err := s.Templates.Load(ctx, target.Template, target.TemplateVersion)
	if err != nil {
		return nil, "", "", err
	}
	return t.Info().Outputs, target.Template, target.ID, nil
}

// errWaiting says which references are not there yet.
type errWaiting struct{ names []string }

func (e errWaiting) Error() string { return "waits for " + strings.Join(e.names, ", ") }

// resolve gives the inputs with secrets and references filled in, or
// errWaiting when a target is not ready.
func (s *Service) resolve(ctx context.Context, r Resource) (map[string]any, error) {
	inputs, err := s.unsealInputs(ctx, r.ID, r.Revision, r.Inputs, r.sealed)
	if err != nil {
		return nil, err
	}
	var waiting errWaiting
	inputs, err = s.Templates.Resolve(inputs, func(name, output string) (any, error) {
		target, err := s.db.find(ctx, s.DB.Read(), r.EnvironmentID, name)
		if errors.Is(err, sql.ErrNoRows) {
			waiting.names = append(waiting.names, name+" (missing)")
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		out, ok := target.Outputs[output]
		if target.AppliedRevision == 0 || !ok || target.Phase == Destroying || target.Phase == Releasing || target.Phase == Lost {
			waiting.names = append(waiting.names, name+" ("+string(target.Phase)+")")
			return nil, nil
		}
		if !out.Sensitive {
			return out.Value, nil
		}
		secret, err := s.Secrets.Get(ctx, target.ID, output)
		return secret.Reveal(), err
	})
	if err == nil && len(waiting.names) > 0 {
		return nil, waiting
	}
	return inputs, err
}
