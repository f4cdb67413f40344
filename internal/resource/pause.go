package resource

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// Stop wants a resource to be there with all that it holds, and nobody to use
// it; Start wants it used again. Both are runs like any other. What is stopped
// is ready, and says that it is paused. Asking again is success.
func (s *Service) Stop(ctx context.Context, w Where, ifMatch int64) (Resource, error) {
	return s.pause(ctx, w, ifMatch, true)
}

// Start is the other way round.
func (s *Service) Start(ctx context.Context, w Where, ifMatch int64) (Resource, error) {
	return s.pause(ctx, w, ifMatch, false)
}

func (s *Service) pause(ctx context.Context, w Where, ifMatch int64, paused bool) (Resource, error) {
	l, err := s.locate(ctx, w, access.ResourceUpdate)
	if err != nil {
		return Resource{}, err
	}
	if can, err := s.canPause(ctx, l); err != nil {
		return Resource{}, err
	} else if !can {
		return Resource{}, fault.New(fault.Invalid, "cannot_stop", "resources of template %s cannot be stopped", l.Template).
			WithHint("destroy it when it is not needed, or let it run")
	}
	verb := "resource:start"
	if paused {
		verb = "resource:stop"
	}
	var r Resource
	err = s.DB.Write(ctx, "resource.pause", func(tx *sqldb.Tx) error {
		var err error
		if r, err = s.lockWanted(ctx, tx, l.ID, ifMatch); err != nil || r.Paused == paused {
			return err
		}
		if paused && (r.Phase != Ready || r.rotation != r.appliedRotation) {
			return fault.New(fault.Conflict, "not_ready", "%s is %s; only a ready resource can be stopped", r.Name, r.Phase).
				WithHint("%s", r.Pasted("wait until it is ready: fairlead get RESOURCE"))
		}
		value := 0
		if paused {
			value = 1
		}
		if _, err := tx.ExecContext(ctx, `UPDATE resources SET paused = $2 WHERE id = $1`, r.ID, value); err != nil {
			return err
		}
		r.Paused = paused
		if r, err = s.startRun(ctx, tx, r, RunApply); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{
			Action: verb, Target: l.env.target("resource", r.ID, r.Name, r.Template), Decision: l.decision,
			Details: map[string]any{"revision": r.Revision, "run": r.RunID},
		})
		return nil
	})
	return r, err
}

// canPause tells whether the resource's engine can stop it. A template that
// cannot be rendered now, for its inputs wait for others, is judged by its name.
func (s *Service) canPause(ctx context.Context, l located) (bool, error) {
	eng, ok := s.Engines[l.Engine].(engine.Pauser)
	if !ok {
		return false, nil
	}
	t, err := s.Templates.Load(ctx, l.Template, l.TemplateVersion)
	if err != nil {
		return false, err
	}
	req, err := s.request(l.env, l.Resource, t, l.Inputs, nil)
	if err != nil {
		req.Template = engine.Template{Name: l.Template, Version: l.TemplateVersion}
	}
	return eng.CanPause(req.Template), nil
}
