package queue

import (
	"context"
	"encoding/json"
	"time"

	"fairlead/internal/sqldb"
)

// claimSQL picks what is due so that teams share a lane: the n-th item of a
// team ranks as if n-1 of its items ran already, on top of those that do. One
// team's thousand requests so stand behind another's first. Of each team only
// as many are looked at as could be picked: what waits may be a lot.
func claimSQL(db *sqldb.DB) string {
	due := `SELECT q.key, q.team, q.due_at, row_number() OVER (PARTITION BY q.team ORDER BY q.due_at, q.key) AS place
		FROM teams t CROSS JOIN `
	if db.Dialect() == sqldb.Postgres {
		due += `LATERAL (` + firstDue(`d.key, d.team, d.due_at`) + `) q`
	} else {
		due += `queue q WHERE q.key IN (` + firstDue(`d.key`) + `)`
	}
	return `
	WITH RECURSIVE teams(team) AS (
		SELECT min(team) FROM queue WHERE lane = $3 AND due_at IS NOT NULL
		UNION ALL
		SELECT (SELECT min(n.team) FROM queue n WHERE n.lane = $3 AND n.due_at IS NOT NULL AND n.team > t.team) FROM teams t WHERE t.team IS NOT NULL
	)
	UPDATE queue SET holder = $1, lease_until = $2, fence = fence + 1, attempts = attempts + 1, claimed_generation = generation
	WHERE key IN (
		SELECT key FROM queue WHERE due_at <= $4 AND lease_until <= $4 AND key IN (
			SELECT due.key FROM (` + due + `) due LEFT JOIN (
				SELECT team, count(*) AS n FROM queue WHERE lane = $3 AND lease_until > $4 AND lease_until > 0 GROUP BY team
			) held ON held.team = due.team
			ORDER BY coalesce(held.n, 0) + due.place, due.due_at, due.key LIMIT $5
		)` + db.SkipLocked() + `
	)
	RETURNING key, lane, team, generation, fence, attempts, cancel_requested`
}

// firstDue is what is due of the team t, as many as could be picked.
func firstDue(columns string) string {
	return `SELECT ` + columns + ` FROM queue d WHERE d.lane = $3 AND d.team = t.team AND d.due_at <= $4 AND d.lease_until <= $4
		ORDER BY d.due_at, d.key LIMIT $5`
}

// claim takes up to n keys of a lane.
func claim(ctx context.Context, db *sqldb.DB, holder, lane string, n int, lease time.Duration) ([]*Claim, error) {
	var out []*Claim
	err := db.Write(ctx, "queue.claim", func(tx *sqldb.Tx) error {
		out = nil
		now := tx.Now()
		found, err := sqldb.Collect(ctx, tx, func(r sqldb.Row) (*Claim, error) {
			c := &Claim{db: db}
			return c, r.Scan(&c.Key, &c.Lane, &c.Team, &c.Generation, &c.Fence, &c.Attempt, &c.Canceled)
		}, claimSQL(db), holder, now.Add(lease).UnixMicro(), lane, now.UnixMicro(), n)
		out = found
		return err
	})
	return out, err
}

// nextDue is how long until something in the lane becomes due or a lease of a
// dead holder runs out; at most limit.
func nextDue(ctx context.Context, db *sqldb.DB, lane string, limit time.Duration) time.Duration {
	now, err := db.Now(ctx)
	if err != nil {
		return limit
	}
	var due *int64
	err = db.Read().QueryRowContext(ctx, `
		SELECT min(CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END)
		FROM queue WHERE lane = $1 AND due_at IS NOT NULL AND (due_at > $2 OR lease_until > $2)`, lane, now.UnixMicro()).Scan(&due)
	if err != nil || due == nil {
		return limit
	}
	return min(max(time.UnixMicro(*due).Sub(now), time.Millisecond), limit)
}

type renewed struct {
	key      string
	fence    int64
	canceled bool
}

// renew extends the leases of what this holder still has, in one statement.
func renew(ctx context.Context, db *sqldb.DB, holder string, keys []string, lease time.Duration) ([]renewed, error) {
	list, err := json.Marshal(keys)
	if err != nil {
		return nil, err
	}
	var out []renewed
	err = db.Write(ctx, "queue.renew", func(tx *sqldb.Tx) error {
		found, err := sqldb.Collect(ctx, tx, func(r sqldb.Row) (v renewed, err error) {
			return v, r.Scan(&v.key, &v.fence, &v.canceled)
		}, `UPDATE queue SET lease_until = $1 WHERE holder = $2 AND `+db.InArray("key", "$3")+` RETURNING key, fence, cancel_requested`,
			tx.Now().Add(lease).UnixMicro(), holder, string(list))
		out = found
		return err
	})
	return out, err
}
