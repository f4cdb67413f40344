package rollout

import (
	"context"
	"errors"
	"sync"
	"time"

	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// revert takes back what was upgraded, from the wave on that it is set to, and
// ends the rollout when all of that is settled.
func (s *Service) revert(ctx context.Context, c *queue.Claim, r Rollout) error {
	st, err := s.stand(ctx, r)
	if err != nil {
		return err
	}
	now, err := s.DB.Now(ctx)
	if err != nil {
		return err
	}
	free, busy := r.Settings.Parallel-st.count(Applying, Backing), st.count(Backing) > 0
	var backing sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for _, m := range st.members {
		if !m.toRevert(r) {
			continue
		}
		busy = true
		if m.due.After(now) {
			continue
		}
		if m.State != Applying { // which is changing already
			if free <= 0 {
				continue
			}
			free--
		}
		backing.Go(func() {
			stuck := func(_, message, _ string) Member { return m.stuck(message, r) }
			if err := s.sparing(ctx, m, s.back(ctx, r, m, m, Back), stuck); err != nil {
				mu.Lock()
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	backing.Wait()
	switch {
	case failed != nil:
		return failed
	case busy:
		return s.again(ctx, c, s.Poll)
	}
	return s.finish(ctx, c, st, Reverted)
}

// toRevert tells whether a member is among what is to be taken back.
func (m Member) toRevert(r Rollout) bool { return m.Wave >= r.RevertFrom && m.made() }

// made tells whether the rollout has upgraded a member, well or not, and that
// is still so as far as is known.
func (m Member) made() bool {
	switch m.State {
	case Applying, Upgraded, Done, Failed:
		return m.ToRevision > 0
	case Unplanned, Pending, Excluded, Aside: // it had failed, and was to be left or tried again
		return m.ToRevision > 0 && m.BackRevision == 0 && m.Reason != "changed" && m.Reason != "gone"
	}
	return false
}

// back wants of a member's resource what was wanted before its upgrade: a new
// revision with the old content, asked for as any request is. What somebody
// changed since is left as it is, and so is what somebody pinned: at what it was
// upgraded to. The member is says why, and comes to as.
func (s *Service) back(ctx context.Context, r Rollout, m, is Member, as MemberState) error {
	acting, err := s.as(ctx, r)
	if err != nil && !fault.Is(err, fault.NotFound) {
		return err
	}
	if err != nil {
		return s.put(ctx, m, m.stuck("whoever started the rollout is not there any more", r))
	}
	res, err := s.Resources.ByID(ctx, m.ResourceID)
	switch {
	case fault.Is(err, fault.NotFound), err == nil && (!res.DestroyWantedAt.IsZero() || !res.DestroyedAt.IsZero()):
		return s.put(ctx, m, m.aside("gone", "it is destroyed, or being destroyed", ""))
	case err != nil:
		return err
	case res.Revision != m.ToRevision:
		return s.put(ctx, m, m.aside("changed", "somebody changed it after its upgrade; that is left as it is", "see: fairlead describe "+m.name()))
	case m.FromRevision == 0 && as == Aside:
		return s.put(ctx, m, is)
	case m.FromRevision == 0:
		return s.put(ctx, m, m.aside("changed", "somebody had brought it to the version themselves; that is left as it is", "see: fairlead describe "+m.name()))
	}
	if as == Back {
		held, err := s.pinned(ctx, r, m)
		switch {
		case err != nil:
			return err
		case held != nil && !res.Phase.Settled(): // it is left as it is once it is that
			return nil
		case held != nil:
			return s.put(ctx, m, m.kept(*held))
		}
	}
	failpoint.Hit("rollout.back.before")
	_, err = s.Resources.Rollback(sqldb.WithPrelude(acting, func(tx *sqldb.Tx) error { return s.backing(acting, tx, m, is, res, as) }),
		m.where(), m.FromRevision, r.note("taken back"), res.Version)
	failpoint.Hit("rollout.back.after")
	switch kind := fault.KindOf(err); {
	case err == nil, errors.Is(err, errStopped):
		return nil
	case kind == fault.Denied, kind == fault.NotFound, kind == fault.Invalid, kind == fault.Conflict:
		return s.put(ctx, m, m.stuck(faultText(err), r))
	}
	return transient(err)
}

// backing is the member's part of the rollback's transaction.
func (s *Service) backing(ctx context.Context, tx *sqldb.Tx, m, is Member, res resource.Resource, as MemberState) error {
	next := is
	next.State, next.endsAs, next.BackRevision, next.StartedAt = Backing, as, res.Revision+1, tx.Now()
	next.tries, next.due = 0, time.Time{}
	if next.Reason == reasonInternal {
		next.Reason, next.Message, next.Remedy = "", "", ""
	}
	if ok, err := s.store.updateMember(ctx, tx, m.State, next); err != nil || !ok {
		return errors.Join(err, errStopped)
	}
	return s.store.touch(ctx, tx, m.RolloutID)
}

// pinned gives what keeps a member's resource where it is, if anything does.
func (s *Service) pinned(ctx context.Context, r Rollout, m Member) (*Pin, error) {
	now, err := s.DB.Now(ctx)
	if err != nil {
		return nil, err
	}
	held, err := s.store.holds(ctx, s.DB.Read(), m.ResourceID, r.ID, now)
	if err != nil || len(held) == 0 {
		return nil, err
	}
	return &held[0], nil
}

// kept is a member that is not taken back because somebody pinned or exempted
// it.
func (m Member) kept(p Pin) Member {
	out := m.held(p) // says who, why and until when
	m.State, m.Reason, m.Message = Stuck, "pinned", short("it was not taken back: "+out.Message)
	if p.RolloutID != "" {
		m.Reason = "exempted"
	}
	m.Remedy = m.letGo(p) + ", then: fairlead rollout rollback " + m.RolloutID + " --all"
	return m
}

func (m Member) stuck(message string, r Rollout) Member {
	m.State, m.Reason, m.Message = Stuck, "not_taken_back", short("it could not be taken back: "+message)
	m.Remedy = "fairlead rollback " + m.name() + " --to " + itoa(int(m.FromRevision)) + ", or as who may: fairlead rollout rollback " + r.ID
	return m
}

// goingBack is a member whose old content is wanted again.
func (m Member) goingBack(r Rollout, res resource.Resource, now time.Time) Member {
	switch res.Phase {
	case resource.Ready:
		if res.AppliedRevision != m.BackRevision {
			return m
		}
		m.State = m.endsAs
		return m
	case resource.Failed, resource.Lost, resource.Canceled:
		return m.stuck(res.Message, r)
	}
	if now.Sub(m.StartedAt) > r.Settings.Patience {
		return m.stuck("it takes longer than "+r.Settings.Patience.String()+"; it is "+string(res.Phase), r)
	}
	return m
}
