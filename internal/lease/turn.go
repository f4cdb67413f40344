package lease

import (
	"context"
	"errors"
	"fmt"

	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

const batch = 100

// Turn is one turn of the loop: owners are warned, leases whose time is over
// begin to end, and those that are ending are driven on. Several replicas may
// do it at once: each step is decided again in its transaction.
func (s *Service) Turn(ctx context.Context) error {
	ctx = principal.With(ctx, principal.System)
	return errors.Join(s.remind(ctx), s.drive(ctx))
}

// remind warns the owners whose time it is, and begins endings.
func (s *Service) remind(ctx context.Context) error {
	for {
		now, err := s.DB.Now(ctx)
		if err != nil {
			return err
		}
		due, err := s.store.dueNow(ctx, Active, now, batch)
		if err != nil {
			return err
		}
		var failed error
		for _, l := range due {
			if err := s.come(ctx, l); err != nil {
				failed = errors.Join(failed, fmt.Errorf("lease %s: %w", l.ID, err))
			}
		}
		if failed != nil || len(due) < batch {
			return failed
		}
	}
}

// come does what is due about an active lease.
func (s *Service) come(ctx context.Context, l Lease) error {
	amount, currency, err := s.Costs.CostSoFar(ctx, l.SubjectID)
	if err != nil {
		s.Log.Warn("what a lease cost so far is not known", "lease", l.ID, "error", err)
		amount, currency = 0, ""
	}
	return s.DB.Write(ctx, "lease.due", func(tx *sqldb.Tx) error {
		l, err := s.store.lock(ctx, tx, l.ID)
		if err != nil || l.State != Active {
			return err
		}
		now, spent := tx.Now(), map[string]any{}
		if currency != "" {
			spent["cost"] = map[string]any{"amount": amount, "currency": currency}
		}
		if !now.Before(l.EndsAt) {
			l.State, l.Reason, l.EndingAt, l.WarnAt = Ending, Expired, now, nil
			s.record(ctx, tx, "lease:end", l, nil, map[string]any{"reason": Expired, "ends": stamp(l.EndsAt)})
			if err := s.store.update(ctx, tx, &l); err != nil {
				return err
			}
			return s.emit(ctx, tx, "lease.ended", l, spent)
		}
		still := l.WarnAt[:0:0]
		for _, at := range l.WarnAt {
			if at.After(now) {
				still = append(still, at)
			}
		}
		if len(still) == len(l.WarnAt) {
			return nil // another replica was first
		}
		// Of several that were missed the last says all.
		l.WarnAt, l.Warned = still, append(l.Warned, now)
		s.record(ctx, tx, "lease:warn", l, nil, map[string]any{"owner": l.OwnerID, "ends": stamp(l.EndsAt)})
		if err := s.store.update(ctx, tx, &l); err != nil {
			return err
		}
		spent["left"] = Text(l.EndsAt.Sub(now))
		spent["extend"] = "fairlead lease extend " + l.what()
		return s.emit(ctx, tx, "lease.warned", l, spent)
	})
}
