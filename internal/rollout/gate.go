package rollout

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"fairlead/internal/gate"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
)

// codePlanChanged is what a run ends with whose plan is not the one of its
// rollout any more.
const codePlanChanged = "plan_changed"

// Verdicts implements gate.Rollouts: the plan of a run that a rollout asked for
// must be the plan that its group was agreed to with.
func (s *Service) Verdicts(ctx context.Context, f gate.Facts) ([]gate.Verdict, error) {
	if f.Stage != gate.Plan || f.RunID == "" || f.Plan == nil || !strings.HasPrefix(f.RequestID, "rol_") {
		return nil, nil
	}
	m, err := s.store.memberOf(ctx, s.DB.Read(), f.RequestID, f.ResourceID)
	if errors.Is(err, sql.ErrNoRows) || err == nil && (m.State != Applying || m.ToRevision != f.Revision) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	planned, err := m.planOf()
	if err != nil {
		return nil, err
	}
	res, err := s.Resources.ByID(ctx, f.ResourceID)
	if err != nil {
		return nil, err
	}
	now := normaliserOf(res).diff(*f.Plan)
	if keeps(planned, now) {
		return nil, nil
	}
	return []gate.Verdict{{Source: "rollout", Rule: f.RequestID, Strength: gate.Deny,
		Message: "its plan is not the group's any more; now: " + titleOf(now), Remedy: "plan it anew: fairlead rollout retry " + f.RequestID}}, nil
}

var _ gate.Rollouts = (*Service)(nil)

// Hold is how a rollout or a pin bears on a resource.
type Hold struct {
	Pin       *Pin     // that holds now
	Exempted  []Pin    // from rollouts that are not over
	Expired   *Pin     // the last one, when it ran out and none holds
	Member    *Member  // of the rollout that has a claim on it
	Rollout   *Rollout // that one
	GroupName string   // of the member's group, when it waits for somebody to agree
}

// Ahead gives the rollouts that are not over and about a resource, the newest
// first: also those that have no claim on it yet, or none any more. Its caller
// has asked access about the resource.
func (s *Service) Ahead(ctx context.Context, r resource.Resource) ([]Rollout, error) {
	return sqldb.Collect(ctx, s.DB.Read(), scanRollout, `SELECT `+rolloutColumns+` WHERE o.finished_at IS NULL
		AND EXISTS (SELECT 1 FROM rollout_members m WHERE m.rollout_id = o.id AND m.resource_id = $1) ORDER BY o.id DESC LIMIT 20`, r.ID)
}

// Holds tells how rollouts and pins bear on a resource. Its caller has asked
// access about the resource.
func (s *Service) Holds(ctx context.Context, r resource.Resource) (Hold, error) {
	var h Hold
	now, err := s.DB.Now(ctx)
	if err != nil {
		return h, err
	}
	own, err := s.store.pinsOf(ctx, r.ID)
	if err != nil {
		return h, err
	}
	for _, p := range own {
		holds := p.EndedAt.IsZero() && p.Until.After(now)
		switch {
		case holds && p.RolloutID == "":
			h.Pin = &p
		case holds:
			h.Exempted = append(h.Exempted, p)
		case p.RolloutID == "" && h.Expired == nil && (p.Expired || p.EndedAt.IsZero()):
			h.Expired = &p
		}
	}
	if h.Pin != nil {
		h.Expired = nil
	}
	m, err := s.store.openFor(ctx, s.DB.Read(), r.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	ro, err := s.store.rollout(ctx, s.DB.Read(), m.RolloutID)
	if err != nil {
		return h, err
	}
	h.Member, h.Rollout = &m, &ro
	if m.State == Pending {
		groups, err := s.store.groups(ctx, s.DB.Read(), ro.ID)
		if err != nil {
			return h, err
		}
		for _, g := range groups {
			if g.Number == m.Group && g.Waits() {
				h.GroupName = itoa(int(g.Number)) + " (" + g.Title + ")"
			}
		}
	}
	return h, nil
}
