package resource

import (
	"context"
	"strings"
	"time"

	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

// destroy is the end: engine, look, and only then "destroyed". A destroy never
// gives up; what stands in its way is told and tried again.
func (w *work) destroy(ctx context.Context) error {
	users, err := w.s.db.referrers(ctx, w.s.DB.Read(), w.res.ID, false)
	if err != nil {
		return w.fail(ctx, err)
	}
	if len(users) > 0 { // they are on their way out, or Destroy had refused
		return w.waitForReferrers(ctx, users)
	}
	if w.res.lettingGo {
		return w.letGo(ctx)
	}
	req, err := w.requestForEnd(ctx)
	if err != nil {
		return w.fail(ctx, err)
	}
	if on, err := w.enter(ctx, "run.destroy", Destroying, w.planEnd()); !on {
		return err
	}
	err = w.external(ctx, "destroying", "engine.destroy", func() error { return w.eng.Destroy(ctx, req, w.log) })
	if err != nil {
		return w.fail(ctx, err)
	}
	if err := w.seenGone(ctx, req); err != nil {
		return w.fail(ctx, err)
	}
	return w.ended(ctx, Destroyed, "resource:destroyed", map[string]any{"lookedFor": w.res.Objects, "found": "nothing", "snapshot": w.keptAt(ctx, req)})
}

// planEnd is the plan of a destroy: all that is recorded goes.
func (w *work) planEnd() engine.Plan {
	p := engine.Plan{Changes: []engine.Change{}}
	for _, o := range w.res.Objects {
		p.Changes = append(p.Changes, engine.Change{Address: o.Kind + "." + o.Name, Kind: o.Kind, Action: engine.Delete})
	}
	return p
}

// requestForEnd is the engine's request for taking away: inputs that can no
// longer be resolved do not hold it up.
func (w *work) requestForEnd(ctx context.Context) (engine.Request, error) {
	inputs, err := w.resolve(ctx)
	if err != nil {
		inputs = w.res.Inputs
	}
	req, err := w.request(inputs)
	if keeper, can := w.eng.(engine.Snapshotter); err == nil && can && !req.LifeCycle.SnapshotOnDestroy && keeper.CanSnapshot(req) {
		var wanted int
		err = w.s.DB.Read().QueryRowContext(ctx, `SELECT snapshot_wanted FROM resources WHERE id = $1`, w.res.ID).Scan(&wanted)
		req.LifeCycle.SnapshotOnDestroy = wanted == 1
	}
	return req, err
}

// keptAt is where the last snapshot is; "" when there is none.
func (w *work) keptAt(ctx context.Context, req engine.Request) string {
	keeper, can := w.eng.(engine.Snapshotter)
	if !can || !req.LifeCycle.SnapshotOnDestroy {
		return ""
	}
	at, err := keeper.LastSnapshot(ctx, req)
	if err != nil {
		w.s.Log.Warn("where a last snapshot is is not known", "resource", w.res.ID, "error", w.text(err.Error()))
	}
	return at
}

// seenGone asks the engine to look for what Destroy removed.
func (w *work) seenGone(ctx context.Context, req engine.Request) error {
	req.Previous = nil // nothing may be inferred from what was
	seen, err := w.look(ctx, req)
	if err != nil {
		return err
	}
	if seen.Presence == engine.Absent {
		w.log.step("destroying", "looked for and not found")
		return nil
	}
	left := []string{}
	for _, o := range seen.Objects {
		left = append(left, o.Kind+" "+o.Name)
	}
	return fault.New(fault.Unavailable, "still_there", "it was removed, but is still seen: %s", strings.Join(left, ", ")).
		WithHint("it is tried again by itself")
}

// ended records that a resource is destroyed, or let go of.
func (w *work) ended(ctx context.Context, how Phase, action string, details map[string]any) error {
	ctx = context.WithoutCancel(ctx)
	return w.write(ctx, "run.destroyed", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if len(r.Drift) > 0 {
			if err := w.s.Drifts.Settle(ctx, tx, r.subject(), drift.Destroyed); err != nil {
				return err
			}
		}
		r.Phase, r.Reason, r.Message, r.Hint = how, "", "", ""
		r.DestroyedAt, r.Outputs, r.Objects, r.Drift, r.state = tx.Now(), map[string]Output{}, nil, nil, ""
		r.RetireAt = time.Time{}
		if err := w.s.db.update(ctx, tx, &r); err != nil {
			return err
		}
		if err := w.s.db.scheduleObservation(ctx, tx, r.ID, time.Time{}); err != nil {
			return err
		}
		if err := w.s.Secrets.Delete(ctx, tx, r.ID); err != nil {
			return err
		}
		if err := w.adopted(ctx, tx); err != nil {
			return err
		}
		if err := w.s.Gates.Release(ctx, tx, w.gone(), gate.Gone); err != nil {
			return err
		}
		targets, err := sqldb.Collect(ctx, tx, sqldb.Text, `SELECT DISTINCT target_id FROM resource_references WHERE resource_id = $1`, r.ID)
		if err != nil {
			return err
		}
		if err := w.s.db.replaceReferences(ctx, tx, r.ID, nil); err != nil {
			return err
		}
		for _, id := range targets { // what waited for this one to go
			target, err := w.s.db.byID(ctx, tx, id)
			if err != nil {
				return err
			}
			if !target.DestroyWantedAt.IsZero() && target.DestroyedAt.IsZero() {
				if err := w.s.enqueue(ctx, tx, target, 0); err != nil {
					return err
				}
			}
		}
		if err := w.s.db.finish(ctx, tx, w.run.ID, RunSucceeded, "", "", ""); err != nil {
			return err
		}
		w.audit(ctx, tx, action, details)
		if how == Released {
			if err := w.s.tell(ctx, tx, "resource.released", r, details); err != nil {
				return err
			}
		}
		return w.claim.Remove(ctx, tx)
	})
}

func (w *work) waitForReferrers(ctx context.Context, users []string) error {
	message := "waits until " + strings.Join(users, ", ") + " is destroyed"
	return w.write(ctx, "run.wait", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if r.Message != message {
			r.Reason, r.Message, r.Hint = "waiting_for_referrers", message, "it goes on by itself"
			if err := w.s.db.update(ctx, tx, &r); err != nil {
				return err
			}
		}
		return w.claim.Done(ctx, tx, 30*time.Second)
	})
}
