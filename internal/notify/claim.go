package notify

import (
	"context"
	"strings"
	"time"

	"fairlead/internal/sqldb"
)

// wake is the topic that says that there is something to send.
const wake = "notify"

// Topic wakes who shows deliveries.
const Topic = wake

const (
	maxSending   = 16 // attempts at once, on one replica
	perTarget    = 4  // of which so many to one receiver
	circuitAfter = 5  // failures in a row; then one at a time, and slower
	firstWait    = 5 * time.Second
	longestWait  = time.Hour
	longestPause = 10 * time.Minute
	giveUp       = 24 * time.Hour
)

// claim takes up to n deliveries that are due, fairly among the receivers: the
// n-th of one ranks behind the first of another, and none has more than its
// share under way. One that keeps failing is asked one at a time, after a
// pause.
func (s *Service) claim(ctx context.Context, n int) ([]Delivery, time.Time, error) {
	var out []Delivery
	var at time.Time
	err := s.DB.Write(ctx, "notify.claim", func(tx *sqldb.Tx) error {
		at = tx.Now()
		found, err := sqldb.Collect(ctx, tx, func(r sqldb.Row) (Delivery, error) { return scanDelivery(r) }, `
			UPDATE deliveries SET lease_until = $1, fence = fence + 1, attempts = attempts + 1, updated_at = $2 WHERE id IN (
				SELECT id FROM deliveries WHERE status = 'pending' AND next_at <= $2 AND lease_until <= $2 AND id IN (
					SELECT due.id FROM (
						SELECT x.id, x.target, x.next_at, coalesce(t.failures, 0) AS failures, row_number() OVER (PARTITION BY x.target ORDER BY x.next_at, x.id) AS place
						FROM deliveries x LEFT JOIN notify_targets t ON t.id = x.target LEFT JOIN webhooks w ON w.id = x.target
						WHERE x.status = 'pending' AND x.next_at <= $2 AND x.lease_until <= $2 AND coalesce(t.resume_at, 0) <= $2 AND (w.enabled = 1 OR x.target = $3)
					) due LEFT JOIN (
						SELECT target, count(*) AS n FROM deliveries WHERE lease_until > $2 GROUP BY target
					) held ON held.target = due.target
					WHERE coalesce(held.n, 0) + due.place <= CASE WHEN due.failures >= $4 THEN 1 ELSE $5 END
					ORDER BY coalesce(held.n, 0) + due.place, due.next_at, due.id LIMIT $6
				)`+s.DB.SkipLocked()+`
			) RETURNING `+strings.ReplaceAll(deliveryColumns, "d.", ""),
			at.Add(s.Lease).UnixMicro(), at.UnixMicro(), Mail, circuitAfter, perTarget, n)
		out = found
		return err
	})
	return out, at, err
}

// due tells without a write whether anything could be claimed.
func (s *Service) due(ctx context.Context) (bool, error) {
	now, err := s.DB.Now(ctx)
	if err != nil {
		return false, err
	}
	var n int64
	err = s.DB.Read().QueryRowContext(ctx, `SELECT count(*) FROM (
		SELECT 1 FROM deliveries x LEFT JOIN notify_targets t ON t.id = x.target
		WHERE x.status = 'pending' AND x.next_at <= $1 AND x.lease_until <= $1 AND coalesce(t.resume_at, 0) <= $1 LIMIT 1) a`, now.UnixMicro()).Scan(&n)
	return n > 0, err
}

// Release gives back every claim at once. It is for the start of a server that
// is known to be the only one.
func Release(ctx context.Context, db *sqldb.DB) error {
	return db.Write(ctx, "notify.release", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE deliveries SET lease_until = 0, fence = fence + 1 WHERE lease_until > 0`)
		return err
	})
}

// outcome is how an attempt went.
type outcome struct {
	status Status // Pending: to be tried again
	code   int
	err    string // fit to be shown
	body   string
	wait   time.Duration // asked for by the receiver; 0: none
	gone   bool          // the receiver wants no more of any
	ours   bool          // it says nothing about how the receiver is
}

// settle writes an outcome, unless somebody else has claimed the delivery
// since.
func (s *Service) settle(ctx context.Context, d Delivery, o outcome, jitter float64) error {
	return s.DB.Write(ctx, "notify.settle", func(tx *sqldb.Tx) error {
		now := tx.Now()
		next := now.Add(max(backoff(d.Attempts, jitter), o.wait))
		status := o.status
		if status == Pending && next.After(d.ExpiresAt) {
			status = Failed
		}
		res, err := tx.ExecContext(ctx, `UPDATE deliveries SET status = $3, lease_until = 0, next_at = $4, last_code = $5, last_error = $6, last_body = $7, updated_at = $8
			WHERE id = $1 AND fence = $2`, d.ID, d.fence, string(status), next.UnixMicro(), o.code, o.err, o.body, now.UnixMicro())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // a newer claim has it, or it was removed
		}
		tx.Notify(wake, "")
		switch {
		case o.gone:
			return s.disable(ctx, tx, d.Target, "the receiver answered 410 Gone")
		case o.ours:
			return nil
		case o.status == Pending || o.status == Failed:
			return s.store.ill(ctx, tx, d.Target, jitter)
		}
		return s.store.well(ctx, tx, d.Target)
	})
}

// backoff is how long after its n-th attempt a delivery waits; jitter is
// between 0 and 1.
func backoff(attempts int64, jitter float64) time.Duration {
	wait := longestWait
	if attempts < 12 {
		wait = min(firstWait<<max(attempts-1, 0), longestWait)
	}
	return time.Duration(float64(wait) * (0.75 + jitter/2))
}

// ill counts a failure of a receiver; after some in a row it is left alone for
// a while.
func (s store) ill(ctx context.Context, tx *sqldb.Tx, target string, jitter float64) error {
	now := tx.Now().UnixMicro()
	var failures int64
	err := tx.QueryRowContext(ctx, `INSERT INTO notify_targets (id, failures, failing_at) VALUES ($1, 1, $2) ON CONFLICT (id) DO UPDATE SET
		failures = notify_targets.failures + 1, failing_at = CASE WHEN notify_targets.failures = 0 THEN excluded.failing_at ELSE notify_targets.failing_at END
		RETURNING failures`, target, now).Scan(&failures)
	if err != nil || failures < circuitAfter {
		return err
	}
	pause := longestPause
	if n := failures - circuitAfter; n < 8 {
		pause = min(firstWait<<n, longestPause)
	}
	pause = time.Duration(float64(pause) * (0.75 + jitter/2))
	_, err = tx.ExecContext(ctx, `UPDATE notify_targets SET resume_at = $2 WHERE id = $1`, target, now+pause.Microseconds())
	return err
}

// well forgets a receiver's failures; what waited for it comes at once.
func (s store) well(ctx context.Context, tx *sqldb.Tx, target string) error {
	res, err := tx.ExecContext(ctx, `UPDATE notify_targets SET failures = 0, failing_at = 0, resume_at = 0 WHERE id = $1 AND failures > 0`, target)
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	_, err = tx.ExecContext(ctx, `UPDATE deliveries SET next_at = $2 WHERE target = $1 AND status = 'pending' AND next_at > $2`, target, tx.Now().UnixMicro())
	return err
}
