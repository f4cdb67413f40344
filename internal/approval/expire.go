package approval

import (
	"context"
	"time"

	"fairlead/internal/audit"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// ExpireDue ends the approvals whose time is over by the database's clock, and
// wakes what waits for them. Several may do it at once.
func (s *Service) ExpireDue(ctx context.Context) error {
	ctx = principal.With(ctx, principal.System)
	now, err := s.db.Now(ctx)
	if err != nil {
		return err
	}
	ids, err := s.store.due(ctx, now)
	if err != nil {
		return err
	}
	for _, id := range ids {
		err := s.db.Write(ctx, "approval.expire", func(tx *sqldb.Tx) error {
			a, err := s.store.get(ctx, tx, id, true)
			if err != nil || a.Status != Pending || tx.Now().Before(a.ExpiresAt) {
				return err
			}
			if err := s.expire(ctx, tx, &a); err != nil {
				return err
			}
			return s.wake(ctx, tx, a)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) expire(ctx context.Context, tx *sqldb.Tx, a *Approval) error {
	a.Status, a.DecidedAt = Expired, tx.Now()
	if err := s.store.end(ctx, tx, *a); err != nil {
		return err
	}
	audit.Append(ctx, tx, audit.Entry{Action: "approval:expire", Target: a.Target(), Details: map[string]any{"expired": a.ExpiresAt.Format(time.RFC3339), "run": a.RunID}})
	return s.emit(ctx, tx, "approval.expired", *a, []string{a.RequestedBy}, nil)
}

// now is the database's clock: the transaction's where there is one.
func (s *Service) now(ctx context.Context, q sqldb.Querier) (time.Time, error) {
	if tx, ok := q.(*sqldb.Tx); ok {
		return tx.Now(), nil
	}
	return s.db.Now(ctx)
}
