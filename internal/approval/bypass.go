package approval

import (
	"context"
	"slices"
	"strings"
	"unicode"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// minReason is how much of a reason a bypass takes, in characters.
const minReason = 10

// person is who acts on an approval that they may see: somebody in person whom
// access lets.
func (s *Service) person(ctx context.Context, id string, action access.Action, doing string) (principal.Principal, access.Decision, error) {
	p, err := known(ctx)
	if err != nil {
		return p, access.Decision{}, err
	}
	a, err := s.visible(ctx, id)
	if err != nil {
		return p, access.Decision{}, err
	}
	d, err := s.access.Check(ctx, action, a.Target())
	if err == nil && p.Kind != principal.User {
		err = fault.New(fault.Denied, "robot_cannot_approve", "a robot cannot %s", doing).WithHint("a person with %s does", action)
	}
	return p, d, err
}

// Bypass goes ahead without the people who are asked, in an emergency. Whoever
// asked may do it too, if access lets them (approval:bypass). Everybody who
// was passed over and the platform administrators are told, and somebody else
// reviews it afterwards. To repeat it is no error.
func (s *Service) Bypass(ctx context.Context, id, reason string) (Approval, error) {
	p, d, err := s.person(ctx, id, access.ApprovalBypass, "go ahead without an approval")
	if err != nil {
		return Approval{}, err
	}
	if reason = strings.TrimSpace(reason); visible(reason) < minReason {
		return Approval{}, fault.New(fault.Invalid, "reason_required", "say why it cannot wait").WithField("/reason").
			WithHint("at least %d characters; it is reviewed afterwards", minReason)
	}
	if err := checkText("/reason", reason); err != nil {
		return Approval{}, err
	}
	var out Approval
	err = s.db.Write(ctx, "approval.bypass", func(tx *sqldb.Tx) error {
		a, err := s.locked(ctx, tx, id)
		if err != nil {
			return err
		}
		out = a
		switch {
		case a.Status == Bypassed && a.DecidedBy == p.ID:
			return nil
		case a.Status == Void:
			return s.stale(ctx, tx, a)
		case a.Status != Pending:
			return decided(a)
		}
		to, err := s.everybody(ctx, tx, a)
		if err != nil {
			return err
		}
		out.Status, out.Reason, out.DecidedAt, out.DecidedBy, out.Decider = Bypassed, reason, tx.Now(), p.ID, p.Name
		if err := s.store.end(ctx, tx, out); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: string(access.ApprovalBypass), Target: a.Target(), Decision: d, Details: map[string]any{
			"reason": reason, "own": a.barred(p.ID) != "", "passedOver": to, "needs": a.Needs, "digest": a.Digest, "run": a.RunID}})
		if err := s.emit(ctx, tx, "approval.bypassed", out, to, map[string]any{"bypassedBy": p.Name, "reason": reason}); err != nil {
			return err
		}
		return s.wake(ctx, tx, out)
	})
	if err != nil {
		return Approval{}, err
	}
	return s.fill(ctx, out)
}

// visible counts the characters that can be seen.
func visible(s string) int {
	n := 0
	for _, r := range s {
		if unicode.IsPrint(r) {
			n++
		}
	}
	return n
}

// everybody is who hears of a bypass: all who could have decided, those who
// stand in for them, who asked, and the platform administrators.
func (s *Service) everybody(ctx context.Context, tx *sqldb.Tx, a Approval) ([]string, error) {
	a.Votes = nil
	for i := range a.Needs {
		a.Needs[i].Have = 0
	}
	_, to, err := s.wanted(ctx, tx, a)
	if err != nil {
		return nil, err
	}
	admins, err := s.people.Holders(ctx, tx, "", []principal.Role{principal.PlatformAdmin}, maxNamed)
	if err != nil {
		return nil, err
	}
	first := []string{}
	for _, p := range admins {
		first = append(first, p.ID)
	}
	if a.RequestedBy != principal.System.ID {
		first = append(first, a.RequestedBy)
	}
	to = append(first, to...)
	if len(to) > maxNamed {
		to = to[:maxNamed]
	}
	slices.Sort(to)
	return slices.Compact(to), nil
}

// Review records that somebody looked at a bypass. It takes approval:review,
// and somebody else than those who went ahead, or asked for it, or had a part
// in it otherwise. To repeat it is no error.
func (s *Service) Review(ctx context.Context, id, comment string) (Approval, error) {
	p, d, err := s.person(ctx, id, access.ApprovalReview, "review anything")
	if err != nil {
		return Approval{}, err
	}
	if comment = strings.TrimSpace(comment); visible(comment) == 0 {
		return Approval{}, fault.New(fault.Invalid, "comment_required", "say what you found").WithField("/comment")
	}
	if err := checkText("/comment", comment); err != nil {
		return Approval{}, err
	}
	var out Approval
	err = s.db.Write(ctx, "approval.review", func(tx *sqldb.Tx) error {
		a, err := s.locked(ctx, tx, id)
		if err != nil {
			return err
		}
		out = a
		switch {
		case a.Status != Bypassed:
			return fault.New(fault.Conflict, "not_bypassed", "the approval is %s; only what was bypassed is reviewed", a.Status).
				WithHint("list what is to review: fairlead approvals --needs-review")
		case a.DecidedBy == p.ID:
			return fault.New(fault.Denied, "own_bypass", "you went ahead yourself; somebody else reviews it").WithHint("an auditor, the team's owner or a platform administrator can")
		case a.barred(p.ID) != "":
			return fault.New(fault.Denied, "own_request", "you have a part in what was bypassed: you %s; somebody else reviews it", a.barred(p.ID)).
				WithHint("an auditor, the team's owner or a platform administrator can")
		case a.ReviewedBy == p.ID:
			return nil
		case a.ReviewedBy != "":
			return fault.New(fault.Conflict, "already_reviewed", "%s reviewed it already", a.Reviewer).WithHint("see: fairlead approvals show %s", a.ID)
		}
		out.ReviewedAt, out.ReviewedBy, out.Reviewer, out.Review = tx.Now(), p.ID, p.Name, comment
		if _, err := tx.ExecContext(ctx, `UPDATE approvals SET reviewed_at = $2, reviewed_by = $3, review = $4 WHERE id = $1`,
			a.ID, tx.Now().UnixMicro(), p.ID, comment); err != nil {
			return err
		}
		audit.Append(ctx, tx, audit.Entry{Action: string(access.ApprovalReview), Target: a.Target(), Decision: d, Details: map[string]any{
			"comment": comment, "bypassedBy": a.DecidedBy}})
		return s.emit(ctx, tx, "approval.reviewed", out, []string{a.DecidedBy, a.RequestedBy}, map[string]any{"reviewer": p.Name, "comment": comment})
	})
	if err != nil {
		return Approval{}, err
	}
	return s.fill(ctx, out)
}
