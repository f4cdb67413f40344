package resource

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/sqldb"
)

// work is one claim of one resource: what the records say, and what they say
// it needs.
type work struct {
	s     *Service
	claim *queue.Claim
	res   Resource
	run   Run // the open run; zero when nothing asked for one
	env   Environment
	tmpl  Template
	eng   engine.Engine
	log   *runLog
}

// Reconcile is the queue's handler: it compares what is wanted with what is
// recorded as made, and closes the gap. It never replays steps: each call
// looks anew.
func (s *Service) Reconcile(ctx context.Context, c *queue.Claim) error {
	ctx = principal.With(ctx, principal.System)
	w := &work{s: s, claim: c}
	err := w.load(ctx)
	if errors.Is(err, sql.ErrNoRows) {
		// No record explains the job; without one there is nothing to do.
		return c.Write(ctx, "run.orphan", func(tx *sqldb.Tx) error { return c.Remove(ctx, tx) })
	}
	if err != nil {
		return w.fail(ctx, err)
	}
	switch {
	case !w.res.DestroyedAt.IsZero():
		return c.Write(ctx, "run.gone", func(tx *sqldb.Tx) error { return c.Remove(ctx, tx) })
	case w.cancelAsked() && w.run.Kind != RunDestroy:
		return w.canceled(ctx)
	case !w.res.DestroyWantedAt.IsZero():
		return w.destroy(ctx)
	case w.res.Phase == Lost && w.run.ID == "":
		return w.rest(ctx, 0)
	case w.res.Revision != w.res.AppliedRevision && w.run.ID != "", w.run.Kind == RunApply, w.run.Kind == RunHeal:
		return w.apply(ctx)
	case w.res.rotation != w.res.appliedRotation && w.run.ID != "":
		return w.rotate(ctx)
	case !w.res.RetireAt.IsZero():
		return w.retireOrWait(ctx)
	}
	return w.rest(ctx, 0)
}

func (w *work) cancelAsked() bool { return w.run.ID != "" && (w.run.CancelAsked || w.claim.Canceled) }

func (w *work) load(ctx context.Context) error {
	var err error
	if w.res, err = w.s.db.byID(ctx, w.s.DB.Read(), w.claim.Key); err != nil {
		return err
	}
	if w.run, err = w.s.db.openRun(ctx, w.s.DB.Read(), w.res.ID); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	w.log = newRunLog(w)
	if w.env, err = w.s.Environments.Load(ctx, w.res.EnvironmentID); err != nil {
		return err
	}
	if w.tmpl, err = w.s.Templates.Load(ctx, w.res.Template, w.res.TemplateVersion); err != nil {
		return err
	}
	eng, ok := w.s.Engines[w.res.Engine]
	if !ok {
		return fault.New(fault.Unavailable, "engine_unavailable", "this server has no engine %q", w.res.Engine).
			WithHint("ask the platform team to configure it")
	}
	w.eng = eng
	return nil
}

// write is a fenced write with the log lines that have come up.
func (w *work) write(ctx context.Context, op string, fn func(tx *sqldb.Tx) error) error {
	lines := w.log.take()
	err := w.claim.Write(ctx, op, func(tx *sqldb.Tx) error {
		if w.run.ID != "" {
			if err := w.s.db.appendLog(ctx, tx, w.run.ID, lines); err != nil {
				return err
			}
		}
		tx.Notify(topic(w.res.ID), "")
		return fn(tx)
	})
	if err != nil {
		w.log.putBack(lines)
	}
	return err
}

// rest ends the claim with nothing to do.
func (w *work) rest(ctx context.Context, again time.Duration) error {
	return w.claim.Write(ctx, "run.rest", func(tx *sqldb.Tx) error { return w.claim.Done(ctx, tx, again) })
}

// phase records where the work is, for whoever watches.
func (w *work) phase(ctx context.Context, op string, p Phase, runPhase string, plan *engine.Plan) error {
	return w.write(ctx, op, func(tx *sqldb.Tx) error {
		if runPhase == "planning" || w.res.Phase == Pending || w.res.Phase == Retrying {
			if err := w.s.db.begin(ctx, tx, w.run.ID, w.claim.Fence); err != nil {
				return err
			}
		}
		if err := w.s.db.runPhase(ctx, tx, w.run.ID, runPhase, plan, planDigest(plan)); err != nil {
			return err
		}
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if w.overtaken(r) {
			return nil // the phase belongs to what was asked for since
		}
		r.Phase, r.Reason, r.Message, r.Hint = p, "", "", ""
		return w.s.db.update(ctx, tx, &r)
	})
}

// overtaken tells whether something newer was asked for since this work began.
func (w *work) overtaken(r Resource) bool {
	return r.Revision != w.res.Revision || r.DestroyWantedAt != w.res.DestroyWantedAt || r.rotation != w.res.rotation
}

// fail ends an attempt that did not work out: final when trying again cannot
// help, to be retried after a backoff otherwise. In both cases the resource
// says what is wrong and what to do.
func (w *work) fail(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(err, queue.ErrFenced), errors.Is(cause, queue.ErrFenced):
		return queue.ErrFenced
	case errors.Is(cause, queue.ErrStopping):
		return cause
	case errors.Is(cause, queue.ErrCanceled) && w.run.Kind != RunDestroy:
		return w.canceled(context.WithoutCancel(ctx))
	}
	ctx = context.WithoutCancel(ctx)
	f := fault.From(err)
	message, hint := f.Message, f.Hint
	if f.Kind == fault.Internal {
		w.s.Log.Error("a run failed for an unforeseen reason", "resource", w.res.ID, "run", w.run.ID, "error", err)
		message, hint = "internal error in engine "+w.res.Engine, "quote the run's id to the platform team"
	} else {
		w.s.Log.Info("a run failed", "resource", w.res.ID, "run", w.run.ID, "code", f.Code, "error", err)
	}
	final := f.Kind == fault.Invalid || f.Kind == fault.Conflict || f.Kind == fault.NotFound || f.Kind == fault.Denied
	if w.log != nil {
		w.log.add("error", message)
	}
	if final && w.res.DestroyWantedAt.IsZero() {
		phase := Failed
		if f.Code == codeLost {
			phase = Lost
		}
		return w.giveUp(ctx, phase, f.Code, message, hint)
	}
	wait := queue.Backoff(w.claim.Attempt)
	return w.retryLater(ctx, f.Code, message, hint, wait)
}

// codeLost is the code of an engine's fault for data that is gone.
const codeLost = "resource_lost"

func (w *work) retryLater(ctx context.Context, code, message, hint string, wait time.Duration) error {
	if w.log != nil {
		w.log.add("warn", "trying again in "+wait.Round(100*time.Millisecond).String())
	} else {
		w.log = newRunLog(w)
	}
	return w.write(ctx, "run.retry", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if !w.overtaken(r) {
			if r.DestroyWantedAt.IsZero() {
				r.Phase = Retrying
			}
			r.Reason, r.Message, r.Hint = code, message, hint
			if err := w.s.db.update(ctx, tx, &r); err != nil {
				return err
			}
		}
		return w.claim.Retry(ctx, tx, wait, code)
	})
}

// giveUp closes the run as failed; the resource needs a person.
func (w *work) giveUp(ctx context.Context, phase Phase, code, message, hint string) error {
	if w.log == nil {
		w.log = newRunLog(w)
	}
	return w.write(ctx, "run.fail", func(tx *sqldb.Tx) error {
		if err := w.s.db.finish(ctx, tx, w.run.ID, RunFailed, code, message, hint); err != nil {
			return err
		}
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if !w.overtaken(r) {
			r.Phase, r.Reason, r.Message, r.Hint = phase, code, message, hint
			if err := w.s.db.update(ctx, tx, &r); err != nil {
				return err
			}
		}
		w.audit(ctx, tx, "run:fail", map[string]any{"code": code, "message": message})
		return w.claim.Done(ctx, tx, 0)
	})
}

// canceled closes the run on request.
func (w *work) canceled(ctx context.Context) error {
	w.log.add("warn", "canceled on request")
	return w.write(ctx, "run.canceled", func(tx *sqldb.Tx) error {
		if err := w.s.db.finish(ctx, tx, w.run.ID, RunCanceled, "canceled", "canceled on request", ""); err != nil {
			return err
		}
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if !w.overtaken(r) {
			r.Phase, r.Reason, r.Message = Canceled, "canceled", "the run was canceled; what it had made is still there"
			r.Hint = "go on with: fairlead retry " + r.Name + ", or take it away with: fairlead destroy " + r.Name
			if err := w.s.db.update(ctx, tx, &r); err != nil {
				return err
			}
		}
		w.audit(ctx, tx, "run:canceled", nil)
		return w.claim.Done(ctx, tx, 0)
	})
}

// audit records what the system did about this resource.
func (w *work) audit(ctx context.Context, tx *sqldb.Tx, action string, details map[string]any) {
	if details == nil {
		details = map[string]any{}
	}
	details["run"], details["revision"], details["fence"] = w.run.ID, w.res.Revision, w.claim.Fence
	w.s.systemAudit(ctx, tx, action, w.env, w.res, details)
}
