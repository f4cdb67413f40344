package quota

import (
	"context"

	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

// What the resources of one environment hold, limit by limit: each is moved
// once, by the sum of their differences.
const (
	together = `SELECT l.id, CAST(sum(` + difference + `) AS BIGINT) AS total FROM quota_holdings h JOIN quota_limits l ON ` + matches + `
		WHERE h.environment_id = $1 GROUP BY l.id`
	lockTogether = `SELECT l.id FROM quota_limits l WHERE l.id IN (SELECT l.id FROM quota_holdings h JOIN quota_limits l ON ` + matches + `
		WHERE h.environment_id = $1) ORDER BY l.id FOR UPDATE`
	moveTogether   = `UPDATE quota_limits AS l SET used = l.used + d.total FROM (` + together + `) AS d WHERE d.id = l.id AND d.total <> 0`
	passedTogether = `SELECT count(v.id), COALESCE(max(v.scope), ''), COALESCE(max(v.class), ''), COALESCE(max(v.template), ''), COALESCE(max(v.metric), ''),
		COALESCE(max(v.max), 0), COALESCE(max(v.used), 0), COALESCE(max(v.d), 0)
		FROM (SELECT l.id, l.scope, l.class, l.template, l.metric, l.max, l.used, d.total AS d FROM quota_limits l JOIN (` + together + `) AS d ON d.id = l.id
			WHERE d.total > 0 AND (l.used > l.max AND l.enforce = 1 OR l.used > $2) ORDER BY l.id LIMIT 1) v`
)

// Reclass lets what an environment's resources hold follow it to another
// class, in the transaction that changes it. It fails with quota_exceeded or
// budget_exceeded (Denied) where that would pass a limit; like Reserve it may
// do so only when the closure ends.
//
// The environment's row is locked by who changes it, and held by who asks for
// something in it: nobody reserves in the class of before meanwhile.
func (s *Service) Reclass(ctx context.Context, tx *sqldb.Tx, e gate.Environment) error {
	if err := tx.Later(ctx, `UPDATE quota_holdings SET prev = amount, prev_class = class, class = $2 WHERE environment_id = $1`, e.ID, e.Class); err != nil {
		return err
	}
	if tx.DB().Dialect() == sqldb.Postgres {
		if err := tx.Later(ctx, lockTogether, e.ID); err != nil {
			return err
		}
	}
	if err := tx.Later(ctx, moveTogether, e.ID); err != nil {
		return err
	}
	return s.refuse(ctx, tx, e, "", passedTogether, e.ID, int64(mostUsed))
}

// Reprice lets what a resource holds of budgets be another amount, because
// prices changed. Nothing is refused; whose limit is passed by it is told,
// also when they were told this month that it is near. What holds nothing, or
// is gone, stays so.
func (s *Service) Reprice(ctx context.Context, tx *sqldb.Tx, resourceID string, monthly float64) error {
	a, err := ToAmount(monthly)
	if err != nil {
		return err
	}
	if err := tx.Later(ctx, `UPDATE quota_holdings SET prev = amount, prev_class = class WHERE resource_id = $1`, resourceID); err != nil {
		return err
	}
	if err := tx.Later(ctx, `INSERT INTO quota_holdings (resource_id, metric, amount, prev, class, prev_class, team_id, project_id, environment_id, template)
		SELECT h.resource_id, CAST($2 AS TEXT), CAST($3 AS BIGINT), 0, h.class, h.class, h.team_id, h.project_id, h.environment_id, h.template
		FROM quota_holdings h WHERE h.resource_id = $1 AND h.metric = 'count'
		ON CONFLICT (resource_id, metric) DO UPDATE SET amount = excluded.amount`, resourceID, MonthlyCost, int64(a)); err != nil {
		return err
	}
	if err := move(ctx, tx, resourceID); err != nil {
		return err
	}
	tx.Notify(Topic, "")
	return tx.Later(ctx, `UPDATE quota_limits AS l SET warned_month = '' FROM quota_holdings AS h
		WHERE h.resource_id = $1 AND `+matches+` AND `+difference+` > 0 AND l.used > l.max AND l.used - `+difference+` <= l.max`, resourceID)
}

// classOf keeps an environment's class as it is until the commit, and gives it.
func classOf(ctx context.Context, tx *sqldb.Tx, e gate.Environment) (string, error) {
	suffix := ""
	if tx.DB().Dialect() == sqldb.Postgres {
		suffix = ` FOR KEY SHARE`
	}
	var class string
	err := tx.QueryRowContext(ctx, `SELECT class FROM environments WHERE id = $1`+suffix, e.ID).Scan(&class)
	if ignoreMissing(err) == nil && err != nil {
		return e.Class, nil
	}
	return class, err
}
