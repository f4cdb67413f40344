package resource

import (
	"context"
	"database/sql"
	"errors"
	"maps"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Change is a new desired state of a resource.
type Change struct {
	Version string         // of the template; "" keeps the one in use
	Inputs  map[string]any // all of them; nil keeps those in use
	Set     map[string]any // single inputs on top of that; nil values take one away
	Note    string
	IfMatch int64 // the resource's version that the caller knows; 0 does not check
}

// Change accepts a new revision. When it wants nothing new, nothing is written
// and the resource is returned as it is.
func (s *Service) Change(ctx context.Context, w Where, ch Change) (Resource, error) {
	l, err := s.locate(ctx, w, access.ResourceUpdate)
	if err != nil {
		return Resource{}, err
	}
	c, inUse, err := s.checkChange(ctx, l, ch)
	if err != nil {
		return Resource{}, err
	}
	// Settled and the same: an apply of an unchanged file is no event.
	if c.info.Version == l.TemplateVersion && l.Phase == Ready && toJSON(c.Inputs) == toJSON(inUse) {
		return l.Resource, nil
	}
	return s.revise(ctx, l, c, ch.IfMatch, 0)
}

// checkChange gives the change, checked, and the inputs in use, both with
// their secret inputs in the clear: neither is to be stored or shown so.
func (s *Service) checkChange(ctx context.Context, l located, ch Change) (checked, map[string]any, error) {
	if !l.DestroyWantedAt.IsZero() {
		return checked{}, nil, beingDestroyed(l.Resource)
	}
	inUse, err := s.plainInputs(ctx, l.ID, l.Template, l.TemplateVersion, l.Inputs)
	if err != nil {
		return checked{}, nil, err
	}
	version, inputs := ch.Version, ch.Inputs
	if version == "" {
		version = l.TemplateVersion
	}
	if inputs == nil {
		inputs = maps.Clone(inUse)
	}
	for k, v := range ch.Set {
		if v == nil {
			delete(inputs, k)
			continue
		}
		inputs[k] = v
	}
	c, err := s.check(ctx, l.env, Wanted{Name: l.Name, Template: l.Template, Version: version, Inputs: inputs, Note: ch.Note},
		access.ResourceUpdate, l.ID)
	return c, inUse, err
}

// plainInputs gives recorded inputs with the sealed ones in the clear.
func (s *Service) plainInputs(ctx context.Context, resourceID, template, version string, inputs map[string]any) (map[string]any, error) {
	t, err := s.Templates.Load(ctx, template, version)
	if err != nil {
		return nil, err
	}
	return s.unsealInputs(ctx, resourceID, inputs, t.Info())
}

// Rollback makes a new revision with the content of an older one.
func (s *Service) Rollback(ctx context.Context, w Where, to int64, note string, ifMatch int64) (Resource, error) {
	l, err := s.locate(ctx, w, access.ResourceUpdate)
	if err != nil {
		return Resource{}, err
	}
	if !l.DestroyWantedAt.IsZero() {
		return Resource{}, beingDestroyed(l.Resource)
	}
	old, err := s.db.revision(ctx, s.DB.Read(), l.ID, to)
	if errors.Is(err, sql.ErrNoRows) || to == l.Revision {
		return Resource{}, fault.New(fault.Invalid, "no_such_revision", "%s has no earlier revision %d", l.Name, to).
			WithField("/revision").WithHint("see them with: fairlead describe %s", l.Name)
	}
	if err != nil {
		return Resource{}, err
	}
	inputs, err := s.plainInputs(ctx, l.ID, old.Template, old.TemplateVersion, old.Inputs)
	if err != nil {
		return Resource{}, err
	}
	c, err := s.check(ctx, l.env, Wanted{Name: l.Name, Template: old.Template, Version: old.TemplateVersion, Inputs: inputs, Note: note},
		access.ResourceUpdate, l.ID)
	if err != nil {
		return Resource{}, err
	}
	return s.revise(ctx, l, c, ifMatch, to)
}

// PlanChange says what a change would do, and changes nothing.
func (s *Service) PlanChange(ctx context.Context, w Where, ch Change) (engine.Plan, error) {
	l, err := s.locate(ctx, w, access.ResourceUpdate)
	if err != nil {
		return engine.Plan{}, err
	}
	c, _, err := s.checkChange(ctx, l, ch)
	if err != nil {
		return engine.Plan{}, err
	}
	return s.plan(ctx, l.env, l.Resource, c)
}

// revise writes a new revision, its run, its job and its audit record.
func (s *Service) revise(ctx context.Context, l located, c checked, ifMatch, rolledBackTo int64) (Resource, error) {
	var r Resource
	err := s.DB.Write(ctx, "resource.change", func(tx *sqldb.Tx) error {
		now, who := tx.Now(), principal.From(ctx)
		if err := s.lockGraph(ctx, tx, l.env, c.refs); err != nil {
			return err
		}
		var err error
		if r, err = s.db.lock(ctx, tx, l.ID); err != nil {
			return err
		}
		if err := checkMatch(r, ifMatch); err != nil {
			return err
		}
		if !r.DestroyWantedAt.IsZero() {
			return beingDestroyed(r)
		}
		before := r.Inputs
		r.Revision++
		r.TemplateVersion, r.Engine, r.templateDigest = c.info.Version, c.info.Engine, c.info.Digest
		if r.Inputs, err = s.sealInputs(ctx, tx, r.ID, r.Revision, c.Inputs, c.info, c.refs); err != nil {
			return err
		}
		rev := Revision{Number: r.Revision, Template: c.info.Name, TemplateVersion: c.info.Version, TemplateDigest: c.info.Digest,
			Inputs: r.Inputs, Note: c.Note, RolledBackTo: rolledBackTo, CreatedAt: now, CreatedBy: who.ID}
		if err := s.adopt(ctx, tx, r, rev, c.refs); err != nil {
			return err
		}
		if r, err = s.startRun(ctx, tx, r, RunApply); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{
			Action: string(access.ResourceUpdate), Target: l.env.target("resource", r.ID, r.Name, r.Template), Decision: l.decision,
			Details: map[string]any{"revision": r.Revision, "templateVersion": r.TemplateVersion, "rolledBackTo": rolledBackTo, "note": c.Note,
				"before": maskInputs(before, c.info.Sensitive(before)), "after": maskInputs(c.Inputs, c.info.Sensitive(c.Inputs))},
		})
		return nil
	})
	return r, err
}

// startRun opens a run of a kind for r, in the place of one that is still open,
// and makes r pending and due.
func (s *Service) startRun(ctx context.Context, tx *sqldb.Tx, r Resource, kind RunKind) (Resource, error) {
	now := tx.Now()
	if err := s.db.supersede(ctx, tx, r.ID, now); err != nil {
		return r, err
	}
	run := s.newRun(ctx, r, kind, now)
	if err := s.db.insertRun(ctx, tx, run); err != nil {
		return r, err
	}
	r.RunID, r.Reason, r.Message, r.Hint = run.ID, "", "", ""
	r.Phase = Pending
	if kind == RunDestroy {
		r.Phase = Destroying
	}
	if err := s.db.update(ctx, tx, &r); err != nil {
		return r, err
	}
	return r, s.enqueue(ctx, tx, r, 0)
}

func checkMatch(r Resource, ifMatch int64) error {
	if ifMatch != 0 && ifMatch != r.Version {
		return fault.New(fault.Stale, "stale_version", "%s was changed since you looked at it", r.Name).
			WithHint("look at it again, then repeat what you wanted")
	}
	return nil
}

func beingDestroyed(r Resource) error {
	return fault.New(fault.Conflict, "being_destroyed", "%s is being destroyed", r.Name).
		WithHint("wait until it is gone: fairlead destroy %s --wait", r.Name)
}
