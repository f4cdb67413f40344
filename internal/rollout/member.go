package rollout

import (
	"context"
	"errors"
	"slices"
	"time"

	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// errStopped says that a member is not to be changed any more: its rollout was
// stopped, or another worker was first.
var errStopped = errors.New("rollout: the member is not to be changed any more")

// note is what the revision says of why.
func (r Rollout) note(verb string) string {
	text := verb + " by rollout " + r.ID
	if r.Note != "" {
		text += ": " + r.Note
	}
	return text
}

// startMember upgrades one member, when it still is what was planned. Its
// record goes on in the transaction of the change itself, so that it is
// changed once or not at all.
func (s *Service) startMember(acting, ctx context.Context, r Rollout, g Group, m Member) error {
	if g.rejected() {
		return s.put(ctx, m, m.aside("rejected", g.DecidedBy+" did not agree to its group", "see: fairlead rollout show "+r.ID))
	}
	res, err := s.Resources.ByID(acting, m.ResourceID)
	if fault.Is(err, fault.NotFound) {
		return s.put(ctx, m, m.aside("gone", "it is not there any more, or not to be known", ""))
	}
	if err != nil {
		return err
	}
	if next, wait, err := s.ripe(ctx, r, m, res); err != nil || next != nil || wait {
		if next != nil {
			return s.put(ctx, m, *next)
		}
		return err
	}
	next, err := s.asPlanned(acting, r, m, res)
	if err != nil || next != nil {
		if next != nil {
			return s.put(ctx, m, *next)
		}
		return transient(err)
	}
	failpoint.Hit("rollout.change.before")
	_, err = s.Resources.Change(sqldb.WithPrelude(acting, func(tx *sqldb.Tx) error { return s.applying(acting, tx, r, m, res) }),
		m.where(), resource.Change{Version: r.To, Note: r.note("upgraded"), IfMatch: res.Version})
	failpoint.Hit("rollout.change.after")
	switch kind := fault.KindOf(err); {
	case err == nil, errors.Is(err, errStopped), kind == fault.Stale: // looked at anew at the next turn
		return nil
	case kind == fault.Denied, kind == fault.NotFound, kind == fault.Invalid, kind == fault.Conflict:
		return s.put(ctx, m, m.aside("denied", faultText(err), remedyOf(err, "fairlead rollout retry "+r.ID)))
	}
	return transient(err)
}

// transient drops what is tried again at the next turn anyway.
func transient(err error) error {
	if fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Limited) || fault.Is(err, fault.Stale) {
		return nil
	}
	return err
}

// applying is the member's part of the change's transaction.
func (s *Service) applying(ctx context.Context, tx *sqldb.Tx, r Rollout, m Member, res resource.Resource) error {
	now, err := s.store.lock(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	if now.State != Running {
		return errStopped
	}
	next := m
	next.State, next.Reason, next.Message, next.Remedy, next.StartedAt = Applying, "", "", "", tx.Now()
	next.ToRevision, next.BackRevision, next.tries, next.due = res.Revision, 0, 0, time.Time{} // what failed is tried again as it is
	switch {
	case res.TemplateVersion != r.To:
		next.FromRevision, next.ToRevision = res.Revision, res.Revision+1
	case m.ToRevision != res.Revision: // it was not this rollout that wanted it
		next.FromRevision = 0
	}
	if ok, err := s.store.updateMember(ctx, tx, Pending, next); err != nil || !ok {
		return errors.Join(err, errStopped)
	}
	return s.store.touch(ctx, tx, r.ID)
}

// aside is the member left as it is.
func (m Member) aside(reason, message, remedy string) Member {
	m.State, m.Reason, m.Message, m.Remedy = Aside, reason, short(message), short(remedy)
	return m
}

// put writes a member that went on, unless another was first.
func (s *Service) put(ctx context.Context, was, next Member) error {
	return s.DB.Write(ctx, "rollout.member", func(tx *sqldb.Tx) error { return s.putIn(ctx, tx, was, next) })
}

func (s *Service) putIn(ctx context.Context, tx *sqldb.Tx, was, next Member) error {
	if next.State.settled() && !was.State.settled() {
		next.Ended = tx.Now()
	}
	if next.State == Upgraded && was.State != Upgraded {
		next.AppliedAt = tx.Now()
	}
	if _, err := s.store.updateMember(ctx, tx, was.State, next); err != nil {
		return err
	}
	if next.State == Upgraded {
		if err := s.Resources.ObserveSoon(ctx, tx, next.ResourceID); err != nil {
			return err
		}
	}
	return s.store.touch(ctx, tx, next.RolloutID)
}

// ripe tells whether a member's turn can come now: wait when later; the next
// member when never.
func (s *Service) ripe(ctx context.Context, r Rollout, m Member, res resource.Resource) (next *Member, wait bool, err error) {
	if res.Revision != m.Planned {
		out := m.aside("changed", "it was changed since it was planned", "plan it anew: fairlead rollout retry "+r.ID)
		return &out, false, nil
	}
	out, no, err := s.unfit(ctx, r, m, res)
	if err != nil || !no {
		return nil, false, err
	}
	if out.Reason != "not_ready" {
		aside := m.aside(out.Reason, out.Message, out.Remedy)
		return &aside, false, nil
	}
	now, err := s.DB.Now(ctx)
	switch {
	case err != nil:
		return nil, false, err
	case m.Reason != "not_ready": // from now on it has as long as any
		m.Reason, m.Message, m.Remedy, m.StartedAt = out.Reason, out.Message, "", now
		return &m, false, nil
	case now.Sub(m.StartedAt) > r.Settings.Patience:
		aside := m.aside(out.Reason, out.Message, out.Remedy)
		return &aside, false, nil
	}
	return nil, true, nil
}

// asPlanned plans a member again: what is not as planned any more is set aside
// and says how it differs.
func (s *Service) asPlanned(acting context.Context, r Rollout, m Member, res resource.Resource) (*Member, error) {
	preview, err := s.Resources.PlanChange(acting, m.where(), resource.Change{Version: r.To, IfMatch: res.Version})
	if kind := fault.KindOf(err); err != nil && (kind == fault.Invalid || kind == fault.Denied || kind == fault.NotFound || kind == fault.Conflict) {
		out := m.aside("denied", faultText(err), remedyOf(err, "fairlead rollout retry "+r.ID))
		return &out, nil
	}
	if err != nil {
		return nil, err
	}
	if j := preview.Judgement; j.Denied() {
		out := m.aside("denied", faultText(j.Err()), remedyOf(j.Err(), ""))
		return &out, nil
	}
	planned, err := m.planOf()
	if err != nil {
		return nil, err
	}
	if now := normaliserOf(res).diff(preview.Plan); !keeps(planned, now) {
		out := m.aside("plan_differs", "its plan is not the group's any more; now: "+titleOf(now), "plan it anew: fairlead rollout retry "+r.ID)
		return &out, nil
	}
	return nil, nil
}

// follow looks how the members are that are on their way, and writes down how
// they went on. It tells whether any still is.
func (s *Service) follow(ctx context.Context, c *queue.Claim, r Rollout) (moving bool, err error) {
	list, err := s.store.members(ctx, s.DB.Read(), r.ID, Applying, Upgraded, Backing)
	if err != nil || len(list) == 0 {
		return false, err
	}
	now, err := s.DB.Now(ctx)
	if err != nil {
		return false, err
	}
	var changed [][2]Member
	for _, m := range list {
		res, err := s.Resources.ByID(ctx, m.ResourceID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			if err := s.unseen(ctx, r, m, now, err); err != nil {
				return false, err
			}
			moving = true
			continue
		}
		next, withdraw := m.seen(r, res, err != nil, now)
		if withdraw { // nothing of it was done: it wants what it wanted before
			if !m.due.After(now) {
				err := s.back(ctx, r, m, next, Aside)
				if err := s.sparing(ctx, m, err, func(_, message, _ string) Member { return m.stuck(message, r) }); err != nil {
					return false, err
				}
			}
			moving = true
			continue
		}
		moving = moving || !next.State.settled()
		again := m.State == Upgraded && next.State == Upgraded && now.Sub(m.UpdatedAt) > 10*s.Poll // the look that was asked for came to nothing
		if next.State != m.State || next.Message != m.Message || next.StartedAt != m.StartedAt || again {
			changed = append(changed, [2]Member{m, next})
		}
	}
	if len(changed) == 0 {
		return moving, nil
	}
	return moving, c.Write(ctx, "rollout.follow", func(tx *sqldb.Tx) error {
		for _, v := range changed {
			if err := s.putIn(ctx, tx, v[0], v[1]); err != nil {
				return err
			}
		}
		return nil
	})
}

// refusals are what a run ends with that was not allowed to begin.
var refusals = []string{codePlanChanged, "guardrail_denied", "quota_exceeded", "budget_exceeded", "approval_rejected", "approval_expired"}

// seen gives the member as its resource shows it now. withdraw says that the
// gates refused the change: nothing was done, and it is not to be wanted.
func (m Member) seen(r Rollout, res resource.Resource, gone bool, now time.Time) (next Member, withdraw bool) {
	revision := m.ToRevision
	if m.State == Backing {
		revision = m.BackRevision
	}
	switch {
	case gone || !res.DestroyWantedAt.IsZero() || !res.DestroyedAt.IsZero() || res.Phase == resource.Released:
		return m.aside("gone", "it is destroyed, or being destroyed", ""), false
	case res.Revision != revision:
		return m.aside("changed", "somebody changed it meanwhile; that is left as it is", "see: fairlead describe "+m.name()), false
	case res.Phase == resource.Waiting && m.State == Backing:
		if now.Sub(m.StartedAt) > r.Settings.Patience/2 { // its time does not run while it waits
			m.StartedAt = now
		}
		return m, false
	case res.Phase == resource.Waiting:
		m.Reason, m.Message = "waiting", "waits: "+short(res.Message)
		return m, false
	case m.Reason == "waiting":
		m.Reason, m.Message, m.StartedAt = "", "", now
	}
	if m.State == Backing {
		return m.goingBack(r, res, now), false
	}
	switch {
	case res.Phase == resource.Failed && m.State == Applying && slices.Contains(refusals, res.Reason):
		return m.aside(res.Reason, res.Message, remedyFor(res, r)), true
	case res.Phase == resource.Failed, res.Phase == resource.Lost:
		return m.failed(res.Reason, res.Message, "fairlead why "+m.name()), false
	case res.Phase == resource.Canceled:
		return m.aside("canceled", "somebody canceled its run", "fairlead retry "+m.name()), false
	case res.Phase == resource.Ready && m.State == Applying && res.AppliedRevision == revision:
		m.State, m.Reason, m.Message, m.Remedy = Upgraded, "", "", ""
		return m, false
	case m.State == Upgraded && res.Phase == resource.Ready && res.ObservedAt.After(m.AppliedAt):
		return m.healthy(r, res, now), false
	}
	return m.inTime(r, res, now), false
}

func remedyFor(res resource.Resource, r Rollout) string {
	if res.Hint != "" {
		return res.Hint
	}
	return "plan it anew: fairlead rollout retry " + r.ID
}

func (m Member) failed(reason, message, remedy string) Member {
	m.State, m.Reason, m.Message, m.Remedy = Failed, reason, short(message), remedy
	return m
}

// healthy is a member that was looked at after its upgrade.
func (m Member) healthy(r Rollout, res resource.Resource, now time.Time) Member {
	switch res.Reason {
	case "not_observed", "mass_drift": // nothing was seen
		return m.inTime(r, res, now)
	case "drift", "drift_asks", "repair_does_not_hold":
		return m.failed("unhealthy", "after its upgrade it is not as wanted: "+res.Message, "fairlead describe "+m.name())
	}
	m.State, m.Reason, m.Message, m.Remedy = Done, "", "", ""
	return m
}

// inTime is a member that is on its way still; it has failed when that takes
// too long.
func (m Member) inTime(r Rollout, res resource.Resource, now time.Time) Member {
	since := m.StartedAt
	if m.State == Upgraded {
		since = m.AppliedAt
	}
	if now.Sub(since) <= r.Settings.Patience {
		return m
	}
	message := "it took longer than " + r.Settings.Patience.String() + "; it is " + string(res.Phase)
	if res.Message != "" {
		message += ": " + res.Message
	}
	return m.failed("timed_out", message, "fairlead why "+m.name())
}

// sick gives the members that were well and are not any more, as failed ones.
// What somebody changed since is theirs.
func (s *Service) sick(ctx context.Context, in []Member) ([]Member, error) {
	var out []Member
	for _, m := range in {
		if m.State != Done {
			continue
		}
		res, err := s.Resources.ByID(ctx, m.ResourceID)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if res.Revision == m.ToRevision && (res.Phase == resource.Failed || res.Phase == resource.Lost || res.Reason == "drift" || res.Reason == "drift_asks" || res.Reason == "repair_does_not_hold") {
			out = append(out, m.failed("unhealthy", "it was well, and is not any more: "+res.Message, "fairlead why "+m.name()))
		}
	}
	return out, nil
}
