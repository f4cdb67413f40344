package resource

import (
	"context"
	"errors"
	"slices"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/sqldb"
)

// codeLost is the code of an engine's fault for data that is gone.
const codeLost = "resource_lost"

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
	case errors.Is(err, errOvertaken):
		return w.lookAgain(ctx)
	case errors.Is(cause, queue.ErrCanceled):
		return w.interrupted(context.WithoutCancel(ctx))
	}
	ctx = context.WithoutCancel(ctx)
	f := fault.From(err)
	message, hint := w.text(f.Message), w.res.Pasted(w.text(f.Hint))
	if f.Kind == fault.Internal {
		w.s.Log.Error("a run failed for an unforeseen reason", "resource", w.res.ID, "run", w.run.ID, "error", w.text(err.Error()))
		message, hint = "internal error in engine "+w.res.Engine, "quote the run's id to the platform team"
	} else {
		w.s.Log.Info("a run failed", "resource", w.res.ID, "run", w.run.ID, "code", f.Code, "error", w.text(err.Error()))
	}
	w.log.add("error", message)
	if f.Kind == fault.Denied && w.run.Kind == RunDestroy && w.run.passed == nil {
		return w.spare(ctx, f.Code, message, hint)
	}
	if final(f.Kind) && w.res.DestroyWantedAt.IsZero() && w.run.ID != "" {
		phase := Failed
		if f.Code == codeLost {
			phase = Lost
		}
		return w.giveUp(ctx, phase, f.Code, message, hint, f.Kind == fault.Denied && w.run.passed == nil)
	}
	return w.retryLater(ctx, f.Code, message, hint)
}

// final tells whether trying the same again cannot help.
func final(k fault.Kind) bool {
	return k == fault.Invalid || k == fault.Conflict || k == fault.NotFound || k == fault.Denied
}

// retryLater ends the claim until a backoff is over. The run stays open.
func (w *work) retryLater(ctx context.Context, code, message, hint string) error {
	wait := queue.Backoff(w.claim.Attempt)
	w.log.add("warn", "trying again in "+wait.Round(100*time.Millisecond).String())
	return w.write(ctx, "run.retry", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if !w.overtaken(r) {
			if !w.begun && w.run.ID != "" {
				if err := w.s.db.begin(ctx, tx, w.run.ID, w.claim.Fence); err != nil {
					return err
				}
			}
			if r.DestroyWantedAt.IsZero() && w.run.ID != "" {
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

// giveUp closes the run as failed; the resource needs a person. told is that the
// gates refused it, who tell of that by themselves.
func (w *work) giveUp(ctx context.Context, phase Phase, code, message, hint string, told bool) error {
	return w.write(ctx, "run.fail", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if !w.begun {
			if err := w.s.db.begin(ctx, tx, w.run.ID, w.claim.Fence); err != nil {
				return err
			}
		}
		if err := w.s.db.finish(ctx, tx, w.run.ID, RunFailed, code, message, hint); err != nil {
			return err
		}
		if !w.overtaken(r) {
			r.Phase, r.Reason, r.Message, r.Hint = phase, code, message, hint
			if err := w.s.db.update(ctx, tx, &r); err != nil {
				return err
			}
			if phase == Lost { // it may come back: somebody restores it
				if err := w.s.db.scheduleObservation(ctx, tx, r.ID, tx.Now().Add(spread(w.s.interval(r.Engine, w.tmpl)))); err != nil {
					return err
				}
			}
		}
		w.audit(ctx, tx, "run:fail", map[string]any{"code": code, "message": message})
		if !told {
			if err := w.tellFailed(ctx, tx, code, message, hint); err != nil {
				return err
			}
		}
		return w.claim.Done(ctx, tx, nextTurn(tx, r))
	})
}

// tellFailed tells who asked for the run, and who asked for the resource, that
// it has failed.
func (w *work) tellFailed(ctx context.Context, tx *sqldb.Tx, code, message, hint string) error {
	to := []string{}
	for _, id := range []string{w.run.RequestedBy, w.res.CreatedBy} {
		if id != "" && id != principal.System.ID && !slices.Contains(to, id) {
			to = append(to, id)
		}
	}
	r := w.res
	return event.Emit(ctx, tx, event.Event{Type: event.RunFailed, Subject: r.ID, TeamID: r.TeamID, ProjectID: r.ProjectID, EnvironmentID: r.EnvironmentID, To: to, Data: map[string]any{
		"resource": r.Name, "project": r.Project, "environment": r.Environment, "run": w.run.ID, "kind": w.run.Kind, "code": code, "message": message, "hint": hint}})
}

// spare lets a resource live on whose destroy the gates refuse.
func (w *work) spare(ctx context.Context, code, message, hint string) error {
	return w.write(ctx, "run.spare", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if err := w.s.db.finish(ctx, tx, w.run.ID, RunFailed, code, message, hint); err != nil {
			return err
		}
		r.DestroyWantedAt = time.Time{}
		if err := tx.Later(ctx, `UPDATE resources SET letting_go = 0 WHERE id = $1`, r.ID); err != nil {
			return err
		}
		r.Phase, r.Reason, r.Message, r.Hint = Failed, code, message, hint
		if r.AppliedRevision == r.Revision {
			r.Phase, r.Message = Ready, "not destroyed: "+message
		}
		r.wantedVersion = r.Version + 1
		if err := w.s.db.update(ctx, tx, &r); err != nil {
			return err
		}
		w.audit(ctx, tx, "resource:spared", map[string]any{"code": code, "message": message})
		return w.claim.Done(ctx, tx, nextTurn(tx, r))
	})
}

// gone is what the gates need to let go of a resource.
func (w *work) gone() gate.Facts {
	return gate.Facts{ResourceID: w.res.ID, Resource: w.res.Name, RunID: w.run.ID, Environment: w.env.gate()}
}

// interrupted ends work that was told to stop: because somebody canceled its
// run, or because something newer was asked for.
func (w *work) interrupted(ctx context.Context) error {
	run, err := w.s.db.run(ctx, w.s.DB.Read(), w.run.ID)
	if err == nil && run.Status == RunRunning && run.CancelAsked && run.Kind != RunDestroy {
		return w.canceled(ctx)
	}
	w.log.add("warn", "interrupted by something newer")
	return w.lookAgain(ctx)
}

// canceled closes the run on request.
func (w *work) canceled(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	w.log.add("warn", "canceled on request")
	return w.write(ctx, "run.canceled", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if err := w.s.db.finish(ctx, tx, w.run.ID, RunCanceled, "canceled", "canceled on request", ""); err != nil {
			return err
		}
		if err := w.s.Gates.Release(ctx, tx, w.gone(), gate.Canceled); err != nil {
			return err
		}
		if !w.overtaken(r) {
			r.Phase, r.Reason, r.Message = Canceled, "canceled", "the run was canceled; what it had made is still there"
			r.Hint = r.Pasted("go on with: fairlead retry " + r.Name + ", or take it away with: fairlead destroy " + r.Name)
			if err := w.s.db.update(ctx, tx, &r); err != nil {
				return err
			}
		}
		w.audit(ctx, tx, "run:canceled", nil)
		return w.claim.Done(ctx, tx, nextTurn(tx, r))
	})
}

// audit records what the system did about this resource.
func (w *work) audit(ctx context.Context, tx *sqldb.Tx, action string, details map[string]any) {
	if details == nil {
		details = map[string]any{}
	}
	details["run"], details["revision"], details["fence"] = w.run.ID, w.res.Revision, w.claim.Fence
	systemAudit(ctx, tx, action, w.res, details)
}

// systemAudit records what Fairlead did by itself.
func systemAudit(ctx context.Context, tx *sqldb.Tx, action string, r Resource, details map[string]any) {
	audit.Append(ctx, tx, audit.Entry{Action: action, Target: r.target(),
		Decision: access.Decision{Allowed: true, Policies: []string{"system"}}, Details: details})
}
