package resource

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Drifts says what is done about what is not as wanted, and remembers it.
type Drifts interface {
	// Judge says what follows from sights, before any of them is locked.
	Judge(ctx context.Context, tx *sqldb.Tx, sights []drift.Sight) ([]drift.Verdict, error)
	// Record remembers a sight and what follows; repair is the run that began.
	Record(ctx context.Context, tx *sqldb.Tx, s drift.Sight, v drift.Verdict, repair string) error
	// Settle ends what is open of a resource that a run made or took away.
	Settle(ctx context.Context, tx *sqldb.Tx, r drift.Subject, how drift.Resolution) error
	// Repair notes that a person had a repair begun.
	Repair(ctx context.Context, tx *sqldb.Tx, resourceID, runID string) error
	// Refuse notes that a repair would have destroyed something.
	Refuse(ctx context.Context, tx *sqldb.Tx, resourceID string) error
}

// Acceptances remembers what people said is fine.
type Acceptances interface {
	// Accept says so of all that is open of a resource.
	Accept(ctx context.Context, tx *sqldb.Tx, r drift.Subject, by, reason string) ([]engine.Drift, error)
}

// Checks are looks that people asked for.
type Checks interface {
	Request(ctx context.Context, tx *sqldb.Tx, resourceID, by string) (c drift.Check, fresh bool, err error)
	Requested(ctx context.Context, limit int) (resourceIDs []string, err error)
	Begin(ctx context.Context, resourceIDs []string) error
	End(ctx context.Context, tx *sqldb.Tx, resourceID, outcome, message string) error
	Follow(ctx context.Context, id string, began bool, limit time.Duration) (drift.Check, error)
}

// HealDrift has what is not as wanted put right now, whatever the template
// says of it and whatever the brake holds. A repair that is under way already
// is success.
func (s *Service) HealDrift(ctx context.Context, w Where) (Resource, error) {
	l, err := s.locate(ctx, w, access.ResourceUpdate)
	if err != nil {
		return Resource{}, err
	}
	var r Resource
	err = s.DB.Write(ctx, "resource.heal", func(tx *sqldb.Tx) error {
		var err error
		if r, err = s.db.lock(ctx, tx, l.ID); err != nil {
			return err
		}
		switch {
		case !r.DestroyWantedAt.IsZero():
			return beingDestroyed(r)
		case !r.Phase.Settled():
			run, err := s.db.run(ctx, tx, r.RunID)
			if err == nil && run.Kind == RunHeal {
				return nil
			}
			return busy(r)
		case r.Phase != Ready:
			return fault.New(fault.Conflict, "not_ready", "%s is %s; a repair is for what is ready", r.Name, r.Phase).
				WithHint("see why: fairlead why %s -e %s/%s", r.Name, r.Project, r.Environment)
		case !amiss(r.Drift):
			return drift.NoDrift(r.subject())
		}
		seen := r.Drift
		if r, err = s.startRun(ctx, tx, r, RunHeal); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: healing, Target: l.env.target("resource", r.ID, r.Name, r.Template), Decision: l.decision,
			Details: map[string]any{"revision": r.Revision, "run": r.RunID, "drift": shownDrift(seen)}})
		return s.Drifts.Repair(ctx, tx, r.ID, r.RunID)
	})
	return r, err
}

func busy(r Resource) error {
	return fault.New(fault.Conflict, "not_ready", "%s is %s", r.Name, r.Phase).
		WithHint("its run looks at it; wait for that: fairlead get %s -e %s/%s", r.Name, r.Project, r.Environment)
}

func amiss(list []engine.Drift) bool {
	for _, d := range list {
		if d.Severity != engine.Ignore {
			return true
		}
	}
	return false
}

// AcceptDrift says that what is not as wanted is fine until it changes again,
// or the resource is made anew.
func (s *Service) AcceptDrift(ctx context.Context, w Where, reason string) (Resource, error) {
	l, err := s.locate(ctx, w, access.DriftAccept)
	if err != nil {
		return Resource{}, err
	}
	if err := drift.CheckReason(reason); err != nil {
		return Resource{}, err
	}
	var r Resource
	err = s.DB.Write(ctx, "drift.accept", func(tx *sqldb.Tx) error {
		var err error
		if r, err = s.db.lock(ctx, tx, l.ID); err != nil {
			return err
		}
		if !r.DestroyWantedAt.IsZero() {
			return beingDestroyed(r)
		}
		if !r.Phase.Settled() { // a repair is under way, and would undo it
			return busy(r)
		}
		accepted, err := s.Acceptances.Accept(ctx, tx, r.subject(), principal.From(ctx).ID, reason)
		if err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: string(access.DriftAccept), Target: l.env.target("resource", r.ID, r.Name, r.Template), Decision: l.decision,
			Details: map[string]any{"reason": reason, "drift": shownDrift(accepted)}})
		for _, d := range r.Drift { // what was accepted before stays so
			if d.Severity == engine.Ignore {
				accepted = append(accepted, d)
			}
		}
		r.Drift = accepted
		if r.Reason == reasonAsks || r.Reason == reasonDoesNotHold || r.Reason == "drift" || r.Reason == "mass_drift" {
			r.Reason, r.Message, r.Hint = "", "", ""
		}
		return s.db.update(ctx, tx, &r)
	})
	return r, err
}

// CheckDrift asks for a look at a resource now. Follow it with Check.
func (s *Service) CheckDrift(ctx context.Context, w Where) (drift.Check, error) {
	l, err := s.locate(ctx, w, access.ResourceUpdate)
	if err != nil {
		return drift.Check{}, err
	}
	var c drift.Check
	err = s.DB.Write(ctx, "drift.ask", func(tx *sqldb.Tx) error {
		r, err := s.db.lock(ctx, tx, l.ID)
		if err != nil {
			return err
		}
		switch {
		case !r.DestroyWantedAt.IsZero():
			return beingDestroyed(r)
		case r.Phase != Ready && r.Phase != Lost:
			return busy(r)
		}
		var fresh bool
		c, fresh, err = s.Checks.Request(ctx, tx, r.ID, principal.From(ctx).ID)
		if err == nil && fresh {
			audit.Append(ctx, tx, audit.Entry{Action: "drift:check", Target: l.env.target("resource", r.ID, r.Name, r.Template), Decision: l.decision,
				Details: map[string]any{"check": c.ID}})
		}
		return err
	})
	return c, err
}

// Check gives a look that somebody asked for, once it has gone further than
// the caller knows, and after at most limit as it is then.
func (s *Service) Check(ctx context.Context, id string, began bool, limit time.Duration) (drift.Check, error) {
	missing := fault.New(fault.NotFound, "check_not_found", "no look with this id").WithHint("ask for one: fairlead drift check RESOURCE")
	c, err := drift.Check{}, sql.ErrNoRows
	if ident.IsRef(id) {
		c, err = s.Checks.Follow(ctx, id, began, 0)
	}
	if errors.Is(err, sql.ErrNoRows) {
		if err := signedIn(ctx); err != nil {
			return drift.Check{}, err
		}
		return drift.Check{}, missing
	}
	if err != nil {
		return drift.Check{}, err
	}
	if _, err := s.locateID(ctx, c.ResourceID, access.ResourceView); err != nil {
		if fault.Is(err, fault.NotFound) {
			err = missing
		}
		return drift.Check{}, err
	}
	if limit <= 0 {
		return c, nil
	}
	return s.Checks.Follow(ctx, id, began, limit)
}

// destructive tells whether a repair that nobody asked for would destroy
// something of a resource that holds data.
func (w *work) destructive(req engine.Request, plan engine.Plan) bool {
	return w.run.Kind == RunHeal && w.run.RequestedBy == principal.System.ID && req.LifeCycle.Stateful && plan.Destructive()
}

// refuseRepair leaves such a resource as it is, for a person.
func (w *work) refuseRepair(ctx context.Context, plan engine.Plan) error {
	place := w.res.Name + " -e " + w.res.Project + "/" + w.res.Environment
	f := fault.New(fault.Conflict, "repair_would_destroy", "to put it right by itself, data might be destroyed: %s", PlanSummary(plan)).
		WithHint("see what it would do: fairlead plan --change %[1]s; do it with: fairlead drift heal %[1]s, or say that it is fine with: fairlead drift accept %[1]s --reason TEXT", place)
	w.log.add("warn", f.Message)
	return w.write(ctx, "run.refuse", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if w.overtaken(r) {
			return w.claim.Done(ctx, tx, time.Millisecond)
		}
		text, digest := written(plan)
		if err := w.s.db.waits(ctx, tx, w.run.ID, text, digest); err != nil {
			return err
		}
		if err := w.s.db.finish(ctx, tx, w.run.ID, RunFailed, f.Code, f.Message, f.Hint); err != nil {
			return err
		}
		if err := w.s.Drifts.Refuse(ctx, tx, r.ID); err != nil {
			return err
		}
		r.Phase, r.Reason, r.Message, r.Hint = Ready, reasonAsks, f.Message, f.Hint
		r.observeAt = tx.Now().Add(spread(w.s.interval(r.Engine, w.tmpl)))
		if err := w.s.db.update(ctx, tx, &r); err != nil {
			return err
		}
		w.audit(ctx, tx, "run:refuse", map[string]any{"code": f.Code, "plan": PlanSummary(plan)})
		return w.claim.Done(ctx, tx, nextTurn(tx, r))
	})
}
