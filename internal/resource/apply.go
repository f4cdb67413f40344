package resource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// apply is plan → apply → verify → outputs.
func (w *work) apply(ctx context.Context) error {
	req, err := w.prepare(ctx)
	var waiting errWaiting
	if errors.As(err, &waiting) {
		return w.waitFor(ctx, waiting)
	}
	if err != nil {
		return w.fail(ctx, err)
	}
	plan, err := w.eng.Plan(ctx, req)
	if err != nil {
		return w.fail(ctx, err)
	}
	w.log.step("planning", "%s", planSummary(plan))
	if err := w.phase(ctx, "run.apply", Applying, "applying", &plan); err != nil {
		return w.fail(ctx, err)
	}
	stop := w.log.stream(ctx, "applying")
	failpoint.Hit("engine.apply.before")
	result, err := w.eng.Apply(ctx, req, plan, w.log)
	failpoint.Hit("engine.apply.after")
	stop()
	if err != nil {
		return w.fail(ctx, err)
	}
	if err := w.verify(ctx, req, result); err != nil {
		return w.fail(ctx, err)
	}
	return w.succeed(ctx, result, func(r *Resource) { r.AppliedRevision = w.res.Revision })
}

// prepare builds the engine's request from the records.
func (w *work) prepare(ctx context.Context) (engine.Request, error) {
	inputs, err := w.s.resolve(ctx, w.res, w.tmpl.Info())
	if err != nil {
		return engine.Request{}, err
	}
	if err := w.tmpl.CheckResolved(inputs); err != nil {
		return engine.Request{}, err
	}
	prev, err := w.previous(ctx)
	if err != nil {
		return engine.Request{}, err
	}
	return w.s.request(w.env, w.res, w.tmpl, inputs, prev)
}

// previous is what the last success gave, secrets included; nil before it.
func (w *work) previous(ctx context.Context) (*engine.Result, error) {
	if w.res.AppliedRevision == 0 {
		return nil, nil
	}
	secrets, err := w.s.secrets(ctx, w.res)
	if err != nil {
		return nil, err
	}
	return w.res.previous(secrets), nil
}

// verify looks whether it is so: what an engine says it did is not enough.
func (w *work) verify(ctx context.Context, req engine.Request, result engine.Result) error {
	req.Previous = &result
	seen, err := w.eng.Observe(ctx, []engine.Request{req})
	if err != nil {
		return err
	}
	if seen[0].Err != nil {
		return seen[0].Err
	}
	if seen[0].Presence != engine.Present {
		return fault.New(fault.Unavailable, "not_verified", "it was made, but was then seen to be %s", seen[0].Presence).
			WithHint("it is tried again by itself")
	}
	for _, d := range seen[0].Drift {
		if d.Severity == engine.Heal {
			return fault.New(fault.Unavailable, "not_verified", "%s of %s is not as it was just set", d.Field, d.Address).
				WithHint("somebody else may be changing it; it is tried again by itself")
		}
	}
	w.log.step("verifying", "seen to be as wanted")
	return nil
}

// succeed records a result, its secrets and the end of the run, and ends the
// claim, in one transaction.
func (w *work) succeed(ctx context.Context, result engine.Result, set func(r *Resource)) error {
	// What was made must be recorded, also when the server is stopping.
	ctx = context.WithoutCancel(ctx)
	return w.write(ctx, "run.succeed", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		before := r.Outputs
		r.Outputs, r.Objects, r.state = map[string]Output{}, result.Objects, string(result.State)
		for name, o := range result.Outputs {
			if !o.Sensitive {
				r.Outputs[name] = Output{Value: o.Value}
				continue
			}
			r.Outputs[name] = Output{Sensitive: true}
			if err := w.s.Secrets.Put(ctx, tx, r.ID, name, o.Secret); err != nil {
				return err
			}
		}
		r.Drift, r.ObservedAt = nil, tx.Now()
		set(&r)
		if !w.overtaken(r) {
			r.Phase, r.Reason, r.Message, r.Hint = Ready, "", "", ""
		}
		if err := w.s.db.update(ctx, tx, &r); err != nil {
			return err
		}
		if err := w.s.db.finish(ctx, tx, w.run.ID, RunSucceeded, "", "", ""); err != nil {
			return err
		}
		if err := w.s.db.scheduleObservation(ctx, tx, r.ID, tx.Now().Add(w.s.observeEvery(w.tmpl.Info()))); err != nil {
			return err
		}
		w.audit(ctx, tx, "run:succeed", map[string]any{"kind": w.run.Kind, "objects": r.Objects, "planDigest": w.run.PlanDigest})
		if err := w.wakeReferrers(ctx, tx, r, before, result); err != nil {
			return err
		}
		var again time.Duration
		if !r.RetireAt.IsZero() {
			again = max(r.RetireAt.Sub(tx.Now()), time.Millisecond)
		}
		return w.claim.Done(ctx, tx, again)
	})
}

// wakeReferrers lets those go on that wait for this resource, and has those
// that were made from outputs that changed made anew.
func (w *work) wakeReferrers(ctx context.Context, tx *sqldb.Tx, r Resource, before map[string]Output, result engine.Result) error {
	ids, err := w.s.db.referrerIDs(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	changed := w.res.AppliedRevision > 0 && (w.run.Kind == RunRotate || !sameOutputs(before, r.Outputs))
	for _, id := range ids {
		user, err := w.s.db.byID(ctx, tx, id)
		if err != nil {
			return err
		}
		if user.Phase == Ready && changed {
			if _, err := w.s.startRun(ctx, tx, user, RunApply); err != nil {
				return err
			}
			continue
		}
		if err := w.s.enqueue(ctx, tx, user, 0); err != nil {
			return err
		}
	}
	return nil
}

func sameOutputs(a, b map[string]Output) bool { return reflect.DeepEqual(a, b) }

// waitFor rests until the references' targets are ready; they wake us.
func (w *work) waitFor(ctx context.Context, waiting errWaiting) error {
	if w.res.Phase != Waiting || w.res.Message != waiting.Error() {
		w.log.add("info", waiting.Error())
	}
	return w.write(ctx, "run.wait", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if !w.overtaken(r) && (r.Phase != Waiting || r.Message != waiting.Error()) {
			r.Phase, r.Reason, r.Message = Waiting, "waiting_for_reference", waiting.Error()
			r.Hint = "it goes on by itself when they are ready"
			if err := w.s.db.update(ctx, tx, &r); err != nil {
				return err
			}
		}
		return w.claim.Done(ctx, tx, 30*time.Second) // a wake-up can get lost
	})
}

func (s *Service) observeEvery(info TemplateInfo) time.Duration {
	if info.ObserveEvery > 0 {
		return info.ObserveEvery
	}
	return s.ObserveEvery
}

// rotate gives the resource new credentials.
func (w *work) rotate(ctx context.Context) error {
	rotator, ok := w.eng.(engine.Rotator)
	if !ok {
		return w.fail(ctx, fault.New(fault.Invalid, "not_rotatable", "engine %s has no credentials to rotate", w.res.Engine))
	}
	req, err := w.prepare(ctx)
	if err != nil {
		return w.fail(ctx, err)
	}
	if err := w.phase(ctx, "run.rotate", Applying, "applying", nil); err != nil {
		return w.fail(ctx, err)
	}
	stop := w.log.stream(ctx, "applying")
	failpoint.Hit("engine.rotate.before")
	result, err := rotator.Rotate(ctx, req, w.res.rotation, w.log)
	failpoint.Hit("engine.rotate.after")
	stop()
	if err != nil {
		return w.fail(ctx, err)
	}
	overlap := req.LifeCycle.RotationOverlap
	rotation := w.res.rotation
	return w.succeed(ctx, result, func(r *Resource) {
		r.appliedRotation = rotation
		r.RetireAt = r.ObservedAt.Add(max(overlap, time.Microsecond))
	})
}

// retireOrWait ends the credentials before the last rotation, when it is time.
func (w *work) retireOrWait(ctx context.Context) error {
	now, err := w.s.DB.Now(ctx)
	if err != nil {
		return err
	}
	if wait := w.res.RetireAt.Sub(now); wait > 0 {
		return w.rest(ctx, wait)
	}
	rotator, ok := w.eng.(engine.Rotator)
	if !ok {
		return w.fail(ctx, fault.New(fault.Invalid, "not_rotatable", "engine %s has no credentials to rotate", w.res.Engine))
	}
	req, err := w.prepare(ctx)
	if err != nil {
		return w.fail(ctx, err)
	}
	failpoint.Hit("engine.retire.before")
	err = rotator.Retire(ctx, req)
	failpoint.Hit("engine.retire.after")
	if err != nil {
		return w.fail(ctx, err)
	}
	return w.write(context.WithoutCancel(ctx), "run.retired", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		r.RetireAt = time.Time{}
		if !w.overtaken(r) && r.Phase == Retrying {
			r.Phase, r.Reason, r.Message, r.Hint = Ready, "", "", ""
		}
		if err := w.s.db.update(ctx, tx, &r); err != nil {
			return err
		}
		w.audit(ctx, tx, "resource:retire-credentials", nil)
		return w.claim.Done(ctx, tx, 0)
	})
}

// planDigest binds what was shown: the same plan, the same digest.
func planDigest(p *engine.Plan) string {
	if p == nil {
		return ""
	}
	b, err := json.Marshal(p)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func planSummary(p engine.Plan) string {
	counts := map[engine.Action]int{}
	for _, c := range p.Changes {
		counts[c.Action]++
	}
	out := ""
	for _, a := range []engine.Action{engine.Create, engine.Update, engine.Replace, engine.Delete} {
		if counts[a] > 0 {
			out += ", " + itoa(counts[a]) + " to " + string(a)
		}
	}
	if out == "" {
		return "plan: nothing to change"
	}
	return "plan: " + out[2:]
}
