package lease

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/event"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Check implements gate.Leases. What has a lease keeps it. What asks for none
// in an environment that has one lives as long as that. f.Now is the clock.
func (s *Service) Check(ctx context.Context, f gate.Facts) (time.Duration, []gate.Verdict, error) {
	own, env, err := s.store.openOf(ctx, s.DB.Read(), f.ResourceID, f.Environment.ID)
	if err != nil {
		return 0, nil, err
	}
	var verdicts []gate.Verdict
	say := func(strength gate.Strength, message, remedy string) {
		verdicts = append(verdicts, gate.Verdict{Source: "lease", Rule: f.Environment.Class, Strength: strength, Message: message, Remedy: remedy})
	}
	for _, l := range []*Lease{own, env} {
		if l != nil && l.State == Ending {
			say(gate.Deny, "the lease of the "+string(l.Kind)+" "+l.Subject+" has ended, and it is being taken away", "ask for it elsewhere, or again once it is gone")
			return l.Length(), verdicts, nil
		}
	}
	if f.ResourceID != "" {
		switch {
		case own != nil:
			return own.Length(), nil, nil
		case env != nil:
			return env.Length(), nil, nil
		}
		return 0, nil, nil
	}
	left := time.Duration(0)
	if env != nil {
		left = env.EndsAt.Sub(f.Now)
	}
	r, err := s.rules.of(ctx, s.store, Resource, f.Environment.Class, f.Environment.TeamID, f.Template.Name)
	if err != nil {
		return 0, nil, err
	}
	r = r.with(f.Template.Lease)
	switch {
	case f.Lease == 0 && env != nil:
		return left, nil, nil
	case f.Lease == 0:
		return r.given(), nil, nil
	case r.Max > 0 && f.Lease > r.Max:
		say(gate.Deny, "a lease of "+Text(f.Lease)+" is longer than "+f.Environment.Class+" allows here", "ask for at most "+Text(r.Max)+": --lease "+Text(r.Max))
	case env != nil && f.Lease > left:
		say(gate.Advise, "the lease of the environment ends sooner, at "+stamp(env.EndsAt), "extend it: fairlead lease extend "+env.what())
	}
	return f.Lease, verdicts, nil
}

// Begin implements gate.Leases. f.Lease is what Check gave. What would end
// with its environment anyway gets no lease of its own.
func (s *Service) Begin(ctx context.Context, tx *sqldb.Tx, f gate.Facts) error {
	if f.Action != gate.Create || f.Revision > 1 {
		return nil
	}
	ended := fault.New(fault.Conflict, "lease_ended", "the lease of the environment %s has ended, and it is being taken away", f.Environment.Name).
		WithHint("ask for it in another environment")
	if f.Lease <= 0 {
		return s.store.notEnding(ctx, tx, f.Environment.ID, ended)
	}
	env, err := s.store.environmentLease(ctx, tx, f.Environment.ID)
	if err != nil {
		return err
	}
	if env != nil && env.State == Ending {
		return ended
	}
	ends := tx.Now().Add(f.Lease)
	if env != nil && ends.Sub(env.EndsAt).Abs() < time.Minute {
		return nil
	}
	r, err := s.ruleFor(ctx, tx, Resource, f.Environment.Class, f.Environment.TeamID, f.Template.Name)
	if err != nil {
		return err
	}
	l := Lease{Kind: Resource, SubjectID: f.ResourceID, Subject: f.Resource, Template: f.Template.Name, EndsAt: ends}
	if f.Template.Lease != nil {
		l.Max = f.Template.Lease.Max
	}
	return s.begin(ctx, tx, l, f.Environment, f.Principal.ID, r)
}

// BeginEnvironment starts the lease that a new environment asks for, or that
// the rules of its class give it, in the transaction that makes it. It fails
// with lease_too_long rather than give less than was asked for.
func (s *Service) BeginEnvironment(ctx context.Context, tx *sqldb.Tx, e gate.Environment, length time.Duration) error {
	r, err := s.ruleFor(ctx, tx, Environment, e.Class, e.TeamID, "")
	if err != nil {
		return err
	}
	if length == 0 {
		length = r.given()
	}
	if length <= 0 {
		return nil
	}
	if r.Max > 0 && length > r.Max {
		return fault.New(fault.Denied, "lease_too_long", "a lease of %s is longer than %s allows here", Text(length), e.Class).
			WithField("/lease").WithHint("ask for at most %s: --lease %s", Text(r.Max), Text(r.Max))
	}
	return s.begin(ctx, tx, Lease{Kind: Environment, SubjectID: e.ID, Subject: e.Name, EndsAt: tx.Now().Add(length)}, e, principal.From(ctx).ID, r)
}

func (s *Service) begin(ctx context.Context, tx *sqldb.Tx, l Lease, e gate.Environment, owner string, r Rule) error {
	l.ID, l.State, l.OwnerID, l.BeginsAt, l.Version = ident.New("lea"), Active, owner, tx.Now(), 1
	l.EnvironmentID, l.Environment, l.Class, l.ProjectID, l.Project, l.TeamID, l.Team = e.ID, e.Name, e.Class, e.ProjectID, e.Project, e.TeamID, e.Team
	l.EndsAt = l.EndsAt.Truncate(time.Microsecond)
	l.WarnAt = warnings(tx.Now(), l.EndsAt, r.WarnBefore)
	if err := s.store.insert(ctx, tx, l); err != nil {
		return err
	}
	s.record(ctx, tx, "lease:begin", l, nil, map[string]any{"ends": stamp(l.EndsAt), "owner": owner})
	return s.emit(ctx, tx, "lease.begun", l, nil)
}

// End implements gate.Leases: what the id names is seen to be gone. A lease
// that is ending already stays so until its proof is written; the loop is told.
func (s *Service) End(ctx context.Context, tx *sqldb.Tx, subjectID string) error {
	l, err := s.store.lockOpen(ctx, tx, subjectID)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	case l.State == Active:
		l.State, l.Reason, l.EndedAt = Ended, Gone, tx.Now()
		s.record(ctx, tx, "lease:end", l, nil, map[string]any{"reason": Gone})
		return s.store.update(ctx, tx, &l)
	}
	return s.store.hurry(ctx, tx, subjectID)
}

// ruleFor gives the rule that holds; where there is none, what is free.
func (s *Service) ruleFor(ctx context.Context, q sqldb.Querier, k Kind, class, teamID, template string) (Rule, error) {
	r, err := s.store.ruleFor(ctx, q, k, class, teamID, template)
	if errors.Is(err, sql.ErrNoRows) {
		return free(), nil
	}
	return r, err
}

func (s *Service) record(ctx context.Context, tx *sqldb.Tx, action string, l Lease, d *decision, details map[string]any) {
	details["lease"] = l.ID
	e := audit.Entry{Action: action, Target: l.Target(), Details: details}
	if d != nil {
		e.Decision = *d
	}
	audit.Append(ctx, tx, e)
}

func (s *Service) emit(ctx context.Context, tx *sqldb.Tx, kind string, l Lease, data map[string]any) error {
	if data == nil {
		data = map[string]any{}
	}
	data["lease"], data["kind"], data["name"], data["environment"], data["project"], data["ends"] = l.ID, l.Kind, l.Subject, l.Environment, l.Project, stamp(l.EndsAt)
	return event.Emit(ctx, tx, event.Event{Type: kind, Subject: l.SubjectID, TeamID: l.TeamID, ProjectID: l.ProjectID, EnvironmentID: l.EnvironmentID, To: []string{l.OwnerID}, Data: data})
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
