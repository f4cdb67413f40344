package resource

import (
	"context"
	"database/sql"
	"errors"
	"maps"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/queue"
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

// Change accepts a new revision. When it wants nothing new, there is none: a
// resource that is on its way or ready is left alone, one that failed or was
// canceled is tried again.
func (s *Service) Change(ctx context.Context, w Where, ch Change) (Resource, error) {
	return settleMoved(func() (Resource, error) {
		l, err := s.locate(ctx, w, access.ResourceUpdate)
		if err != nil {
			return Resource{}, err
		}
		if err := checkMatch(l.Resource, ch.IfMatch); err != nil {
			return Resource{}, err
		}
		c, same, err := s.checkChange(ctx, l, ch)
		if err != nil {
			return Resource{}, err
		}
		if same && !l.Phase.stuck() {
			return l.Resource, nil
		}
		if !same {
			if err := s.gateRequest(ctx, l.env, &c, &l.Resource); err != nil {
				return Resource{}, err
			}
		}
		var r Resource
		err = s.DB.Write(ctx, "resource.change", func(tx *sqldb.Tx) error {
			var err error
			if same {
				r, err = s.again(ctx, tx, l)
			} else {
				r, err = s.revise(ctx, tx, l, c, ch.IfMatch, 0)
			}
			return err
		})
		return r, taken(err)
	})
}

// errMoved says that the resource, or where it is to be, changed between the
// look at it and the write.
var errMoved = errors.New("the resource moved on meanwhile")

// settleMoved does what was computed from a state anew when that has moved on:
// of two changes at once neither undoes the other unseen.
func settleMoved[T any](do func() (T, error)) (T, error) {
	for range 10 {
		if v, err := do(); !errors.Is(err, errMoved) {
			return v, err
		}
	}
	var none T
	return none, fault.New(fault.Unavailable, "too_many_changes", "the resource is being changed by many at once").
		WithHint("try again in a moment").WithRetryAfter(1)
}

// stuck tells whether asking for the same again is asking to try again.
func (p Phase) stuck() bool { return p == Failed || p == Canceled }

// checkChange gives the change, checked, its secret inputs in the clear: it is
// not to be stored or shown so. same tells that it wants nothing new.
func (s *Service) checkChange(ctx context.Context, l located, ch Change) (checked, bool, error) {
	c, same, err := s.checkDesired(ctx, l, ch)
	if err != nil {
		return c, false, err
	}
	return c, same, s.checkReferences(ctx, l.env, c, nil)
}

// checkDesired is checkChange but for what the references point to.
func (s *Service) checkDesired(ctx context.Context, l located, ch Change) (c checked, same bool, err error) {
	if !l.DestroyWantedAt.IsZero() {
		return c, false, beingDestroyed(l.Resource)
	}
	inUse, err := s.unsealInputs(ctx, l.ID, l.Revision, l.Inputs, l.sealed)
	if err != nil {
		return c, false, err
	}
	version, inputs := ch.Version, maps.Clone(ch.Inputs)
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
	// What was read can be sent back: a secret shown masked means the same secret.
	for _, p := range l.sealed {
		if at(inputs, p) == masked {
			inputs, _ = editInputs(inputs, p, func(any) (any, error) { return at(inUse, p), nil })
		}
	}
	c, err = s.check(ctx, l.env, Wanted{Name: l.Name, Template: l.Template, Version: version, Inputs: inputs, Note: ch.Note},
		access.ResourceUpdate, l.ID)
	if err != nil {
		return c, false, err
	}
	if c.info.Version != l.TemplateVersion {
		if err := s.alive(ctx, c.info); err != nil {
			return c, false, err
		}
	}
	same = c.info.Version == l.TemplateVersion && toJSON(c.Inputs) == toJSON(inUse)
	return c, same, nil
}

// Rollback makes a new revision with the content of an older one.
func (s *Service) Rollback(ctx context.Context, w Where, to int64, note string, ifMatch int64) (Resource, error) {
	return settleMoved(func() (Resource, error) {
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
				WithField("/revision").WithHint("%s", l.Pasted("see them with: fairlead describe RESOURCE"))
		}
		if err != nil {
			return Resource{}, err
		}
		inputs, err := s.unsealInputs(ctx, l.ID, old.Number, old.Inputs, old.sealed)
		if err != nil {
			return Resource{}, err
		}
		c, err := s.check(ctx, l.env, Wanted{Name: l.Name, Template: old.Template, Version: old.TemplateVersion, Inputs: inputs, Note: note},
			access.ResourceUpdate, l.ID)
		if err != nil {
			return Resource{}, err
		}
		if err := s.checkReferences(ctx, l.env, c, nil); err != nil {
			return Resource{}, err
		}
		if err := s.gateRequest(ctx, l.env, &c, &l.Resource); err != nil {
			return Resource{}, err
		}
		var r Resource
		err = s.DB.Write(ctx, "resource.rollback", func(tx *sqldb.Tx) error {
			var err error
			r, err = s.revise(ctx, tx, l, c, ifMatch, to)
			return err
		})
		return r, taken(err)
	})
}

// revise writes a new revision, its run, its job and its audit record. The
// change was computed from l; when that has moved on, it gives errMoved.
func (s *Service) revise(ctx context.Context, tx *sqldb.Tx, l located, c checked, ifMatch, rolledBackTo int64) (Resource, error) {
	if err := s.lockGraph(ctx, tx, l.env, c.refs); err != nil {
		return Resource{}, err
	}
	if err := s.db.holdEnvironment(ctx, tx, l.env); err != nil {
		return Resource{}, err
	}
	r, err := s.lockWanted(ctx, tx, l.ID, ifMatch)
	if err != nil {
		return r, err
	}
	if r.Revision != l.Revision {
		return r, errMoved
	}
	before := r.Inputs
	r.Revision++
	r.TemplateVersion, r.Engine, r.templateDigest = c.info.Version, c.info.Engine, c.info.Digest
	if err := s.adopt(ctx, tx, &r, c, rolledBackTo); err != nil {
		return r, err
	}
	if r, err = s.startRun(ctx, tx, r, RunApply); err != nil {
		return r, err
	}
	r.Verdicts = c.judgement.Verdicts
	decision, err := s.Gates.Admit(ctx, tx, c.judgement, r.ID, r.RunID)
	if err != nil {
		return r, err
	}
	audit.Append(ctx, tx, audit.Entry{
		Action: string(access.ResourceUpdate), Target: l.env.target("resource", r.ID, r.Name, r.Template), Decision: l.decision,
		Details: map[string]any{"revision": r.Revision, "templateVersion": r.TemplateVersion, "templateDigest": r.templateDigest,
			"rolledBackTo": rolledBackTo, "note": c.Note, "before": before, "after": r.Inputs, "run": r.RunID, "gates": decision},
	})
	return r, nil
}

// again starts a new run of what is wanted anyway.
func (s *Service) again(ctx context.Context, tx *sqldb.Tx, l located) (Resource, error) {
	r, err := s.db.lock(ctx, tx, l.ID)
	if err != nil {
		return r, err
	}
	kind := RunApply
	switch {
	case !r.DestroyedAt.IsZero():
		return r, destroyedAlready(r)
	case !r.DestroyWantedAt.IsZero():
		kind = RunDestroy
	}
	if r, err = s.startRun(ctx, tx, r, kind); err != nil {
		return r, err
	}
	audit.Append(ctx, tx, audit.Entry{
		Action: "resource:retry", Target: l.env.target("resource", r.ID, r.Name, r.Template), Decision: l.decision,
		Details: map[string]any{"revision": r.Revision, "run": r.RunID},
	})
	return r, nil
}

// lockWanted locks a resource for a change of what is wanted of it, which is
// refused when somebody else changed that, or when it is to go.
func (s *Service) lockWanted(ctx context.Context, tx *sqldb.Tx, id string, ifMatch int64) (Resource, error) {
	r, err := s.db.lock(ctx, tx, id)
	if err != nil {
		return r, err
	}
	if !r.DestroyWantedAt.IsZero() {
		return r, beingDestroyed(r)
	}
	if err := checkMatch(r, ifMatch); err != nil {
		return r, err
	}
	r.wantedVersion = r.Version + 1
	return r, nil
}

// startRun opens a run of a kind for r, in the place of one that is still open,
// and makes r pending and due. Work under way on what was wanted before is
// told to stop.
func (s *Service) startRun(ctx context.Context, tx *sqldb.Tx, r Resource, kind RunKind) (Resource, error) {
	superseded, err := s.db.supersede(ctx, tx, r.ID, tx.Now())
	if err != nil {
		return r, err
	}
	run := s.newRun(ctx, r, kind, tx.Now())
	if err := s.db.insertRun(ctx, tx, run); err != nil {
		return r, err
	}
	r.RunID, r.Reason, r.Message, r.Hint = run.ID, "", "", ""
	r.Phase = Pending
	if kind == RunDestroy {
		r.Phase = Destroying
		if r.lettingGo {
			r.Phase = Releasing
		}
	}
	if err := s.db.update(ctx, tx, &r); err != nil {
		return r, err
	}
	if superseded {
		if _, err := queue.RequestCancel(ctx, tx, r.ID); err != nil {
			return r, err
		}
	}
	return r, s.enqueue(ctx, tx, r, 0)
}

// checkMatch refuses a change when somebody has changed what is wanted since
// the caller looked. What workers and the observer note meanwhile is no
// reason to refuse.
func checkMatch(r Resource, ifMatch int64) error {
	if ifMatch != 0 && (ifMatch < r.wantedVersion || ifMatch > r.Version) {
		return fault.New(fault.Stale, "stale_version", "%s was changed since you looked at it", r.Name).
			WithHint("look at it again, then repeat what you wanted")
	}
	return nil
}

func beingDestroyed(r Resource) error {
	if !r.DestroyedAt.IsZero() {
		return destroyedAlready(r)
	}
	if r.lettingGo {
		return fault.New(fault.Conflict, "being_released", "%s is being let go of", r.Name).WithHint("%s", r.Pasted("look at it: fairlead describe RESOURCE"))
	}
	return fault.New(fault.Conflict, "being_destroyed", "%s is being destroyed", r.Name).
		WithHint("%s", r.Pasted("wait until it is gone: fairlead destroy RESOURCE --wait"))
}

func destroyedAlready(r Resource) error {
	if r.lettingGo {
		return fault.New(fault.Conflict, "released", "%s was let go of; it is not managed here any more", r.Name).WithHint("take it over again: fairlead adopt")
	}
	return fault.New(fault.Conflict, "destroyed", "%s is destroyed", r.Name).WithHint("request a new one; the name is free")
}
