package rollout

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/sqldb"
)

// turn looks at one rollout and does what is next. It holds the rollout's claim:
// two turns of one rollout write nothing at the same time.
func (s *Service) turn(ctx context.Context, c *queue.Claim) error {
	ctx = principal.With(ctx, principal.System)
	r, err := s.store.rollout(ctx, s.DB.Read(), c.Key)
	if errors.Is(err, sql.ErrNoRows) {
		return s.forget(ctx, c)
	}
	if err != nil {
		return err
	}
	if r.State == Planning {
		return s.settlePlans(ctx, c, r)
	}
	moving, err := s.follow(ctx, c, r)
	if err != nil {
		return err
	}
	switch r.State {
	case Running:
		return s.advance(ctx, c, r)
	case Reverting:
		return s.revert(ctx, c, r)
	}
	return c.Write(ctx, "rollout.rest", func(tx *sqldb.Tx) error {
		now, err := s.store.lock(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		switch {
		case now.State != r.State:
			return c.Done(ctx, tx, time.Millisecond)
		case moving:
			return c.Done(ctx, tx, s.Poll)
		}
		return c.Done(ctx, tx, 0)
	})
}

// standing is a running rollout as its turn sees it.
type standing struct {
	r       Rollout
	members []Member
	groups  map[int64]Group
	waves   []Wave
}

func (s *Service) stand(ctx context.Context, r Rollout) (standing, error) {
	st := standing{r: r, groups: map[int64]Group{}}
	var err error
	if st.members, err = s.store.members(ctx, s.DB.Read(), r.ID); err != nil {
		return st, err
	}
	groups, err := s.store.groups(ctx, s.DB.Read(), r.ID)
	if err != nil {
		return st, err
	}
	for _, g := range groups {
		st.groups[g.Number] = g
	}
	st.waves, err = s.store.waves(ctx, s.DB.Read(), r.ID)
	return st, err
}

func (st standing) count(states ...MemberState) int64 {
	n := int64(0)
	for _, m := range st.members {
		if slices.Contains(states, m.State) {
			n++
		}
	}
	return n
}

// total is how many members there are that were not left out.
func (st standing) total() int64 { return int64(len(st.members)) - st.count(Excluded) }

// wave is the first that is not done; nil when all are.
func (st standing) wave() (*Wave, []Member) {
	for i, w := range st.waves {
		in := slices.DeleteFunc(slices.Clone(st.members), func(m Member) bool { return m.Wave != w.Number || m.State == Excluded })
		if w.State == "done" && !slices.ContainsFunc(in, func(m Member) bool { return !m.State.settled() }) {
			continue
		}
		return &st.waves[i], in
	}
	return nil, nil
}

// advance does what a running rollout needs next.
func (s *Service) advance(ctx context.Context, c *queue.Claim, r Rollout) error {
	st, err := s.stand(ctx, r)
	if err != nil {
		return err
	}
	acting, err := s.as(ctx, r)
	if err == nil && !active(principal.From(acting)) || fault.Is(err, fault.NotFound) {
		return s.halt(ctx, c, st, 0, "author_gone", "whoever started it has no rights any more", "whoever may do it goes on: fairlead rollout resume "+r.ID)
	}
	if err != nil {
		return err
	}
	to, err := s.Templates.Version(ctx, r.Template, r.To)
	switch {
	case fault.Is(err, fault.NotFound), err == nil && to.EndOfLife:
		return s.halt(ctx, c, st, 0, "version_end_of_life", "the version "+r.To+" is at the end of its life", "roll out a newer one, or take this back: fairlead rollout rollback "+r.ID)
	case err != nil:
		return err
	}
	w, in := st.wave()
	if failed, allowed := st.count(Failed), r.Settings.Allowed(st.total()); failed > allowed {
		number := int64(1)
		if w != nil {
			number = w.Number
		}
		for _, m := range st.members { // it may have failed after its wave was done
			if m.State == Failed {
				number = min(number, m.Wave)
			}
		}
		return s.halt(ctx, c, st, number, "too_many_failures", failures(st, failed, allowed), "see: fairlead rollout show "+r.ID)
	}
	if w == nil {
		return s.finish(ctx, c, st, Succeeded)
	}
	if w.State == "waiting" || w.State == "done" {
		return s.openWave(ctx, c, r, *w)
	}
	if slices.ContainsFunc(in, func(m Member) bool { return !m.State.settled() }) {
		return s.fillWave(acting, ctx, c, st, in, to)
	}
	return s.closeWave(ctx, c, r, *w, in)
}

// active tells whether a principal has any role left.
func active(p principal.Principal) bool { return len(p.OrgRoles)+len(p.Memberships) > 0 }

func failures(st standing, failed, allowed int64) string {
	for _, m := range st.members {
		if m.State == Failed {
			return fmt.Sprintf("%d failed, and %d may; the first: %s: %s", failed, allowed, m.Resource, m.Message)
		}
	}
	return ""
}

// again ends the claim with the rollout to be looked at after a while.
func (s *Service) again(ctx context.Context, c *queue.Claim, after time.Duration) error {
	return c.Write(ctx, "rollout.again", func(tx *sqldb.Tx) error { return c.Done(ctx, tx, after) })
}

// change is a step of a rollout: in one transaction, while it is in the state
// from, or it is looked at anew.
func (s *Service) change(ctx context.Context, c *queue.Claim, op string, from Rollout, after time.Duration, do func(tx *sqldb.Tx, r *Rollout) error) error {
	return c.Write(ctx, op, func(tx *sqldb.Tx) error {
		r, err := s.store.lock(ctx, tx, from.ID)
		if err != nil {
			return err
		}
		if r.State != from.State {
			return c.Done(ctx, tx, time.Millisecond)
		}
		if err := do(tx, &r); err != nil {
			return err
		}
		if err := s.store.update(ctx, tx, &r); err != nil {
			return err
		}
		return c.Done(ctx, tx, after)
	})
}

func (s *Service) openWave(ctx context.Context, c *queue.Claim, r Rollout, w Wave) error {
	return s.change(ctx, c, "rollout.wave", r, time.Millisecond, func(tx *sqldb.Tx, _ *Rollout) error {
		w.State, w.HealthyAt, w.FinishedAt = "running", time.Time{}, time.Time{}
		if w.StartedAt.IsZero() {
			w.StartedAt = tx.Now()
		}
		return s.store.putWave(ctx, tx, r.ID, w)
	})
}

// fillWave starts the members of a wave whose turn it is, as many as may change
// at a time.
func (s *Service) fillWave(acting, ctx context.Context, c *queue.Claim, st standing, in []Member, to Version) error {
	now, err := s.DB.Now(ctx)
	if err != nil {
		return err
	}
	free := st.r.Settings.Parallel - st.count(Applying, Backing)
	waits := map[int64]bool{}
	var starting sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for _, m := range in {
		g := st.groups[m.Group]
		if m.State != Pending {
			continue
		}
		if g.Waits() {
			waits[g.Number] = true
			continue
		}
		if free <= 0 || m.due.After(now) {
			continue
		}
		free--
		starting.Go(func() {
			if err := s.sparing(ctx, m, s.startMember(acting, ctx, st.r, g, m), m.aside); err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	starting.Wait()
	if failed != nil {
		return failed
	}
	reason, message, hint := "", "", ""
	if to.Deprecated != "" {
		reason, message = "version_deprecated", "the version "+st.r.To+" is deprecated: "+to.Deprecated
	}
	if len(waits) > 0 {
		var names []string
		for n := range waits {
			names = append(names, fmt.Sprint(n))
		}
		slices.Sort(names)
		reason, message = "awaiting_approval", "waits for somebody to agree to group "+strings.Join(names, ", ")
		hint = "whoever may: fairlead rollout approve " + st.r.ID + " " + names[0]
	}
	if reason == st.r.Reason && message == st.r.Message {
		return s.again(ctx, c, s.Poll)
	}
	return s.change(ctx, c, "rollout.say", st.r, s.Poll, func(tx *sqldb.Tx, r *Rollout) error {
		fresh := reason == "awaiting_approval" && r.Reason != reason
		r.Reason, r.Message, r.Hint = reason, message, hint
		if fresh {
			return s.emit(ctx, tx, "rollout.waiting", *r, nil)
		}
		return nil
	})
}

// closeWave lets a wave bake whose members are all settled, and ends it.
func (s *Service) closeWave(ctx context.Context, c *queue.Claim, r Rollout, w Wave, in []Member) error {
	now, err := s.DB.Now(ctx)
	if err != nil {
		return err
	}
	sick, err := s.sick(ctx, in)
	if err != nil {
		return err
	}
	if len(sick) > 0 {
		return s.change(ctx, c, "rollout.sick", r, time.Millisecond, func(tx *sqldb.Tx, _ *Rollout) error {
			for _, m := range sick {
				m.Ended = tx.Now()
				if _, err := s.store.updateMember(ctx, tx, Done, m); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if left := w.HealthyAt.Add(r.Settings.Bake).Sub(now); w.State == "baking" && left > 0 {
		return s.again(ctx, c, min(left, 5*s.Poll))
	}
	return s.change(ctx, c, "rollout.wave", r, time.Millisecond, func(tx *sqldb.Tx, r *Rollout) error {
		if w.State == "running" && r.Settings.Bake > 0 {
			w.State, w.HealthyAt = "baking", tx.Now()
			return s.store.putWave(ctx, tx, r.ID, w)
		}
		if w.HealthyAt.IsZero() {
			w.HealthyAt = tx.Now()
		}
		w.State, w.FinishedAt, r.Reason, r.Message, r.Hint = "done", tx.Now(), "", "", ""
		return s.store.putWave(ctx, tx, r.ID, w)
	})
}

// halt stops a rollout, and takes back what it is set to. wave is where it
// failed; 0 takes nothing back.
func (s *Service) halt(ctx context.Context, c *queue.Claim, st standing, wave int64, reason, message, hint string) error {
	failpoint.Hit("rollout.halt")
	return s.change(ctx, c, "rollout.halt", st.r, time.Millisecond, func(tx *sqldb.Tx, r *Rollout) error {
		r.State, r.Reason, r.Message, r.Hint = Halted, reason, short(message), hint
		if wave > 0 && r.Settings.Rollback != RevertNone {
			r.State, r.RevertFrom = Reverting, wave
			if r.Settings.Rollback == RevertAll {
				r.RevertFrom = 1
			}
		}
		s.record(ctx, tx, "rollout:halt", *r, map[string]any{"reason": reason, "message": r.Message, "rollback": r.State == Reverting})
		return s.emit(ctx, tx, "rollout.halted", *r, map[string]any{"reason": reason, "reverting": r.State == Reverting})
	})
}

// finish ends a rollout, whose members others may change from now on.
func (s *Service) finish(ctx context.Context, c *queue.Claim, st standing, as State) error {
	failpoint.Hit("rollout.finish")
	return s.change(ctx, c, "rollout.finish", st.r, 0, func(tx *sqldb.Tx, r *Rollout) error {
		r.State, r.FinishedAt = as, tx.Now()
		why := r.Message
		r.Message, r.Hint = summary(st), ""
		if as == Succeeded {
			r.Reason = ""
		} else if why != "" {
			r.Message += "; " + why
		}
		if err := s.store.release(ctx, tx, r.ID); err != nil {
			return err
		}
		s.record(ctx, tx, "rollout:finish", *r, map[string]any{"state": as, "message": r.Message})
		return s.emit(ctx, tx, "rollout.finished", *r, nil)
	})
}

// summary counts what became of the members.
func summary(st standing) string {
	parts := []string{fmt.Sprintf("%d of %d upgraded", st.count(Done, Upgraded), st.total())}
	for _, part := range []struct {
		states []MemberState
		what   string
	}{{[]MemberState{Failed}, "failed"}, {[]MemberState{Back}, "taken back"}, {[]MemberState{Stuck}, "could not be taken back"}, {[]MemberState{Aside}, "set aside"},
		{[]MemberState{Pending, Unplanned}, "left as they were"}, {[]MemberState{Excluded}, "left out"}} {
		if n := st.count(part.states...); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}

// record writes what a rollout did by itself.
func (s *Service) record(ctx context.Context, tx *sqldb.Tx, action string, r Rollout, details map[string]any) {
	audit.Append(ctx, tx, audit.Entry{Action: action, Target: r.target(), Decision: access.Decision{Allowed: true, Policies: []string{"system"}}, Details: details})
}
