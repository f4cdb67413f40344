package lease

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Get gives a lease by its id.
func (s *Service) Get(ctx context.Context, id string) (Lease, error) {
	l, _, err := s.find(ctx, id, nil)
	return l, err
}

// find gives a lease that the caller may see, and asks whether they may do
// more; nil asks nothing more.
func (s *Service) find(ctx context.Context, id string, action *access.Action) (Lease, access.Decision, error) {
	var d access.Decision
	if err := known(ctx); err != nil {
		return Lease{}, d, err
	}
	if !ident.IsRef(id) {
		return Lease{}, d, notFound()
	}
	l, err := s.store.byID(ctx, s.DB.Read(), id)
	if errors.Is(err, sql.ErrNoRows) {
		return Lease{}, d, notFound()
	}
	if err != nil {
		return Lease{}, d, err
	}
	if d, err = s.Access.Check(ctx, l.view(), l.Target()); fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		return Lease{}, d, notFound()
	}
	if err != nil || action == nil {
		return l, d, err
	}
	on := l.Target()
	if *action == access.CalendarManage {
		on = l.place()
	}
	d, err = s.Access.Check(ctx, *action, on)
	return l, d, err
}

// active refuses to change a lease whose end has begun.
func active(l Lease) error {
	switch l.State {
	case Ending:
		return fault.New(fault.Conflict, "lease_ended", "the lease of %s has ended, and it is being taken away", l.Subject).
			WithHint("request it again once it is gone; see how far it is: fairlead lease show %s", l.ID)
	case Ended:
		return fault.New(fault.Conflict, "lease_ended", "the lease of %s is over", l.Subject).WithHint("see what became of it: fairlead lease show %s", l.ID)
	}
	return nil
}

// Extend lets what a lease is of live longer by a length; 0 is what the rules
// give at a time, or what is left of the maximum. ifVersion 0 is any. It fails
// with lease_limit when the rules do not go that far, and with lease_ended
// when the end has begun: of an extension and an ending just one happens.
func (s *Service) Extend(ctx context.Context, id string, by time.Duration, ifVersion int64) (Lease, error) {
	action := access.LeaseExtend
	_, d, err := s.find(ctx, id, &action)
	if err != nil {
		return Lease{}, err
	}
	if by < 0 || by > longest {
		return Lease{}, fault.New(fault.Invalid, "invalid_length", "this is no length of time").WithField("/by").WithHint("as 90m, 8h or 7d")
	}
	var out Lease
	err = s.DB.Write(ctx, "lease.extend", func(tx *sqldb.Tx) error {
		l, err := s.lockActive(ctx, tx, id, ifVersion)
		if err != nil {
			return err
		}
		r, err := s.ruleFor(ctx, tx, l.Kind, l.Class, l.TeamID, l.Template)
		if err != nil {
			return err
		}
		now := tx.Now()
		ends, err := r.of(l).extended(l, now, by)
		if err != nil {
			return err
		}
		was := l.EndsAt
		l.EndsAt, l.Extensions, l.WarnAt = ends, l.Extensions+1, warnings(now, ends, r.WarnBefore)
		if err := s.store.update(ctx, tx, &l); err != nil {
			return err
		}
		s.record(ctx, tx, string(access.LeaseExtend), l, &d, map[string]any{"by": Text(ends.Sub(was)), "from": stamp(was), "to": stamp(ends), "extensions": l.Extensions})
		out = l
		return s.emit(ctx, tx, "lease.extended", l, map[string]any{"by": Text(ends.Sub(was)), "who": principal.From(ctx).Name})
	})
	return out, err
}

// extended gives the end that an extension comes to.
func (r Rule) extended(l Lease, now time.Time, by time.Duration) (time.Time, error) {
	more := "whoever holds calendar:manage (by default the platform administrators) can do more: fairlead lease set " + l.what() + " --ends TIME"
	if r.MaxExtensions >= 0 && l.Extensions >= r.MaxExtensions {
		return time.Time{}, fault.New(fault.Denied, "lease_limit", "the lease of %s was extended %d times, and that is all that %s allows", l.Subject, l.Extensions, l.Class).WithHint("%s", more)
	}
	from := l.EndsAt
	if from.Before(now) {
		from = now
	}
	most := r.extension(l)
	if r.ExtendBy == 0 {
		most = longest // no rule says how much at a time
	}
	if r.Max > 0 {
		most = min(most, l.BeginsAt.Add(r.Max).Sub(from))
	}
	if by == 0 {
		by = min(r.extension(l), most)
	}
	switch {
	case most <= 0:
		return time.Time{}, fault.New(fault.Denied, "lease_limit", "the lease of %s is as long as %s allows: %s", l.Subject, l.Class, Text(r.Max)).WithHint("%s", more)
	case by > most:
		return time.Time{}, fault.New(fault.Denied, "lease_limit", "the lease of %s can be extended by at most %s", l.Subject, Text(most)).
			WithField("/by").WithHint("fairlead lease extend %s --by %s; %s", l.what(), Text(most), more)
	}
	return from.Add(by).Truncate(time.Microsecond), nil
}

// lockActive locks a lease for a change, which is refused when it has ended,
// or when somebody else changed it.
func (s *Service) lockActive(ctx context.Context, tx *sqldb.Tx, id string, ifVersion int64) (Lease, error) {
	l, err := s.store.lock(ctx, tx, id)
	if err == nil {
		err = active(l)
	}
	if err == nil && ifVersion != 0 && l.Version != ifVersion {
		err = stale("lease")
	}
	return l, err
}

// Transfer gives a lease another owner, who must be able to see what it is of.
func (s *Service) Transfer(ctx context.Context, id, to string, ifVersion int64) (Lease, error) {
	action := access.LeaseExtend
	l, d, err := s.find(ctx, id, &action)
	if err != nil {
		return Lease{}, err
	}
	nobody := fault.New(fault.Invalid, "owner_unknown", "nobody of that name may see %s", l.Subject).WithField("/to").WithHint("name a member of the team: fairlead team members %s", l.Team)
	if !ident.IsRef(to) {
		return Lease{}, nobody
	}
	owner, err := s.People.Lookup(ctx, to)
	if errors.Is(err, sql.ErrNoRows) || fault.Is(err, fault.NotFound) {
		return Lease{}, nobody
	}
	if err != nil {
		return Lease{}, err
	}
	if _, err := s.Access.Check(access.Wondering(principal.With(ctx, owner)), l.view(), l.Target()); fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		return Lease{}, nobody
	} else if err != nil {
		return Lease{}, err
	}
	var out Lease
	err = s.DB.Write(ctx, "lease.transfer", func(tx *sqldb.Tx) error {
		l, err := s.lockActive(ctx, tx, id, ifVersion)
		if err != nil {
			return err
		}
		was := l.OwnerID
		l.OwnerID, l.Owner = owner.ID, owner.Name
		if err := s.store.update(ctx, tx, &l); err != nil {
			return err
		}
		s.record(ctx, tx, "lease:transfer", l, &d, map[string]any{"from": was, "to": owner.ID})
		out = l
		return s.emit(ctx, tx, "lease.transferred", l, map[string]any{"who": principal.From(ctx).Name})
	})
	return out, err
}

// Subject names what a lease is of: an environment, or with Resource that
// resource in it.
type Subject struct{ Project, Environment, Resource string }

// Set makes something end at a time, whatever its rules say: its lease is
// changed, or one begins. It is for calendar:manage. ifVersion 0 is any.
func (s *Service) Set(ctx context.Context, of Subject, ends time.Time, ifVersion int64) (Lease, error) {
	want, d, err := s.subject(ctx, of)
	if err != nil {
		return Lease{}, err
	}
	var out Lease
	err = s.DB.Write(ctx, "lease.set", func(tx *sqldb.Tx) error {
		l, err := s.store.lockOpen(ctx, tx, want.SubjectID)
		fresh := errors.Is(err, sql.ErrNoRows)
		if err != nil && !fresh {
			return err
		}
		if ends.Before(tx.Now()) || ends.Sub(tx.Now()) > longest {
			return fault.New(fault.Invalid, "invalid_end", "a lease ends later than now, and within 10 years").WithField("/ends").WithHint("as 8h, 7d or 2026-12-31T18:00:00Z")
		}
		r, rerr := s.ruleFor(ctx, tx, want.Kind, want.Class, want.TeamID, want.Template)
		if rerr != nil {
			return rerr
		}
		if fresh {
			l = want
			l.ID, l.State, l.OwnerID, l.Owner, l.BeginsAt, l.Version = ident.New("lea"), Active, principal.From(ctx).ID, principal.From(ctx).Name, tx.Now(), 1
		} else if err := active(l); err != nil {
			return err
		}
		if ifVersion != 0 && (fresh || l.Version != ifVersion) {
			return stale("lease")
		}
		was := l.EndsAt
		l.EndsAt = ends.UTC().Truncate(time.Microsecond)
		l.WarnAt = warnings(tx.Now(), l.EndsAt, r.WarnBefore)
		if fresh {
			err = s.store.insert(ctx, tx, l)
		} else {
			err = s.store.update(ctx, tx, &l)
		}
		if err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: string(access.CalendarManage), Target: l.Target(), Decision: d, Details: map[string]any{"lease": l.ID, "from": stamp(was), "to": stamp(l.EndsAt)}})
		tx.Notify(Topic, "")
		out = l
		return s.emit(ctx, tx, "lease.set", l, map[string]any{"who": principal.From(ctx).Name})
	})
	return out, err
}

// subject finds what is to have a lease, for whoever manages the calendar there.
func (s *Service) subject(ctx context.Context, of Subject) (Lease, access.Decision, error) {
	var d access.Decision
	if err := known(ctx); err != nil {
		return Lease{}, d, err
	}
	e, err := s.Environments.Resolve(ctx, of.Project, of.Environment)
	if err != nil {
		return Lease{}, d, err
	}
	l := Lease{Kind: Environment, SubjectID: e.ID, Subject: e.Name, EnvironmentID: e.ID, Environment: e.Name, Class: e.Class,
		ProjectID: e.ProjectID, Project: e.Project, TeamID: e.TeamID, Team: e.Team}
	if d, err = s.Access.Check(ctx, access.CalendarManage, l.place()); err != nil || of.Resource == "" {
		return l, d, err
	}
	l.Kind = Resource
	missing := fault.New(fault.NotFound, "resource_not_found", "no such resource in %s/%s", e.Project, e.Name).WithHint("list what is there: fairlead get resources -e %s/%s", e.Project, e.Name)
	if !ident.IsRef(of.Resource) {
		return l, d, missing
	}
	l.SubjectID, l.Subject, l.Template, err = s.store.living(ctx, e.ID, of.Resource)
	if errors.Is(err, sql.ErrNoRows) {
		return l, d, missing
	}
	return l, d, err
}

// Remove takes a lease away: what it was of lives on. It is for
// calendar:manage. ifVersion 0 is any.
func (s *Service) Remove(ctx context.Context, id string, ifVersion int64) error {
	action := access.CalendarManage
	_, d, err := s.find(ctx, id, &action)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, "lease.remove", func(tx *sqldb.Tx) error {
		l, err := s.lockActive(ctx, tx, id, ifVersion)
		if err != nil {
			return err
		}
		l.State, l.Reason, l.EndedAt = Ended, Removed, tx.Now()
		s.record(ctx, tx, string(access.CalendarManage), l, &d, map[string]any{"removed": true, "ends": stamp(l.EndsAt)})
		return s.store.update(ctx, tx, &l)
	})
}

func (s store) living(ctx context.Context, environmentID, ref string) (id, name, template string, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT r.id, r.name, r.template FROM resources r WHERE r.environment_id = $1 AND (r.id = $2 OR r.name = $2) AND r.destroyed_at IS NULL`,
		environmentID, ref).Scan(&id, &name, &template)
	return id, name, template, err
}
