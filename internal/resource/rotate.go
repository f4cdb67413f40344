package resource

import (
	"context"
	"errors"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/queue"
	"fairlead/internal/sqldb"
)

func notRotatable(template string) error {
	return fault.New(fault.Invalid, "not_rotatable", "resources of template %s have no credentials to rotate", template)
}

// rotate gives the resource new credentials.
func (w *work) rotate(ctx context.Context) error {
	rotator, ok := w.eng.(engine.Rotator)
	if !ok {
		return w.fail(ctx, notRotatable(w.res.Template))
	}
	req, err := w.prepare(ctx)
	var waiting errWaiting
	if errors.As(err, &waiting) {
		return w.waitFor(ctx, waiting)
	}
	if err != nil {
		return w.fail(ctx, err)
	}
	if on, err := w.step(ctx, "run.rotate", Applying, nil); !on {
		return err
	}
	var result engine.Result
	rotation := w.res.rotation
	err = w.external(ctx, "applying", "engine.rotate", func() error {
		result, err = rotator.Rotate(ctx, req, rotation, w.log)
		return err
	})
	if err != nil {
		return w.fail(ctx, err)
	}
	if err := w.verify(ctx, req, result); err != nil {
		return w.fail(ctx, err)
	}
	return w.succeed(ctx, result, func(r *Resource) {
		r.appliedRotation = rotation
		r.RetireAt = r.ObservedAt.Add(max(req.LifeCycle.RotationOverlap, time.Microsecond))
	})
}

// retireIfDue ends the credentials before the last rotation, when it is time,
// whatever else the resource waits for. What stands in the way is told and
// tried again; the resource itself works meanwhile, and its run goes on.
func (w *work) retireIfDue(ctx context.Context) (ended bool, err error) {
	if w.res.RetireAt.IsZero() {
		return false, nil
	}
	now, err := w.s.DB.Now(ctx)
	if err != nil {
		return true, err
	}
	if now.Before(w.res.RetireAt) {
		return false, nil
	}
	if err := w.retire(ctx); err != nil {
		if w.run.ID != "" {
			w.log.add("warn", "credentials from before the last rotation could not be ended yet")
			return false, nil
		}
		return true, w.retireLater(ctx, err)
	}
	return true, w.retired(ctx)
}

func (w *work) retire(ctx context.Context) error {
	rotator, ok := w.eng.(engine.Rotator)
	if !ok {
		return notRotatable(w.res.Template)
	}
	req, err := w.requestForEnd(ctx)
	if err != nil {
		return err
	}
	failpoint.Hit("engine.retire.before")
	err = rotator.Retire(ctx, req)
	failpoint.Hit("engine.retire.after")
	return err
}

func (w *work) retired(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	w.log.add("info", "the credentials from before the last rotation ended")
	return w.write(ctx, "run.retired", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		r.RetireAt = time.Time{}
		if r.Reason == retireFailed {
			r.Reason, r.Message, r.Hint = "", "", ""
		}
		if err := w.s.db.update(ctx, tx, &r); err != nil {
			return err
		}
		w.audit(ctx, tx, "resource:retire-credentials", nil)
		again := time.Duration(0)
		if w.run.ID != "" { // its turn comes now
			again = time.Millisecond
		}
		return w.claim.Done(ctx, tx, again)
	})
}

const retireFailed = "retire_failed"

func (w *work) retireLater(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil { // fenced, stopping, canceled: fail knows
		return w.fail(ctx, err)
	}
	wait := queue.Backoff(w.claim.Attempt)
	w.s.Log.Warn("old credentials could not be ended; it is tried again", "resource", w.res.ID, "error", w.text(err.Error()))
	return w.write(ctx, "run.retire-later", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if !w.overtaken(r) && r.Phase == Ready && r.Reason != retireFailed {
			r.Reason, r.Message = retireFailed, "the credentials from before the last rotation still work"
			r.Hint = "ending them is tried again by itself"
			if err := w.s.db.update(ctx, tx, &r); err != nil {
				return err
			}
		}
		return w.claim.Retry(ctx, tx, wait, retireFailed)
	})
}
