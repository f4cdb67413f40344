package iac

import (
	"context"
	"crypto/rand"

	"fairlead/internal/engine"
	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/fault"
)

// PlanAdoption implements engine.Adopter: a plan on the state that was given.
func (e *Engine) PlanAdoption(ctx context.Context, req engine.Request, a engine.Adoption) (_ engine.Plan, err error) {
	defer settle(ctx, &err)
	if err := e.ready(ctx); err != nil {
		return engine.Plan{}, err
	}
	given, meta, kept, err := e.given(ctx, req, a)
	if err != nil {
		return engine.Plan{}, err
	}
	if kept {
		return e.Plan(ctx, req)
	}
	return e.planOn(ctx, req, given, meta)
}

// given checks what is to be adopted. kept tells that it was already: then
// what the store has counts, which may be newer.
func (e *Engine) given(ctx context.Context, req engine.Request, a engine.Adoption) (c *iacstate.Session, m iacstate.Meta, kept bool, err error) {
	if a.State.Empty() {
		return nil, m, false, fault.New(fault.Invalid, "nothing_to_adopt", "a module adopts a state, and none was given").
			WithHint("send the state file: --state terraform.tfstate").WithField("/state")
	}
	if c, err = e.o.States.OpenGiven(req.Ref.ID, "adopt", []byte(a.State.Reveal())); err != nil {
		return nil, m, false, fault.From(err).WithField("/state")
	}
	if _, m, err = c.Read(ctx); err != nil {
		return nil, m, false, err
	}
	if m.Objects == 0 {
		return nil, m, false, fault.New(fault.Invalid, "nothing_to_adopt", "the state names no objects").
			WithHint("request the resource as a new one: fairlead request").WithField("/state")
	}
	have, err := e.o.States.Meta(ctx, req.Ref.ID)
	if err != nil {
		return nil, m, false, err
	}
	if have.Version > 0 && have.Lineage != m.Lineage {
		return nil, m, false, fault.New(fault.Conflict, "object_not_ours", "the resource has a state already, and it is another one")
	}
	other, err := e.o.States.OfLineage(ctx, m.Lineage, req.Ref.ID)
	if err != nil {
		return nil, m, false, err
	}
	if other != "" {
		return nil, m, false, fault.New(fault.Conflict, "object_not_ours", "what the state names is managed already, by another resource").
			WithHint("have whoever may let go of it do so first: fairlead eject NAME --reveal --release").WithField("/state")
	}
	return c, m, have.Version > 0, nil
}

// Adopt implements engine.Adopter: the state that was given becomes the
// resource's, once.
func (e *Engine) Adopt(ctx context.Context, req engine.Request, a engine.Adoption, p engine.Progress) (err error) {
	defer settle(ctx, &err)
	session, err := e.begin(ctx, req)
	if err != nil {
		return err
	}
	defer e.end(ctx, session)
	_, m, kept, err := e.given(ctx, req, a)
	if err != nil || kept {
		return err
	}
	lock := iacstate.Lock{ID: rand.Text(), Operation: "adopt", Who: "fairlead"}
	if err := session.Lock(ctx, lock); err != nil {
		return err
	}
	e.hit("iac.adopt.before")
	err = session.Write(ctx, lock.ID, []byte(a.State.Reveal()))
	e.hit("iac.adopt.after")
	if err == nil {
		p.Step("adopted the state with serial %d: %d objects", m.Serial, m.Objects)
	}
	return err
}
