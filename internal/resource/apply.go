package resource

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"time"

	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
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
	plan, adoption, err := w.planned(ctx, req)
	if err != nil {
		return w.fail(ctx, err)
	}
	w.log.step("planning", "plan: %s", PlanSummary(plan))
	shown := veil(plan, secretTexts(w.tmpl, req.Inputs))
	if w.destructive(req, plan) {
		return w.refuseRepair(ctx, shown)
	}
	call := w.begin(ctx, req, plan, adoption == nil) // an adoption takes the engine's locks itself
	defer call.stop()
	if on, err := w.enter(ctx, "run.apply", Applying, shown); !on {
		return err
	}
	if err := w.takeOver(ctx, req, adoption); err != nil {
		return w.fail(ctx, err)
	}
	var result engine.Result
	err = w.external(ctx, "applying", "engine.apply", func() error {
		result, err = call.finish()
		return err
	})
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
	inputs, err := w.resolve(ctx)
	if err != nil {
		return engine.Request{}, err
	}
	if err := w.tmpl.CheckResolved(inputs); err != nil {
		return engine.Request{}, underInputs(err)
	}
	return w.request(inputs)
}

// request is the engine's request of this claim, for as long as it holds.
func (w *work) request(inputs map[string]any) (engine.Request, error) {
	req, err := w.s.request(w.env, w.res, w.tmpl, inputs, w.prev)
	req.Fenced = w.claim.Alive
	return req, err
}

// resolve gives the inputs with secrets and references filled in.
func (w *work) resolve(ctx context.Context) (map[string]any, error) {
	inputs, err := w.s.resolve(ctx, w.res)
	if err != nil {
		return nil, err
	}
	for _, p := range w.tmpl.SecretInputs(inputs) {
		if text, ok := at(inputs, p).(string); ok {
			w.hide(text)
		}
	}
	return inputs, nil
}

// verify looks whether it is so: what an engine says it did is not enough.
func (w *work) verify(ctx context.Context, req engine.Request, result engine.Result) error {
	for _, o := range result.Outputs {
		w.hide(o.Secret.Reveal())
	}
	if result.Confirmed {
		w.log.step("verifying", "as the provider read it back")
		return nil
	}
	req.Previous = &result
	seen, err := w.look(ctx, req)
	if err != nil {
		return err
	}
	if seen.Presence != engine.Present {
		return fault.New(fault.Unavailable, "not_verified", "it was made, but was then seen to be %s", seen.Presence).
			WithHint("it is tried again by itself")
	}
	for _, d := range seen.Drift {
		if d.Severity == engine.Heal {
			return fault.New(fault.Unavailable, "not_verified", "%s of %s is not as it was just set", d.Field, d.Address).
				WithHint("somebody else may be changing it; it is tried again by itself")
		}
	}
	w.log.step("verifying", "seen to be as wanted")
	return nil
}

// look observes this one resource.
func (w *work) look(ctx context.Context, req engine.Request) (engine.Observation, error) {
	seen, err := w.eng.Observe(ctx, []engine.Request{req})
	switch {
	case err != nil:
		return engine.Observation{}, err
	case len(seen) != 1:
		return engine.Observation{}, errObservations
	}
	return seen[0], seen[0].Err
}

// lookSoon is when something is looked at that was believed at first.
const lookSoon = 15 * time.Second

var errObservations = errors.New("the engine did not give one observation a target")

// succeed records a result, its secrets and the end of the run, and ends the
// claim, in one transaction.
func (w *work) succeed(ctx context.Context, result engine.Result, set func(r *Resource)) error {
	// What was made must be recorded, also when the server is stopping.
	ctx = context.WithoutCancel(ctx)
	result.Outputs = w.confide(result.Outputs)
	return w.write(ctx, "run.succeed", func(tx *sqldb.Tx) error {
		referred, err := w.s.db.referred(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		r, err := w.lock(ctx, tx)
		if err != nil {
			return err
		}
		if len(r.Drift) > 0 || w.run.Kind == RunHeal {
			how := drift.Changed
			if w.run.Kind == RunHeal {
				how = drift.Healed
			}
			if err := w.s.Drifts.Settle(ctx, tx, r.subject(), how); err != nil {
				return err
			}
		}
		first := r.AppliedRevision == 0
		if err := w.keep(ctx, tx, &r, result); err != nil {
			return err
		}
		if err := w.adopted(ctx, tx); err != nil {
			return err
		}
		if first && r.Adopted != "" {
			if err := w.s.tell(ctx, tx, "resource.adopted", r, map[string]any{"adopted": r.Adopted, "objects": r.Objects, "run": w.run.ID}); err != nil {
				return err
			}
		}
		set(&r)
		newest := !w.overtaken(r)
		if newest {
			r.Phase, r.Reason, r.Message, r.Hint = Ready, "", "", ""
		}
		if err := w.s.db.finish(ctx, tx, w.run.ID, RunSucceeded, "", "", ""); err != nil {
			return err
		}
		r.observeAt = tx.Now().Add(spread(w.s.interval(w.res.Engine, w.tmpl)))
		if soon := tx.Now().Add(lookSoon); result.Confirmed && soon.Before(r.observeAt) {
			r.observeAt = soon
		}
		w.audit(ctx, tx, "run:succeed", map[string]any{"kind": w.run.Kind, "objects": r.Objects, "planDigest": w.run.PlanDigest})
		if newest && r.rotation != r.appliedRotation { // asked for before, overtaken by this
			r, err = w.s.startRun(ctx, tx, r, RunRotate)
		} else if w.run.Kind == RunRotate {
			err = w.s.db.update(ctx, tx, &r)
		} else {
			err = w.s.db.updateMade(ctx, tx, &r)
		}
		if err != nil {
			return err
		}
		if *referred {
			if err := w.wakeReferrers(ctx, tx, r, changedOutputs(w.prev, result)); err != nil {
				return err
			}
		}
		return w.claim.Done(ctx, tx, nextTurn(tx, r))
	})
}

// confide makes a secret of every output that the template calls one, or that
// repeats a secret which is at hand, whatever the engine says of it.
func (w *work) confide(outputs map[string]engine.Output) map[string]engine.Output {
	named := w.tmpl.Info().Outputs
	out := maps.Clone(outputs)
	for name, o := range out {
		repeats := slices.ContainsFunc(texts(nil, o.Value), func(s string) bool { return w.text(s) != clean(s) })
		if o.Sensitive || o.Value == nil || !named[name] && !repeats {
			continue
		}
		text, ok := o.Value.(string)
		if !ok {
			text = toJSON(o.Value)
		}
		out[name] = engine.Output{Sensitive: true, Secret: redact.New(text)}
	}
	return out
}

// keep puts a result into the records; what is sensitive goes to the secrets.
// An output that the template does not name is not kept: nobody said whether
// it may be shown.
func (w *work) keep(ctx context.Context, tx *sqldb.Tx, r *Resource, result engine.Result) error {
	r.Outputs, r.Objects, r.state = map[string]Output{}, result.Objects, string(result.State)
	named := w.tmpl.Info().Outputs
	for name, o := range result.Outputs {
		if _, ok := named[name]; !ok {
			continue
		}
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
	return nil
}

// changedOutputs names the outputs that are not what they were.
func changedOutputs(before *engine.Result, now engine.Result) map[string]bool {
	changed := map[string]bool{}
	if before == nil {
		return changed // nobody used them yet
	}
	for name, o := range now.Outputs {
		was := before.Outputs[name]
		if o.Sensitive != was.Sensitive || !o.Secret.Equal(was.Secret) || toJSON(o.Value) != toJSON(was.Value) {
			changed[name] = true
		}
	}
	for name := range before.Outputs {
		if _, still := now.Outputs[name]; !still {
			changed[name] = true
		}
	}
	return changed
}

// wakeReferrers lets those go on that wait for this resource, and has those
// that are made from outputs that changed made anew.
func (w *work) wakeReferrers(ctx context.Context, tx *sqldb.Tx, r Resource, changed map[string]bool) error {
	refs, err := w.s.db.referredBy(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	stale := map[string]bool{}
	ids := []string{}
	for _, ref := range refs {
		if _, seen := stale[ref.TargetID]; !seen {
			ids = append(ids, ref.TargetID)
		}
		stale[ref.TargetID] = stale[ref.TargetID] || changed[ref.Output]
	}
	for _, id := range ids {
		user, err := w.s.db.lock(ctx, tx, id)
		if err != nil {
			return err
		}
		switch {
		case !user.DestroyWantedAt.IsZero(), user.Phase == Canceled, user.Phase == Lost:
		case stale[id]:
			if user, err = w.s.startRun(ctx, tx, user, RunApply); err != nil {
				return err
			}
			systemAudit(ctx, tx, "resource:reapply", user, map[string]any{"because": r.ID, "name": r.Name, "run": user.RunID})
		case user.Phase == Waiting, user.Phase == Pending, user.Phase == Planning:
			// Also one that has not said yet that it waits: its worker may have
			// looked at us a moment ago, and is about to.
			if err := w.s.enqueue(ctx, tx, user, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// waitFor rests until the references' targets are ready; they wake us.
func (w *work) waitFor(ctx context.Context, waiting errWaiting) error {
	message := waiting.Error()
	if w.res.Phase != Waiting || w.res.Message != message {
		w.log.add("info", message)
	}
	return w.write(ctx, "run.wait", func(tx *sqldb.Tx) error {
		r, err := w.s.db.lock(ctx, tx, w.res.ID)
		if err != nil {
			return err
		}
		if !w.overtaken(r) && (r.Phase != Waiting || r.Message != message) {
			r.Phase, r.Reason, r.Message = Waiting, "waiting_for_reference", message
			r.Hint = "it goes on by itself when they are ready"
			if err := w.s.db.update(ctx, tx, &r); err != nil {
				return err
			}
		}
		again := 30 * time.Second // a wake-up can get lost
		if turn := nextTurn(tx, r); turn > 0 {
			again = min(again, turn)
		}
		return w.claim.Done(ctx, tx, again)
	})
}

func equalDrift(a, b []engine.Drift) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) || toJSON(a) == toJSON(b)
}
