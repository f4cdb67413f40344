package approval

import (
	"context"
	"database/sql"
	"errors"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
)

// Get gives an approval with all that it takes to decide on it.
func (s *Service) Get(ctx context.Context, id string) (Approval, error) {
	a, err := s.visible(ctx, id)
	if err != nil {
		return a, err
	}
	return s.fill(ctx, a)
}

// visible gives an approval that the caller may know of: whoever sees the
// resource, whoever asked for it, and whoever it is for to decide.
func (s *Service) visible(ctx context.Context, id string) (Approval, error) {
	p, err := known(ctx)
	if err != nil {
		return Approval{}, err
	}
	if !ident.IsRef(id) {
		return Approval{}, notFound()
	}
	a, err := s.store.get(ctx, s.db.Read(), id, false)
	if errors.Is(err, sql.ErrNoRows) {
		return a, notFound()
	}
	if err != nil {
		return a, err
	}
	return a, s.sees(ctx, a, p)
}

// sees is nil when p may know of a.
func (s *Service) sees(ctx context.Context, a Approval, p principal.Principal) error {
	_, err := s.access.Check(ctx, access.ResourceView, a.Target())
	if err == nil || fault.Is(err, fault.Internal) {
		return err
	}
	if a.RequestedBy == p.ID && access.ScopeAllows(p.Scopes, access.ResourceView) {
		return nil
	}
	if access.ScopeAllows(p.Scopes, access.ApprovalDecide) {
		rights, err := s.rights(ctx, s.db.Read(), a, p)
		if err != nil || len(rights) > 0 {
			return err
		}
	}
	if fault.Is(err, fault.NotFound) {
		return notFound()
	}
	return err
}

// fill adds what lists have not: votes, how far the needs are met, who is
// needed still, what took its place.
func (s *Service) fill(ctx context.Context, a Approval) (Approval, error) {
	q := s.db.Read()
	var err error
	if a.Votes, err = s.store.votes(ctx, q, a.ID); err != nil {
		return a, err
	}
	if _, err = s.tally(ctx, q, &a); err != nil {
		return a, err
	}
	switch a.Status {
	case Pending:
		a.Who, _, err = s.wanted(ctx, q, a)
	case Void:
		a.Next, err = s.store.next(ctx, q, a)
	}
	return a, err
}
