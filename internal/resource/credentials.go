package resource

import (
	"context"
	"maps"
	"slices"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/redact"
	"fairlead/internal/sqldb"
)

// Reveal gives a resource with the values of its secret outputs. Who saw them
// is in the audit log before they do.
func (s *Service) Reveal(ctx context.Context, w Where) (Resource, map[string]redact.Secret, error) {
	l, err := s.locate(ctx, w, access.ResourceReveal)
	if err != nil {
		return Resource{}, nil, err
	}
	secrets, err := s.secrets(ctx, l.Resource)
	if err != nil {
		return Resource{}, nil, err
	}
	names := slices.Sorted(maps.Keys(secrets))
	err = s.DB.Write(ctx, "resource.reveal", func(tx *sqldb.Tx) error {
		audit.Append(ctx, tx, audit.Entry{
			Action: string(access.ResourceReveal), Target: l.env.target("resource", l.ID, l.Name, l.Template), Decision: l.decision,
			Details: map[string]any{"outputs": names},
		})
		return nil
	})
	if err != nil {
		return Resource{}, nil, err
	}
	return l.Resource, secrets, nil
}

// secrets reads the sensitive outputs that r has.
func (s *Service) secrets(ctx context.Context, r Resource) (map[string]redact.Secret, error) {
	out := map[string]redact.Secret{}
	for name, o := range r.Outputs {
		if !o.Sensitive {
			continue
		}
		v, err := s.Secrets.Get(ctx, r.ID, name)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[name] = v
	}
	return out, nil
}

// previous is what the last success gave, secrets included; nil before it.
func (s *Service) previous(ctx context.Context, r Resource) (*engine.Result, error) {
	if r.AppliedRevision == 0 {
		return nil, nil
	}
	secrets, err := s.secrets(ctx, r)
	if err != nil {
		return nil, err
	}
	prev := &engine.Result{Outputs: map[string]engine.Output{}, Objects: r.Objects}
	if r.state != "" {
		prev.State = []byte(r.state)
	}
	for name, o := range r.Outputs {
		prev.Outputs[name] = engine.Output{Value: o.Value, Sensitive: o.Sensitive, Secret: secrets[name]}
	}
	return prev, nil
}

// Rotate asks for new credentials. The ones before keep working for the
// template's overlap, then end; until then another rotation is refused.
func (s *Service) Rotate(ctx context.Context, w Where, ifMatch int64) (Resource, error) {
	l, err := s.locate(ctx, w, access.ResourceRotate)
	if err != nil {
		return Resource{}, err
	}
	if _, ok := s.Engines[l.Engine].(engine.Rotator); !ok {
		return Resource{}, notRotatable(l.Template)
	}
	var r Resource
	err = s.DB.Write(ctx, "resource.rotate", func(tx *sqldb.Tx) error {
		var err error
		if r, err = s.lockWanted(ctx, tx, l.ID, ifMatch); err != nil {
			return err
		}
		switch {
		case r.Phase != Ready:
			return fault.New(fault.Conflict, "not_ready", "%s is %s; only a ready resource can be rotated", r.Name, r.Phase)
		case r.Paused:
			return fault.New(fault.Conflict, "not_ready", "%s is stopped; only what runs can be rotated", r.Name).WithHint("%s", r.Pasted("start it first: fairlead start RESOURCE"))
		case !r.RetireAt.IsZero():
			return fault.New(fault.Conflict, "rotation_in_progress", "the last rotation of %s still overlaps: the credentials before it work until %s",
				r.Name, r.RetireAt.UTC().Format(time.RFC3339)).WithHint("rotate again after that")
		}
		r.rotation = ident.New("rot")
		if r, err = s.startRun(ctx, tx, r, RunRotate); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{
			Action: string(access.ResourceRotate), Target: l.env.target("resource", r.ID, r.Name, r.Template), Decision: l.decision,
			Details: map[string]any{"rotation": r.rotation, "run": r.RunID},
		})
		return nil
	})
	return r, err
}
