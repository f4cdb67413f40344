package rollout

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// planAttempts is how often a plan is tried that fails for what may pass.
const planAttempts = 5

// Work is the handler of both lanes.
func (s *Service) Work(ctx context.Context, c *queue.Claim) error {
	if c.Lane == PlanLane {
		return s.planMember(ctx, c)
	}
	return s.turn(ctx, c)
}

// planMember plans one member, as a change that somebody asks for would be:
// its inputs are checked, the gates are heard, and nothing is changed.
func (s *Service) planMember(ctx context.Context, c *queue.Claim) error {
	system := principal.With(ctx, principal.System)
	m, err := s.store.member(system, s.DB.Read(), c.Key)
	if errors.Is(err, sql.ErrNoRows) || err == nil && m.State != Unplanned {
		return s.forget(system, c)
	}
	if err != nil {
		return err
	}
	r, err := s.store.rollout(system, s.DB.Read(), m.RolloutID)
	if err != nil {
		return err
	}
	if r.State != Planning {
		return s.forget(system, c)
	}
	next, err := s.planned(ctx, r, m)
	if err != nil {
		if ctx.Err() != nil || fault.KindOf(err) != fault.Unavailable && fault.KindOf(err) != fault.Internal && fault.KindOf(err) != fault.Limited {
			return err
		}
		if c.Attempt < planAttempts {
			return c.Write(system, "rollout.replan", func(tx *sqldb.Tx) error { return c.Retry(system, tx, queue.Backoff(c.Attempt), fault.From(err).Code) })
		}
		s.Log.Warn("a member of a rollout cannot be planned", "rollout", r.ID, "resource", m.ResourceID, "error", err)
		next = m.excluded("plan_failed", "it could not be planned: "+fault.From(err).Message, "try it again: fairlead rollout retry "+r.ID)
	}
	failpoint.Hit("rollout.planned")
	ctx = context.WithoutCancel(system)
	return c.Write(ctx, "rollout.plan", func(tx *sqldb.Tx) error {
		next.PlannedAt = tx.Now()
		if _, err := s.store.updateMember(ctx, tx, Unplanned, next); err != nil {
			return err
		}
		if err := s.store.touch(ctx, tx, r.ID); err != nil {
			return err
		}
		var left int64
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM rollout_members WHERE rollout_id = $1 AND state = 'unplanned'`, r.ID).Scan(&left); err != nil {
			return err
		}
		if left == 0 {
			if err := enqueue(ctx, tx, r.ID, 0); err != nil {
				return err
			}
		}
		return c.Remove(ctx, tx)
	})
}

func (s *Service) forget(ctx context.Context, c *queue.Claim) error {
	return c.Write(ctx, "rollout.forget", func(tx *sqldb.Tx) error { return c.Remove(ctx, tx) })
}

// excluded is the member left out, with why and what can be done.
func (m Member) excluded(reason, message, remedy string) Member {
	m.State, m.Reason, m.Message, m.Remedy = Excluded, reason, short(message), short(remedy)
	m.shape, m.diff, m.Severity, m.Title, m.Group = "", "", "", "", 0
	return m
}

// short keeps what others said within what a list can show.
func short(s string) string {
	if r := []rune(s); len(r) > 1000 {
		return string(r[:1000]) + "…"
	}
	return s
}

// where names the member's resource by ids.
func (m Member) where() resource.Where {
	return resource.Where{Project: m.ProjectID, Environment: m.EnvironmentID, Name: m.ResourceID}
}

// name is the member's resource as commands take it.
func (m Member) name() string { return m.Resource + " -e " + m.Project + "/" + m.Environment }

// planned gives the member as it is after planning: pending with its diff, or
// excluded. An error is of what may pass.
func (s *Service) planned(ctx context.Context, r Rollout, m Member) (Member, error) {
	acting, err := s.as(ctx, r)
	if fault.Is(err, fault.NotFound) {
		return m.excluded("author_gone", "whoever started it is not there any more", "whoever may do it goes on: fairlead rollout retry "+r.ID), nil
	}
	if err != nil {
		return m, err
	}
	res, err := s.Resources.ByID(acting, m.ResourceID)
	if fault.Is(err, fault.NotFound) {
		return m.excluded("gone", "it is not there any more, or not for "+r.CreatedByName+" to know", ""), nil
	}
	if err != nil {
		return m, err
	}
	if _, err := s.Access.Check(access.Wondering(acting), access.RolloutManage, m.target("")); fault.Is(err, fault.Denied) || fault.Is(err, fault.NotFound) {
		return m.excluded("denied", faultText(err), "ask the team "+m.Team+", or whoever may do it for every team"), nil
	} else if err != nil {
		return m, err
	}
	if out, no, err := s.unfit(ctx, r, m, res); err != nil || no {
		return out, err
	}
	preview, err := s.Resources.PlanChange(acting, m.where(), resource.Change{Version: r.To, IfMatch: res.Version})
	switch kind := fault.KindOf(err); {
	case err == nil:
	case kind == fault.Stale: // it moved on meanwhile
		return m, fault.New(fault.Unavailable, "moved", "the resource is being changed").WithCause(err)
	case kind == fault.Invalid:
		return m.excluded("inputs_invalid", faultText(err), remedyOf(err, "set what is needed and upgrade it alone: fairlead upgrade "+m.name()+" --to "+r.To+" --set NAME=VALUE")), nil
	case kind == fault.Denied, kind == fault.NotFound, kind == fault.Unauthenticated:
		return m.excluded("denied", faultText(err), remedyOf(err, "ask the team "+m.Team)), nil
	case kind == fault.Conflict:
		return m.excluded("conflict", faultText(err), remedyOf(err, "see: fairlead why "+m.name())), nil
	default:
		return m, err
	}
	if j := preview.Judgement; j.Denied() {
		return m.excluded("denied", faultText(j.Err()), remedyOf(j.Err(), "")), nil
	}
	return m.fit(r, res, preview)
}

// unfit tells whether a resource must not be upgraded now, and gives the
// member that says so.
func (s *Service) unfit(ctx context.Context, r Rollout, m Member, res resource.Resource) (Member, bool, error) {
	now, err := s.DB.Now(ctx)
	if err != nil {
		return m, false, err
	}
	held, err := s.store.holds(ctx, s.DB.Read(), m.ResourceID, r.ID, now)
	switch {
	case err != nil:
		return m, false, err
	case len(held) > 0:
		return m.held(held[0]), true, nil
	case !res.DestroyedAt.IsZero() || !res.DestroyWantedAt.IsZero():
		return m.excluded("gone", "it is destroyed, or being destroyed", ""), true, nil
	case res.TemplateVersion == r.To && res.Phase == resource.Ready:
		return m.excluded("up_to_date", "it is made from "+r.To+" already", ""), true, nil
	case res.Phase != resource.Ready && res.Phase != resource.Failed && res.Phase != resource.Canceled:
		return m.excluded("not_ready", "it is "+string(res.Phase)+": "+res.Message, "when it is ready: fairlead rollout retry "+r.ID), true, nil
	}
	return m, false, nil
}

// held is the member left out because of a pin or an exemption.
func (m Member) held(p Pin) Member {
	until := p.Until.UTC().Format("2006-01-02 15:04 MST")
	remedy := m.letGo(p) + ", then: fairlead rollout retry " + m.RolloutID
	if p.RolloutID == "" {
		return m.excluded("pinned", fmt.Sprintf("%s pinned it until %s: %s", p.CreatedByName, until, p.Reason), remedy)
	}
	return m.excluded("exempted", fmt.Sprintf("%s exempted it until %s: %s", p.CreatedByName, until, p.Reason), remedy)
}

// letGo is the command that ends a pin or an exemption.
func (m Member) letGo(p Pin) string {
	if p.RolloutID == "" {
		return "fairlead unpin " + m.name()
	}
	return "fairlead exempt " + m.name() + " --rollout " + p.RolloutID + " --end"
}

// fit is the member with its plan, ready for its turn.
func (m Member) fit(r Rollout, res resource.Resource, preview resource.Preview) (Member, error) {
	diff := normaliserOf(res).diff(preview.Plan)
	text, err := json.Marshal(diff)
	if err != nil {
		return m, err
	}
	if m.shape, err = shapeOf(diff); err != nil {
		return m, err
	}
	m.State, m.Reason, m.Message, m.Remedy = Pending, "", "", ""
	m.diff, m.Severity, m.Title, m.Planned = string(text), severityOf(diff), titleOf(diff), res.Revision
	if res.TemplateVersion != r.To { // else it failed with it, and is tried again
		m.From = res.TemplateVersion
	}
	m.endsAs, m.StartedAt, m.AppliedAt, m.Ended = "", time.Time{}, time.Time{}, time.Time{}
	if list := preview.Judgement.With(gate.Approve); len(list) > 0 {
		m.Message = short("its run will wait for an approval: " + list[0].Message)
	}
	return m, nil
}

// faultText is all that a fault says of what is wrong.
func faultText(err error) string {
	f := fault.From(err)
	parts := []string{f.Message}
	for i, v := range f.Violations {
		if i == 5 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, strings.TrimPrefix(v.Field+": "+v.Message, ": "))
	}
	return strings.Join(parts, "; ")
}

func remedyOf(err error, otherwise string) string {
	if h := fault.From(err).Hint; h != "" && otherwise != "" {
		return otherwise + "; " + h
	} else if h != "" {
		return h
	}
	return otherwise
}

// settlePlans is the end of planning: equal diffs become groups, members get
// their waves, and it goes on, or waits to be started.
func (s *Service) settlePlans(ctx context.Context, c *queue.Claim, r Rollout) error {
	return c.Write(ctx, "rollout.settle", func(tx *sqldb.Tx) error {
		r, err := s.store.lock(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		all, err := s.store.members(ctx, tx, r.ID)
		if err != nil {
			return err
		}
		if r.State != Planning || slices.ContainsFunc(all, func(m Member) bool { return m.State == Unplanned }) {
			return c.Done(ctx, tx, s.Poll)
		}
		if err := s.group(ctx, tx, r, all); err != nil {
			return err
		}
		if err := s.spread(ctx, tx, r, all); err != nil {
			return err
		}
		r.State, r.Reason, r.Hint = Planned, "", "go on with: fairlead rollout start "+r.ID
		if err := s.emit(ctx, tx, "rollout.planned", r, nil); err != nil {
			return err
		}
		again := time.Duration(0)
		if r.Starts {
			if err := s.begin(ctx, tx, &r); err != nil {
				return err
			}
			again = time.Millisecond
		}
		if err := s.store.update(ctx, tx, &r); err != nil {
			return err
		}
		return c.Done(ctx, tx, again)
	})
}

// group puts members with the same diff into groups; groups that are there
// stay, and what was agreed to holds when nothing about them changed.
func (s *Service) group(ctx context.Context, tx *sqldb.Tx, r Rollout, all []Member) error {
	groups, err := s.store.groups(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	byShape := map[string]int{}
	for i, g := range groups {
		byShape[g.shape] = i
	}
	weight := map[Severity]int{Destructive: 0, Modifying: 1, None: 2}
	fresh := slices.DeleteFunc(slices.Clone(all), func(m Member) bool { return m.State != Pending })
	slices.SortStableFunc(fresh, func(a, b Member) int { return weight[a.Severity] - weight[b.Severity] })
	for _, m := range fresh {
		if _, there := byShape[m.shape]; there {
			continue
		}
		byShape[m.shape] = len(groups)
		groups = append(groups, Group{Number: int64(len(groups) + 1), Severity: m.Severity, Title: m.Title, shape: m.shape})
	}
	diffs := map[string]string{}
	for i, m := range all {
		if m.State == Excluded || m.shape == "" {
			continue
		}
		diffs[m.shape] = m.diff
		g := groups[byShape[m.shape]]
		if m.Group == g.Number {
			continue
		}
		all[i].Group = g.Number
		if _, err := s.store.updateMember(ctx, tx, m.State, all[i]); err != nil {
			return err
		}
	}
	for _, g := range groups {
		if g.Digest, err = digestOf(r, g, all); err != nil {
			return err
		}
		if diffs[g.shape] == "" {
			continue // none of its members is left
		}
		if err := s.store.putGroup(ctx, tx, r.ID, g, diffs[g.shape]); err != nil {
			return err
		}
	}
	return nil
}

// digestOf is what an approval of a group is bound to: the version, what is
// done, and to whom in which state.
func digestOf(r Rollout, g Group, all []Member) (string, error) {
	members := [][]any{}
	for _, m := range all {
		if m.shape == g.shape && m.State != Excluded {
			members = append(members, []any{m.ResourceID, m.From, m.Planned})
		}
	}
	slices.SortFunc(members, func(a, b []any) int { return strings.Compare(fmt.Sprint(a...), fmt.Sprint(b...)) })
	return gate.Bind([]any{r.Template, r.To, r.Digest, g.shape, members})
}

// spread gives members their waves. Those that have one keep it.
func (s *Service) spread(ctx context.Context, tx *sqldb.Tx, r Rollout, all []Member) error {
	waves, err := s.store.waves(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	fresh := slices.DeleteFunc(slices.Clone(all), func(m Member) bool { return m.State != Pending || m.Wave != 0 })
	if len(fresh) == 0 {
		return nil
	}
	names, of, err := inWaves(r.Settings.Waves, fresh)
	if err != nil {
		return err
	}
	number := map[int64]int64{} // of a wave of fresh ones: the wave of that name that is there, or a new one
	for i, name := range names {
		at := slices.IndexFunc(waves, func(w Wave) bool { return w.Name == name })
		if at < 0 {
			at = len(waves)
			waves = append(waves, Wave{Number: int64(at + 1), Name: name, State: "waiting"})
			if err := s.store.putWave(ctx, tx, r.ID, waves[at]); err != nil {
				return err
			}
		}
		number[int64(i+1)] = waves[at].Number
	}
	for i, m := range all {
		if w, ok := of[m.ID]; ok && m.Wave == 0 {
			all[i].Wave = number[w]
			if _, err := s.store.updateMember(ctx, tx, m.State, all[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

var errNotSaid = errors.New("rollout: a member's diff cannot be read")

// planOf reads the member's stored diff.
func (m Member) planOf() ([]ObjectDiff, error) {
	var out []ObjectDiff
	if err := json.Unmarshal([]byte(m.diff), &out); err != nil {
		return nil, errors.Join(errNotSaid, err)
	}
	return out, nil
}

// checkReason is for a reason that must be given.
func checkReason(field, s string) error {
	if strings.TrimSpace(s) == "" {
		return fault.New(fault.Invalid, "reason_missing", "say why").WithField(field).WithHint("whoever finds it later needs to know")
	}
	return ident.CheckText(field, s, maxText)
}
