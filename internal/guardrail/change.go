package guardrail

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Activated is what became of a change of what is in force.
type Activated struct {
	Change
	Unchanged bool           // it was in force already
	Verdicts  []gate.Verdict // advice of the guardrails of the stage activation
}

// Activate puts a version in force, in place of the one of its name that was.
// Its tests must pass and, but for a Conftest folder, there must be some
// (Conflict, "guardrail_tests_failed", "guardrail_untested"). What protected
// guardrails forbid is Denied, "guard_protected"; what the guardrails of the
// stage activation forbid is Denied, "guardrail_denied"; what they want an
// approval for is Conflict, "approval_pending", until it is there.
func (s *Service) Activate(ctx context.Context, name, version string) (Activated, error) {
	return s.change(ctx, "activate", name, func(context.Context, queries) (string, error) {
		if version == "" {
			return "", fault.New(fault.Invalid, "invalid_version", "say which version").WithHint("as in: fairlead policy activate %s@1.0.0", name)
		}
		return version, nil
	})
}

// Deactivate takes a bundle out of force.
func (s *Service) Deactivate(ctx context.Context, name string) (Activated, error) {
	return s.change(ctx, "deactivate", name, func(context.Context, queries) (string, error) { return "", nil })
}

// Rollback puts the version in force that was before the one that is now. It
// passes what an Activate passes. Without one it is NotFound, "no_previous".
func (s *Service) Rollback(ctx context.Context, name string) (Activated, error) {
	return s.change(ctx, "rollback", name, func(ctx context.Context, q queries) (string, error) {
		version, err := q.before(ctx, name)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return "", err
		}
		if version == "" {
			return "", fault.New(fault.NotFound, "no_previous", "no other version of %s was in force before", name).
				WithHint("take it out of force with: fairlead policy deactivate %s", name)
		}
		return version, nil
	})
}

// step is one change on its way.
type step struct {
	action   string
	name     string
	to       *Bundle  // nil: out of force
	from     *Bundle  // nil: none, or it cannot be read
	previous string   // version in force; "" for none
	damaged  bool     // the one in force was tampered with
	broken   []string // tests of a protected bundle in force that the new one fails
	decision access.Decision
}

func (s *Service) change(ctx context.Context, action, name string, choose func(context.Context, queries) (string, error)) (Activated, error) {
	decision, err := s.access.Check(ctx, access.GuardrailEnable, target(name))
	if err != nil {
		return Activated{}, err
	}
	if _, err := s.known(ctx, name, ""); err != nil {
		return Activated{}, err
	}
	version, err := choose(ctx, queries{s.db.Read()})
	if err != nil {
		return Activated{}, err
	}
	st := step{action: action, name: name, decision: decision}
	if version != "" {
		if st.to, err = s.load(ctx, name, version); err != nil {
			return Activated{}, err
		}
		if err := st.to.ready(st.to.RunTests(ctx)); err != nil {
			return Activated{}, err
		}
	}
	now, err := s.fresh(ctx)
	if err != nil {
		return Activated{}, err
	}
	st.look(ctx, now)
	var out Activated
	var refused error
	err = s.db.Write(ctx, "guardrail.change", func(tx *sqldb.Tx) error {
		out, refused = Activated{}, nil
		// What was judged is what is in force until this commits.
		stored, err := queries{tx}.state(ctx, s.db.ForUpdate())
		if err != nil {
			return err
		}
		if stored.version != now.version {
			return fault.New(fault.Conflict, "guardrails_changed", "other guardrails came into force meanwhile").WithHint("look at them, and try again")
		}
		out, refused, err = s.settle(ctx, tx, st, now)
		return err
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return Activated{}, err
	}
	return out, s.Reload(ctx)
}

// fresh gives what is in force now, if its record can be trusted.
func (s *Service) fresh(ctx context.Context) (*inForce, error) {
	s.stale.Store(true)
	now, err := s.active(ctx)
	if err != nil {
		return nil, err
	}
	if now.unsound {
		return nil, fault.New(fault.Conflict, "guardrail_damaged", "the record of the guardrails in force was changed from outside").
			WithHint("restore it from a backup; find out who can write to the database")
	}
	return now, nil
}

// look finds what a change replaces, and how the tests of that take it.
func (st *step) look(ctx context.Context, now *inForce) {
	i := slices.IndexFunc(now.list, func(v version) bool { return v.Name == st.name })
	if i < 0 {
		return
	}
	st.previous = now.list[i].Version
	var ok bool
	if st.from, ok = now.set.Bundle(st.name); !ok {
		st.damaged = true
	} else if st.to != nil && st.from.protects() && st.to.Digest != st.from.Digest {
		st.broken = st.to.fails(ctx, st.from)
	}
}

// settle does a change in tx, or says why it is refused; what it wrote until
// then, a request for approval, stays.
func (s *Service) settle(ctx context.Context, tx *sqldb.Tx, st step, now *inForce) (out Activated, refused, err error) {
	q, set := queries{tx}, now.set
	next := version{Name: st.name}
	if st.to != nil {
		next.Version, next.Digest = st.to.Version, st.to.Digest
	}
	out.Change = Change{ID: ident.New("grh"), At: tx.Now(), Action: st.action, Name: st.name, Version: next.Version, Previous: st.previous,
		ByID: principal.From(ctx).ID, ByName: principal.From(ctx).Name}
	if next.Version == st.previous && !st.damaged {
		out.Unchanged, out.Policy = true, set.digest
		return out, nil, nil
	}
	if err := st.guarded(out.ByID); err != nil {
		return out, err, nil
	}
	if out.Verdicts, refused, err = s.judged(ctx, tx, st, now); err != nil || refused != nil {
		return out, refused, err
	}
	list := slices.DeleteFunc(slices.Clone(now.list), func(v version) bool { return v.Name == st.name })
	if st.to != nil {
		list = append(list, next)
	}
	out.Policy = digestOf(list)
	stored, err := s.signer.state(now.version+1, list)
	if err != nil {
		return out, nil, err
	}
	if err := q.setState(ctx, stored); err != nil {
		return out, nil, err
	}
	tx.After(func() { s.stale.Store(true) })
	tx.Notify(Topic, "")
	if err := q.note(ctx, out.Change); err != nil {
		return out, nil, err
	}
	audit.Append(ctx, tx, audit.Entry{
		Action: string(access.GuardrailEnable), Target: target(st.name), Decision: st.decision,
		Details: map[string]any{"change": st.action, "version": next.Version, "previous": st.previous, "digest": next.Digest, "guardrails": out.Policy},
	})
	return out, nil, event.Emit(ctx, tx, event.Event{
		Type: "guardrail.activated", Subject: st.name, To: []string{out.ByID},
		Data: map[string]any{"change": st.action, "bundle": st.name, "version": next.Version, "previous": st.previous, "by": out.ByName, "guardrails": out.Policy},
	})
}

// judged asks the guardrails in force about the change of guardrails. The
// count of changes tells attempts apart: what was in force once can be so
// again, and what was agreed to then was used.
func (s *Service) judged(ctx context.Context, tx *sqldb.Tx, st step, now *inForce) (verdicts []gate.Verdict, refused, err error) {
	f, set := st.facts(ctx), now.set
	f.Now, f.RunID = tx.Now(), "after change "+strconv.FormatInt(now.version, 10)
	j := gate.Judgement{Facts: f, Verdicts: set.Evaluate(ctx, f), Policy: set.digest, At: f.Now}
	if err := j.Err(); err != nil {
		return nil, err, nil
	}
	if s.approvals == nil {
		if need := j.With(gate.Approve); len(need) > 0 {
			for i := range j.Verdicts {
				if j.Verdicts[i].Strength == gate.Approve {
					j.Verdicts[i].Strength = gate.Deny
				}
			}
			return nil, j.Err(), nil
		}
		return j.Verdicts, nil, nil
	}
	binding := gate.Binding{gate.PartPolicy: set.digest, "bundle": "none"}
	if st.to != nil {
		binding["bundle"] = st.to.Label() + " " + st.to.Digest
	}
	a, err := s.approvals.Settle(ctx, tx, gate.Ask{Facts: f, Verdicts: j.With(gate.Approve), Binding: binding})
	if err != nil {
		return nil, nil, err
	}
	switch a.Status {
	case "pending":
		return nil, fault.New(fault.Conflict, "approval_pending", "the change waits for approval %s: %s", a.Approval, a.Who).
			WithHint("once it is approved, give the same command again"), nil
	case "rejected":
		return nil, fault.New(fault.Denied, "approval_rejected", "the change was rejected by %s: %s", a.By, a.Comment), nil
	case "expired":
		return nil, fault.New(fault.Denied, "approval_expired", "nobody decided on the change in time").WithHint("give the command again to ask again"), nil
	}
	return j.Verdicts, nil, nil
}

func (st step) facts(ctx context.Context) gate.Facts {
	author := ""
	bundle := map[string]any{"name": st.name, "from": st.previous, "to": "", "action": st.action, "guardrails": 0}
	action, to := gate.Update, ""
	if st.to != nil {
		to = st.to.Version
		bundle["to"], bundle["guardrails"] = to, len(st.to.Guards)
		author = st.to.CreatedBy
	}
	switch {
	case st.previous == "":
		action = gate.Create
	case to == "":
		action = gate.Destroy
	}
	return gate.Facts{
		Stage: gate.Activation, Action: action, Principal: principal.From(ctx), Author: author, ResourceID: "guardrail:" + st.name, Resource: st.name,
		Inputs: map[string]any{"version": to}, Extra: map[string]any{"bundle": bundle},
	}
}

var (
	errUnknown = fault.New(fault.NotFound, "unknown_guardrails", "")
	errDamaged = fault.New(fault.Conflict, "guardrail_damaged", "")
)

// known finds a version, or says that there is none.
func (s *Service) known(ctx context.Context, name, version string) (Summary, error) {
	v, err := queries{s.db.Read()}.find(ctx, name, version)
	if errors.Is(err, sql.ErrNoRows) {
		what := "there are no guardrails called " + short(name, 60)
		if version != "" {
			what = "the guardrails " + short(name, 60) + " have no version " + short(version, 60)
		}
		return v, fault.New(fault.NotFound, "unknown_guardrails", "%s", what).WithHint("see what there is with: fairlead policy ls")
	}
	if err != nil {
		return v, fmt.Errorf("find guardrails: %w", err)
	}
	return v, nil
}

// load makes a stored version, and refuses one that was tampered with.
func (s *Service) load(ctx context.Context, name, version string) (*Bundle, error) {
	v, err := s.known(ctx, name, version)
	if err != nil {
		return nil, err
	}
	if !s.signer.bundleHolds(v) {
		return nil, damagedBundle(v, errors.New("the signature does not fit"))
	}
	raw, err := queries{s.db.Read()}.archive(ctx, v.ID)
	if err != nil {
		return nil, fmt.Errorf("read guardrails: %w", err)
	}
	b, err := restore(v, raw)
	if err != nil {
		return nil, damagedBundle(v, err)
	}
	return b, nil
}

func damagedBundle(v Summary, err error) error {
	return fault.New(fault.Conflict, "guardrail_damaged", "the stored guardrails %s@%s are not what was pushed", v.Name, v.Version).
		WithHint("push the same content again; find out who can write to the database").WithCause(err)
}
