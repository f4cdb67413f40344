package rollout

import (
	"context"
	"slices"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/sqldb"
)

// manage gives a rollout to who may steer it: whoever may roll out to each of
// its members.
func (s *Service) manage(ctx context.Context, id string) (Rollout, access.Decision, error) {
	r, _, err := s.see(ctx, id)
	if err != nil {
		return r, access.Decision{}, err
	}
	members, err := s.store.members(ctx, s.DB.Read(), r.ID)
	if err != nil {
		return r, access.Decision{}, err
	}
	d, asked := access.Decision{}, false
	for _, m := range members {
		if m.State == Excluded && !m.made() {
			continue
		}
		if d, err = s.Access.Check(ctx, access.RolloutManage, m.target("")); err != nil {
			return r, d, whole(err, "change", r)
		}
		asked = true
	}
	if !asked && r.CreatedBy != principal.From(ctx).ID { // there is nothing in it
		d, err = s.Access.Check(ctx, access.RolloutManage, access.Organisation)
	}
	return r, d, err
}

// whole says that who may see some of a rollout may not do it all. A member
// that they may not know of is not named.
func whole(err error, verb string, r Rollout) error {
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		return fault.New(fault.Denied, "access_denied", "you may not %s all that the rollout is about", verb).
			WithHint("its author %s may, or whoever may roll out to every member; your own resources you can keep out: fairlead exempt", r.CreatedByName)
	}
	return err
}

// steer is one thing that people do with a rollout, while it is in one of some
// states.
func (s *Service) steer(ctx context.Context, id, verb string, ifVersion int64, from []State, do func(tx *sqldb.Tx, r *Rollout, d access.Decision) error) (Rollout, error) {
	_, d, err := s.manage(ctx, id)
	if err != nil {
		return Rollout{}, err
	}
	var out Rollout
	err = s.DB.Write(ctx, "rollout."+verb, func(tx *sqldb.Tx) error {
		r, err := s.store.lock(ctx, tx, id)
		if err != nil {
			return err
		}
		if ifVersion != 0 && r.Version != ifVersion {
			return fault.New(fault.Stale, "stale_version", "the rollout went on since you looked at it").WithHint("look at it again, then repeat what you wanted")
		}
		if !slices.Contains(from, r.State) {
			return fault.New(fault.Conflict, "rollout_state", "a rollout that is %s cannot be told to %s", r.State, verb).WithHint("see how it stands: fairlead rollout show %s", r.ID)
		}
		was := r.State
		if err := do(tx, &r, d); err != nil {
			return err
		}
		if err := s.store.update(ctx, tx, &r); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: "rollout:" + verb, Target: r.target(), Decision: d, Details: map[string]any{"from": was, "to": r.State}})
		out = r
		return enqueue(ctx, tx, r.ID, 0)
	})
	return out, err
}

// Start lets a planned rollout go on, with the rights of who starts it. One
// that is still being planned goes on when it is.
func (s *Service) Start(ctx context.Context, id string, ifVersion int64) (Rollout, error) {
	return s.steer(ctx, id, "start", ifVersion, []State{Planning, Planned}, func(tx *sqldb.Tx, r *Rollout, _ access.Decision) error {
		r.Starts, r.acting = true, actingOf(principal.From(ctx))
		if r.State == Planning {
			return nil
		}
		return s.begin(ctx, tx, r)
	})
}

// begin makes a planned rollout run: its members are its alone from now on, and
// those that are another's are left out.
func (s *Service) begin(ctx context.Context, tx *sqldb.Tx, r *Rollout) error {
	if err := s.store.claimOpen(ctx, tx, r.ID); err != nil {
		return err
	}
	pending, err := s.store.members(ctx, tx, r.ID, Pending)
	if err != nil {
		return err
	}
	for _, m := range pending {
		if m.open {
			continue
		}
		next := m.excluded("in_rollout", "another rollout that is under way is about it", "when that is over: fairlead rollout retry "+r.ID)
		next.Wave = m.Wave
		if _, err := s.store.updateMember(ctx, tx, Pending, next); err != nil {
			return err
		}
	}
	first := !r.Began
	r.State, r.Reason, r.Message, r.Hint, r.Began, r.FinishedAt = Running, "", "", "", true, time.Time{}
	if r.StartedAt.IsZero() {
		r.StartedAt = tx.Now()
	}
	if !first {
		return nil
	}
	return s.emit(ctx, tx, "rollout.started", *r, map[string]any{"members": len(pending)})
}

// Pause starts no further member; those that are on their way go on.
func (s *Service) Pause(ctx context.Context, id string, ifVersion int64) (Rollout, error) {
	return s.steer(ctx, id, "pause", ifVersion, []State{Running, Paused}, func(_ *sqldb.Tx, r *Rollout, _ access.Decision) error {
		r.State, r.Reason, r.Message, r.Hint = Paused, "paused", principal.From(ctx).Name+" paused it", "go on with: fairlead rollout resume "+r.ID
		return nil
	})
}

// Resume goes on with a rollout that was paused or has halted, with the rights
// of who says so. Members that failed are left as they are.
func (s *Service) Resume(ctx context.Context, id string, ifVersion int64) (Rollout, error) {
	r, _, err := s.see(ctx, id)
	if err != nil {
		return r, err
	}
	if to, err := s.Templates.Version(ctx, r.Template, r.To); err != nil {
		return r, err
	} else if to.EndOfLife {
		return r, endOfLife(r.Template, r.To)
	}
	return s.steer(ctx, id, "resume", ifVersion, []State{Paused, Halted}, func(tx *sqldb.Tx, r *Rollout, _ access.Decision) error {
		failed, err := s.store.members(ctx, tx, r.ID, Failed)
		if err != nil {
			return err
		}
		for _, m := range failed {
			if r.State != Halted {
				break
			}
			if _, err := s.store.updateMember(ctx, tx, Failed, m.aside(m.Reason, m.Message, m.Remedy)); err != nil {
				return err
			}
		}
		r.acting = actingOf(principal.From(ctx))
		return s.begin(ctx, tx, r)
	})
}

// Retry plans anew what was left out, was set aside or has failed, and goes on
// with it, with the rights of who says so.
func (s *Service) Retry(ctx context.Context, id string, ifVersion int64) (Rollout, error) {
	from := []State{Planned, Running, Paused, Halted, Succeeded}
	return s.steer(ctx, id, "retry", ifVersion, from, func(tx *sqldb.Tx, r *Rollout, _ access.Decision) error {
		again, err := s.store.members(ctx, tx, r.ID, Excluded, Aside, Failed)
		if err != nil {
			return err
		}
		if len(again) == 0 {
			return fault.New(fault.Conflict, "nothing_to_retry", "no member was left out, set aside or has failed").WithHint("go on with: fairlead rollout resume %s", r.ID)
		}
		for _, m := range again {
			next := m
			next.State, next.Reason, next.Message, next.Remedy, next.tries, next.due = Unplanned, "", "", "", 0, time.Time{}
			if m.State == Aside && !m.made() { // whatever it is now is where it starts from
				next.FromRevision, next.ToRevision, next.BackRevision = 0, 0, 0
			}
			if _, err := s.store.updateMember(ctx, tx, m.State, next); err != nil {
				return err
			}
			if err := queue.Enqueue(ctx, tx, queue.Work{Key: m.ID, Lane: PlanLane, Team: m.TeamID}); err != nil {
				return err
			}
		}
		r.Starts = r.State != Planned
		r.State, r.Reason, r.Message, r.Hint, r.FinishedAt, r.acting = Planning, "", "", "", time.Time{}, actingOf(principal.From(ctx))
		return nil
	})
}

// Cancel ends a rollout as it is: members that are on their way go on, the
// others are left alone.
func (s *Service) Cancel(ctx context.Context, id string, ifVersion int64) (Rollout, error) {
	from := []State{Planning, Planned, Running, Paused, Halted, Reverting}
	return s.steer(ctx, id, "cancel", ifVersion, from, func(tx *sqldb.Tx, r *Rollout, _ access.Decision) error {
		r.State, r.Reason, r.Message, r.Hint, r.FinishedAt = Cancelled, "canceled", principal.From(ctx).Name+" canceled it", "", tx.Now()
		if err := s.store.release(ctx, tx, r.ID); err != nil {
			return err
		}
		return s.emit(ctx, tx, "rollout.finished", *r, nil)
	})
}

// Rollback takes back what a rollout upgraded: of the wave that it is at, or
// all of it. It is done with the rights of who says so.
func (s *Service) Rollback(ctx context.Context, id, scope string, ifVersion int64) (Rollout, error) {
	if scope != RevertWave && scope != RevertAll {
		return Rollout{}, fault.New(fault.Invalid, "invalid_rollout", "a rollback takes back the wave, or all").WithField("/scope").WithHint("say wave or all")
	}
	from := []State{Running, Paused, Halted, Reverting, Succeeded, Reverted, Cancelled}
	return s.steer(ctx, id, "rollback", ifVersion, from, func(tx *sqldb.Tx, r *Rollout, _ access.Decision) error {
		made, err := s.store.members(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		made = slices.DeleteFunc(made, func(m Member) bool { return !m.made() && m.State != Stuck })
		last := int64(0)
		for _, m := range made {
			last = max(last, m.Wave)
		}
		if last == 0 {
			return fault.New(fault.Conflict, "nothing_to_take_back", "the rollout has upgraded nothing that is still so").WithHint("end it with: fairlead rollout cancel %s", r.ID)
		}
		r.RevertFrom = 1
		if scope == RevertWave {
			r.RevertFrom = last
		}
		for _, m := range made {
			if m.State != Stuck || m.Wave < r.RevertFrom { // what could not be taken back is tried again
				continue
			}
			again := m.failed(m.Reason, m.Message, m.Remedy)
			again.tries, again.due = 0, time.Time{}
			if m.BackRevision > 0 {
				again.ToRevision = m.BackRevision // the old content is wanted, and was not made
			}
			if _, err := s.store.updateMember(ctx, tx, Stuck, again); err != nil {
				return err
			}
		}
		r.State, r.Reason, r.Message, r.Hint, r.FinishedAt, r.acting = Reverting, "rollback", principal.From(ctx).Name+" takes it back", "", time.Time{}, actingOf(principal.From(ctx))
		return nil
	})
}

// Approve lets the members of a destructive group be changed. digest is what
// was looked at: when the group is another by now, nothing is agreed to.
func (s *Service) Approve(ctx context.Context, id string, group int64, digest, comment string) (Rollout, error) {
	return s.decide(ctx, id, group, "approved", digest, comment)
}

// Reject has the members of a group set aside.
func (s *Service) Reject(ctx context.Context, id string, group int64, digest, comment string) (Rollout, error) {
	return s.decide(ctx, id, group, "rejected", digest, comment)
}

func (s *Service) decide(ctx context.Context, id string, number int64, decision, digest, comment string) (Rollout, error) {
	seen, scope, err := s.see(ctx, id)
	if err != nil {
		return seen, err
	}
	if err := ident.CheckText("/comment", comment, maxText); err != nil {
		return seen, err
	}
	d, err := s.mayDecide(ctx, seen, number)
	if err != nil {
		return seen, err
	}
	if p := principal.From(ctx); p.Kind != principal.User {
		return seen, fault.New(fault.Denied, "person_needed", "a person must decide on it, not a machine").WithHint("sign in as yourself: fairlead login")
	}
	var out Rollout
	err = s.DB.Write(ctx, "rollout.decide", func(tx *sqldb.Tx) error {
		r, err := s.store.lock(ctx, tx, seen.ID)
		if err != nil {
			return err
		}
		if r.State == Planning || r.State.Over() {
			return fault.New(fault.Conflict, "rollout_state", "nothing can be decided on while a rollout is %s", r.State).WithHint("see how it stands: fairlead rollout show %s", r.ID)
		}
		groups, err := s.store.groups(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		at := slices.IndexFunc(groups, func(g Group) bool { return g.Number == number })
		if at < 0 {
			return noGroup(r, number)
		}
		g := groups[at]
		if g.Digest != digest {
			return fault.New(fault.Stale, "group_changed", "the group is not what you looked at any more").WithHint("look at it again: fairlead rollout show %s", r.ID)
		}
		if g.Decision == decision && g.decided == g.Digest { // said already
			out = r
			return nil
		}
		if err := s.store.decide(ctx, tx, r.ID, number, decision, digest, principal.From(ctx).ID, comment); err != nil {
			return err
		}
		if err := s.store.update(ctx, tx, &r); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: string(access.RolloutApprove), Target: r.target(), Decision: d,
			Details: map[string]any{"group": number, "title": g.Title, "decision": decision, "digest": digest, "comment": comment}})
		out = r
		return enqueue(ctx, tx, r.ID, 0)
	})
	if err == nil {
		err = s.fill(ctx, &out, scope)
	}
	return out, err
}

// mayDecide asks access about each member of a group.
func (s *Service) mayDecide(ctx context.Context, r Rollout, number int64) (access.Decision, error) {
	var d access.Decision
	members, err := s.store.members(ctx, s.DB.Read(), r.ID)
	if err != nil {
		return d, err
	}
	asked := false
	for _, m := range members {
		if m.Group != number || m.State == Excluded {
			continue
		}
		if d, err = s.Access.Check(ctx, access.RolloutApprove, m.target(r.CreatedBy)); err != nil {
			return d, whole(err, "decide on", r)
		}
		asked = true
	}
	if !asked {
		return d, noGroup(r, number)
	}
	return d, nil
}

func noGroup(r Rollout, number int64) error {
	return fault.New(fault.NotFound, "not_found", "there is no group %d", number).WithHint("see the groups: fairlead rollout show %s", r.ID)
}
