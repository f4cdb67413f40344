package quota

import (
	"context"
	"time"

	"fairlead/internal/event"
	"fairlead/internal/loop"
	"fairlead/internal/sqldb"
)

// Topic is woken when a limit changes.
const Topic = "quotas"

// Loops is the background work: warnings, and the check of the sums.
func (s *Service) Loops() []loop.Loop {
	return []loop.Loop{
		{Name: "quota-warn", Every: 15 * time.Second, Wake: Topic, Once: true, Do: s.Warn},
		{Name: "quota-check", Every: 10 * time.Minute, Once: true, Do: s.Check},
	}
}

// crossed is that a limit is used as far as somebody wants to know. Limits
// that only warn do so at their maximum too.
const crossed = `l.used > 0 AND (l.warn > 0 AND CAST(l.used AS DOUBLE PRECISION) >= CAST(l.max AS DOUBLE PRECISION) * l.warn / 1000000 OR l.enforce = 0 AND l.used > l.max)`

// Warn tells the owners of each limit that came near its maximum, or passed
// it, by an event: once a month.
func (s *Service) Warn(ctx context.Context) error {
	now, err := s.db.Now(ctx)
	if err != nil {
		return err
	}
	month := now.UTC().Format("2006-01")
	due, err := sqldb.Collect(ctx, s.db.Read(), sqldb.Text, `SELECT l.id FROM quota_limits l WHERE `+crossed+` AND l.warned_month <> $1 ORDER BY l.id LIMIT 1000`, month)
	if err != nil {
		return err
	}
	for _, id := range due {
		if err := s.db.Write(ctx, "quota.warn", func(tx *sqldb.Tx) error { return s.warn(ctx, tx, id, month) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) warn(ctx context.Context, tx *sqldb.Tx, id, month string) error {
	res, err := tx.ExecContext(ctx, `UPDATE quota_limits AS l SET warned_month = $2 WHERE l.id = $1 AND l.warned_month <> $2 AND `+crossed, id, month)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	l, err := s.store.byID(ctx, tx, id)
	if err != nil {
		return err
	}
	to, err := s.store.owners(ctx, tx, l.TeamID)
	if err != nil {
		return err
	}
	kind := event.QuotaWarned
	if l.Metric == MonthlyCost {
		kind = event.BudgetWarned
	}
	return event.Emit(ctx, tx, event.Event{Type: kind, Subject: l.ID, TeamID: l.TeamID, ProjectID: l.ProjectID, EnvironmentID: l.EnvironmentID, To: to,
		Data: map[string]any{"place": l.Place(), "metric": l.Metric, "max": l.Max.Float(), "used": l.Used.Float(), "warnAt": l.WarnAt, "enforce": l.Enforce, "month": month}})
}

// Check compares what is used of each limit with what is held, mends and logs
// what differs; frees what resources that are gone still hold; and lets what
// is held follow an environment to another class.
func (s *Service) Check(ctx context.Context) error {
	gone, err := sqldb.Collect(ctx, s.db.Read(), sqldb.Text, `SELECT DISTINCT h.resource_id FROM quota_holdings h JOIN resources r ON r.id = h.resource_id
		WHERE r.destroyed_at IS NOT NULL ORDER BY h.resource_id LIMIT 1000`)
	if err != nil {
		return err
	}
	for _, id := range gone {
		s.log.Warn("a resource that is gone held quota; it is free now", "resource", id)
		if err := s.db.Write(ctx, "quota.free", func(tx *sqldb.Tx) error { return s.Release(ctx, tx, id) }); err != nil {
			return err
		}
	}
	moved, err := sqldb.Collect(ctx, s.db.Read(), sqldb.Text, `SELECT DISTINCT h.resource_id FROM quota_holdings h JOIN environments e ON e.id = h.environment_id
		WHERE e.class <> h.class ORDER BY h.resource_id LIMIT 1000`)
	if err != nil {
		return err
	}
	for _, id := range moved {
		if err := s.db.Write(ctx, "quota.reclass", func(tx *sqldb.Tx) error { return s.store.reclass(ctx, tx, id) }); err != nil {
			return err
		}
	}
	wrong, err := s.store.unequal(ctx)
	if err != nil {
		return err
	}
	for _, l := range wrong {
		if err := s.db.Write(ctx, "quota.repair", func(tx *sqldb.Tx) error { return s.repair(ctx, tx, l) }); err != nil {
			return err
		}
	}
	return nil
}

// repair sets what is used of a limit to what is held. Who moves it waits for
// the row and adds its difference afterwards; whom the sum misses is one of
// those.
func (s *Service) repair(ctx context.Context, tx *sqldb.Tx, l Limit) error {
	var used Amount
	if err := tx.QueryRowContext(ctx, `SELECT used FROM quota_limits WHERE id = $1`+s.db.ForUpdate(), l.ID).Scan(&used); err != nil {
		return ignoreMissing(err)
	}
	sum, err := s.store.sum(ctx, tx, l)
	if err != nil || sum == used {
		return err // it moved meanwhile, that was all
	}
	tx.After(func() {
		s.log.Error("what is used of a limit was not what is held; it is mended", "quota", l.ID, "place", l.Place(), "metric", l.Metric, "used", used.String(), "held", sum.String())
	})
	_, err = tx.ExecContext(ctx, `UPDATE quota_limits SET used = $2 WHERE id = $1`, l.ID, int64(sum))
	return err
}
