package approval

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"unicode/utf8"

	"fairlead/internal/access"
	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

const maxComment = 1000

// Ballot is what somebody says about an approval. Digest is that of what they
// looked at.
type Ballot struct {
	Decision Decision
	Comment  string
	Digest   string
}

// Decide approves or rejects in the caller's name, and in that of everybody
// who delegated their right to them. To repeat a vote is no error. Faults:
// not_found; own_request for who asked and whoever stands behind them;
// not_an_approver for who is not asked; approval_changed (Stale) when it is
// void or the digest is another; approval_decided, approval_expired.
func (s *Service) Decide(ctx context.Context, id string, b Ballot) (Approval, error) {
	p, err := known(ctx)
	if err != nil {
		return Approval{}, err
	}
	seen, err := s.visible(ctx, id)
	if err != nil {
		return Approval{}, err
	}
	if p.Kind != principal.User {
		return Approval{}, fault.New(fault.Denied, "robot_cannot_approve", "a robot cannot agree to anything").
			WithHint("a person decides: fairlead approvals who %s", id)
	}
	if !access.ScopeAllows(p.Scopes, access.ApprovalDecide) {
		return Approval{}, fault.New(fault.Denied, "scope_too_narrow", "this token is not for that").
			WithHint("its scopes do not include %s; use another token or sign in", access.ApprovalDecide)
	}
	rights, err := s.rights(ctx, s.db.Read(), seen, p)
	if err != nil {
		return Approval{}, err
	}
	if len(rights) == 0 {
		return Approval{}, s.cannot(ctx, seen, p)
	}
	if err := checkBallot(b); err != nil {
		return Approval{}, err
	}
	var out Approval
	err = s.db.Write(ctx, "approval.decide", func(tx *sqldb.Tx) error {
		a, err := s.locked(ctx, tx, id)
		if err != nil {
			return err
		}
		rights, err := s.rights(ctx, tx, a, p)
		if err != nil {
			return err
		}
		if len(rights) == 0 {
			return s.cannot(ctx, a, p)
		}
		out = a
		if done, err := s.replayed(ctx, tx, &out, p, b); done || err != nil {
			return err
		}
		return s.cast(ctx, tx, &out, p, rights, b)
	})
	if err != nil {
		return Approval{}, err
	}
	return s.fill(ctx, out)
}

func checkBallot(b Ballot) error {
	if b.Decision != Approve && b.Decision != Reject {
		return fault.New(fault.Invalid, "invalid_decision", "approve or reject").WithField("/decision")
	}
	if b.Digest == "" {
		return fault.New(fault.Invalid, "digest_required", "say what you looked at: the digest of the approval").WithField("/digest").
			WithHint("read the approval, and send its digest along")
	}
	if b.Decision == Reject && visible(strings.TrimSpace(b.Comment)) == 0 {
		return fault.New(fault.Invalid, "comment_required", "say why you reject it").WithField("/comment").
			WithHint("whoever asked for it reads it: --comment …")
	}
	return checkText("/comment", b.Comment)
}

// checkText lets several lines through.
func checkText(field, text string) error {
	if utf8.RuneCountInString(text) > maxComment {
		return ident.CheckText(field, text, maxComment)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if err := ident.CheckText(field, line, maxComment); err != nil {
			return err
		}
	}
	return nil
}

// locked reads an approval, with its votes, and keeps it until the commit.
func (s *Service) locked(ctx context.Context, tx *sqldb.Tx, id string) (Approval, error) {
	a, err := s.store.get(ctx, tx, id, true)
	if errors.Is(err, sql.ErrNoRows) {
		return a, notFound()
	}
	if err != nil {
		return a, err
	}
	a.Votes, err = s.store.votes(ctx, tx, a.ID)
	return a, err
}

// right is a way in which somebody may decide: in their own name, or in that
// of who delegated to them.
type right struct{ holder principal.Principal }

// rights gives the ways in which the caller may decide on a, as things are in
// this transaction.
func (s *Service) rights(ctx context.Context, q sqldb.Querier, a Approval, caller principal.Principal) ([]right, error) {
	if caller.Kind != principal.User || a.barred(caller.ID) != "" {
		return nil, nil
	}
	self, enabled, err := s.people.Person(ctx, q, caller.ID)
	if fault.Is(err, fault.NotFound) || err == nil && !enabled {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	self.SessionID, self.TokenID = caller.SessionID, caller.TokenID // policies may look at it
	if _, forbidden, err := s.may(ctx, self, a.Target()); forbidden || err != nil {
		return nil, err
	}
	now, err := s.now(ctx, q)
	if err != nil {
		return nil, err
	}
	holders := []principal.Principal{self}
	delegated, err := s.store.delegatedTo(ctx, q, self.ID, now)
	if err != nil {
		return nil, err
	}
	for _, d := range delegated {
		p, enabled, err := s.people.Person(ctx, q, d.FromID)
		if err != nil {
			return nil, err
		}
		if enabled {
			holders = append(holders, p)
		}
	}
	var out []right
	for _, h := range holders {
		for _, n := range a.Needs {
			ok, err := s.counts(ctx, a, n, h)
			if err != nil {
				return nil, err
			}
			if ok {
				out = append(out, right{h})
				break
			}
		}
	}
	return out, nil
}

// cannot says why somebody who sees a may not decide on it.
func (s *Service) cannot(ctx context.Context, a Approval, p principal.Principal) error {
	if _, err := s.access.Check(ctx, access.ApprovalDecide, a.Target()); fault.Is(err, fault.Internal) { // also writes it down that they tried
		return err
	}
	if why := a.barred(p.ID); why != "" {
		return fault.New(fault.Denied, "own_request", "somebody else must agree: you are who %s", why).
			WithHint("see who can: fairlead approvals who %s", a.ID)
	}
	return fault.New(fault.Denied, "not_an_approver", "this approval is not yours to give").
		WithHint("see who can, and why others cannot: fairlead approvals who %s", a.ID)
}

// replayed tells whether the vote was given already, and refuses it when it
// comes too late or for something else.
func (s *Service) replayed(ctx context.Context, tx *sqldb.Tx, a *Approval, p principal.Principal, b Ballot) (bool, error) {
	if a.Status == Void || b.Digest != a.Digest {
		return false, s.stale(ctx, tx, *a)
	}
	said := false
	for _, v := range a.Votes {
		said = said || v.VoterID == p.ID && v.Decision == b.Decision
	}
	switch {
	case a.Status == Pending && !tx.Now().Before(a.ExpiresAt), a.Status == Expired:
		return false, fault.New(fault.Conflict, "approval_expired", "nobody decided on the approval in time").WithHint("%s", a.again())
	case a.Status == Pending:
		return false, nil
	case said && (a.Status == Approved && b.Decision == Approve || a.Status == Rejected && b.Decision == Reject):
		return true, nil
	}
	return false, decided(*a)
}

func decided(a Approval) error {
	return fault.New(fault.Conflict, "approval_decided", "the approval is %s already", a.Status).WithHint("see: fairlead approvals show %s", a.ID)
}

func (s *Service) stale(ctx context.Context, q sqldb.Querier, a Approval) error {
	f := fault.New(fault.Stale, "approval_changed", "it changed since you looked")
	if a.Status == Void && a.Reason != "" {
		f = fault.New(fault.Stale, "approval_changed", "it changed since you looked: %s", a.Reason)
	}
	next, err := s.store.next(ctx, q, a)
	if err != nil {
		return err
	}
	if next == "" {
		return f.WithHint("look at it again: fairlead approvals show %s", a.ID)
	}
	return f.WithHint("look at what took its place: fairlead approvals show %s", next)
}

// cast writes the vote down, and what comes of it.
func (s *Service) cast(ctx context.Context, tx *sqldb.Tx, a *Approval, p principal.Principal, rights []right, b Ballot) error {
	var behalf []string
	fresh := false
	for _, r := range rights {
		added, err := s.store.vote(ctx, tx, a.ID, Vote{VoterID: p.ID, holderID: r.holder.ID, Decision: b.Decision, Comment: b.Comment})
		if err != nil {
			return err
		}
		fresh = fresh || added
		if r.holder.ID != p.ID {
			behalf = append(behalf, r.holder.Name)
		}
	}
	var err error
	if a.Votes, err = s.store.votes(ctx, tx, a.ID); err != nil {
		return err
	}
	enough, err := s.tally(ctx, tx, a)
	if err != nil {
		return err
	}
	if !fresh && !enough {
		return nil
	}
	kind := "approval.voted"
	switch {
	case b.Decision == Reject:
		a.Status, kind = Rejected, "approval.rejected"
	case enough:
		a.Status, kind = Approved, "approval.approved"
	}
	audit.Append(ctx, tx, audit.Entry{Action: string(access.ApprovalDecide), Target: a.Target(), Decision: access.Decision{Allowed: true}, Details: map[string]any{
		"decision": string(b.Decision), "comment": b.Comment, "onBehalfOf": behalf, "digest": a.Digest, "status": string(a.Status), "run": a.RunID}})
	if a.Status != Pending {
		a.DecidedAt, a.DecidedBy, a.Decider = tx.Now(), p.ID, p.Name
		if err := s.store.end(ctx, tx, *a); err != nil {
			return err
		}
		if err := s.wake(ctx, tx, *a); err != nil {
			return err
		}
	}
	return s.emit(ctx, tx, kind, *a, []string{a.RequestedBy}, map[string]any{"voter": p.Name, "comment": b.Comment, "onBehalfOf": behalf})
}

// again says how to ask once more for what was not agreed to.
func (a Approval) again() string {
	if a.Kind == KindResource {
		return "whoever asked can ask again: fairlead retry " + a.Title + " -e " + a.Project + "/" + a.Environment
	}
	return "whoever asked can ask again, by the same command"
}
