package postgres

import (
	"context"
	"slices"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// Rotate implements engine.Rotator. The two log-in roles take turns: the idle
// one gets a new password and becomes the active one, the active one goes on
// working until Retire. Of a rotation that was cut off before its result was
// recorded nobody knows the password, so doing it again sets another.
func (e *Engine) Rotate(ctx context.Context, req engine.Request, rotation string, p engine.Progress) (engine.Result, error) {
	if req.Previous == nil {
		return engine.Result{}, fault.New(fault.Conflict, "resource_not_ready", "the resource has no credentials yet").
			WithHint("wait until it is ready, then rotate")
	}
	w, err := e.read(req)
	if err != nil {
		return engine.Result{}, err
	}
	if w.state.Rotation == rotation && rotation != "" {
		return e.Apply(ctx, req, engine.Plan{}, p)
	}
	if w.state.Rotation != "" {
		w.state.Former = "" // the rotation before this one ended it
	}
	w.state.Active, w.state.Overlap, w.state.Rotation = other(w.state.Active), true, rotation
	job := newApplying(w, p, redact.Secret{})
	login := w.names.login(w.state.Active)
	var res engine.Result
	err = w.server.locked(ctx, lockKey(w.ref.Installation, w.ref.ID), req.Check, func(ses *session) error {
		wd, err := ses.look(w)
		if err != nil {
			return err
		}
		if err := w.check(wd); err != nil {
			return err
		}
		if r := wd.roles[login]; r != nil && r.login { // an overlap that nobody retired
			if err := ses.retireLogin(login); err != nil {
				return err
			}
		}
		if err := job.converge(ses); err != nil {
			return err
		}
		p.Step("log-in %s has new credentials; %s still works", login, w.names.login(other(w.state.Active)))
		if err := job.settle(ses); err != nil {
			return err
		}
		res, err = job.next.result(w, job.password)
		return err
	})
	if err != nil {
		return engine.Result{}, err
	}
	return res, nil
}

// Retire implements engine.Rotator: the idle log-in may log in no more, its
// sessions end, and what it made without being the owner role is handed to it.
func (e *Engine) Retire(ctx context.Context, req engine.Request) error {
	sp, err := readSpec(req.Template.Spec)
	if err != nil {
		return err
	}
	w, err := e.locate(req, sp)
	if err != nil {
		return err
	}
	login := w.names.login(other(w.state.Active))
	return w.server.locked(ctx, lockKey(w.ref.Installation, w.ref.ID), req.Check, func(ses *session) error {
		wd, err := ses.look(w)
		if err != nil {
			return err
		}
		if f := w.state.Former; f != "" && wd.ownsRole(w, w.names.Owner) && slices.Contains(wd.roles[w.names.Owner].members, f) {
			if err := ses.exec("retire_former", ses.facts.Load().revoke(w.names.Owner, f)); err != nil {
				return err
			}
		}
		if !wd.ownsRole(w, login) {
			return nil
		}
		if err := ses.retireLogin(login); err != nil {
			return err
		}
		if !wd.ownsDatabase(w) || !wd.db.open {
			return nil
		}
		return ses.inside(ctx, "reassign", w.names.Database, `REASSIGN OWNED BY `+ident(login)+` TO `+ident(w.names.Owner))
	})
}

func (ses *session) retireLogin(login string) error {
	if err := ses.exec("retire", `ALTER ROLE `+ident(login)+` NOLOGIN PASSWORD NULL`); err != nil {
		return err
	}
	// After the role is closed: else a client logs in again at once.
	return ses.endThose(`a.usename = ` + literal(login))
}
