package rollout

import (
	"context"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/queue"
)

// enough is how often a member is tried that meets an internal error, before
// it waits for a person.
const enough = 5

// reasonInternal is the code of a member that met one.
const reasonInternal = "internal"

// Retried tells whether a member met an internal error, and is tried again by
// itself.
func (m Member) Retried() bool { return m.tries > 0 && m.Reason == reasonInternal && !m.due.IsZero() }

// sparing keeps one member that cannot be worked on from holding up the
// others: it is tried again after a while, and at last put where a person sees
// it. That is not before its run is over: what is still being made is nothing
// that anybody could judge.
func (s *Service) sparing(ctx context.Context, m Member, err error, as func(reason, message, remedy string) Member) error {
	if err == nil || ctx.Err() != nil || !fault.Is(err, fault.Internal) {
		return err
	}
	s.Log.Error("a member of a rollout cannot be worked on", "rollout", m.RolloutID, "resource", m.ResourceID, "tries", m.tries+1, "error", err)
	runs := s.runs(ctx, m)
	if m.tries+1 >= enough && !runs {
		next := as(reasonInternal, "internal error; the server's log says more", "try it again: fairlead rollout retry "+m.RolloutID)
		next.tries, next.due = 0, time.Time{}
		return s.put(ctx, m, next)
	}
	now, err := s.DB.Now(ctx)
	if err != nil {
		return err
	}
	next := m
	next.tries++
	next.due = now.Add(queue.Backoff(int(next.tries)))
	next.Reason, next.Remedy = reasonInternal, ""
	next.Message = "internal error; the server's log says more; it is tried again at " + next.due.UTC().Format("15:04:05 MST")
	if runs {
		next.Message += ", and its run goes on meanwhile"
	}
	return s.put(ctx, m, next)
}

// runs tells whether a run of the member's resource is under way, as far as
// that can be seen.
func (s *Service) runs(ctx context.Context, m Member) bool {
	if m.ToRevision == 0 {
		return false
	}
	res, err := s.Resources.ByID(ctx, m.ResourceID)
	return err == nil && !res.Phase.Settled()
}

// unseen is for a member whose resource cannot be read. Its time runs.
func (s *Service) unseen(ctx context.Context, r Rollout, m Member, now time.Time, err error) error {
	if ctx.Err() != nil || !fault.Is(err, fault.Internal) {
		return err
	}
	since := m.StartedAt
	if m.State == Upgraded {
		since = m.AppliedAt
	}
	s.Log.Error("a member of a rollout cannot be looked at", "rollout", m.RolloutID, "resource", m.ResourceID, "error", err)
	if now.Sub(since) <= r.Settings.Patience {
		return nil
	}
	next := m.failed("timed_out", "for longer than "+r.Settings.Patience.String()+" it could not be looked at; the server's log says why", "fairlead why "+m.name())
	if m.State == Backing {
		next = m.stuck("for longer than "+r.Settings.Patience.String()+" it could not be looked at", r)
	}
	return s.put(ctx, m, next)
}
