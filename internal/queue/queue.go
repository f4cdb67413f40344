package queue

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/sqldb"
)

// Wake-ups: of a lane on a topic of its own, of a cancel with the key.
const cancelTopic = "queue-cancel"

func topic(lane string) string { return "queue." + lane }

// Work asks for a look at a resource.
type Work struct {
	Key   string        // the resource's id
	Lane  string        // what bounds concurrency together: the engine
	Team  string        // whom the work is for: teams share a lane fairly
	After time.Duration // not before this much later; 0 is now
}

// Enqueue makes w.Key due, in the caller's transaction. It is idempotent in
// effect: a key that is waiting becomes due at the earlier of both times, one
// that is being worked on is looked at again afterwards.
func Enqueue(ctx context.Context, tx *sqldb.Tx, w Work) error {
	due := tx.Now().Add(w.After).UnixMicro()
	err := tx.Later(ctx, `
		INSERT INTO queue (key, lane, team, generation, due_at) VALUES ($1, $2, $3, 1, $4)
		ON CONFLICT (key) DO UPDATE SET
			lane = excluded.lane, team = excluded.team, generation = queue.generation + 1, attempts = 0,
			due_at = CASE WHEN queue.due_at IS NULL OR queue.due_at > excluded.due_at THEN excluded.due_at ELSE queue.due_at END`,
		w.Key, w.Lane, w.Team, due)
	if err == nil && w.After == 0 {
		tx.Notify(topic(w.Lane), "")
	}
	return err
}

// RequestCancel asks whoever works on key to stop. It reports whether there
// was such a row; a handler that is not running sees the request at its next
// claim. The request is cleared when the claim ends.
func RequestCancel(ctx context.Context, tx *sqldb.Tx, key string) (bool, error) {
	res, err := tx.ExecContext(ctx, `UPDATE queue SET cancel_requested = 1 WHERE key = $1`, key)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	tx.Notify(cancelTopic, key)
	return n > 0, err
}

// Release gives back every lease at once. It is for the start of a server that
// is known to be the only one (SQLite, behind the data directory's lock):
// leases left by a killed predecessor need not run out.
func Release(ctx context.Context, db *sqldb.DB) error {
	return db.Write(ctx, "queue.release", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE queue SET holder = '', lease_until = 0, fence = fence + 1 WHERE lease_until > 0`)
		return err
	})
}

// Depth is how much waits and how much is being worked on in a lane.
type Depth struct {
	Lane   string
	Due    int64
	Held   int64
	Later  int64         // due at a later time
	Stuck  int64         // of all these, tried StuckAfter times or more without success
	Oldest time.Duration // how long the oldest due work has waited
}

// StuckAfter is how many attempts without success make work one that a person
// should look at: it was tried for minutes.
const StuckAfter = 8

// Depths tells the state of every lane, for metrics and the status page.
func Depths(ctx context.Context, db *sqldb.DB) ([]Depth, error) {
	now, err := db.Now(ctx)
	if err != nil {
		return nil, err
	}
	return sqldb.Collect(ctx, db.Read(), func(r sqldb.Row) (Depth, error) {
		var d Depth
		var oldest sql.NullInt64
		err := r.Scan(&d.Lane, &d.Due, &d.Held, &d.Later, &d.Stuck, &oldest)
		if oldest.Valid {
			d.Oldest = now.Sub(time.UnixMicro(oldest.Int64))
		}
		return d, err
	}, `SELECT lane,
			coalesce(sum(CASE WHEN due_at <= $1 AND lease_until <= $1 THEN 1 ELSE 0 END), 0),
			coalesce(sum(CASE WHEN lease_until > $1 THEN 1 ELSE 0 END), 0),
			coalesce(sum(CASE WHEN due_at > $1 AND lease_until <= $1 THEN 1 ELSE 0 END), 0),
			coalesce(sum(CASE WHEN due_at IS NOT NULL AND attempts >= $2 THEN 1 ELSE 0 END), 0),
			min(CASE WHEN due_at <= $1 AND lease_until <= $1 THEN due_at END)
		FROM queue GROUP BY lane ORDER BY lane`, now.UnixMicro(), StuckAfter)
}

// Errors of a claim.
var (
	// ErrFenced means that somebody else has claimed the key since: this
	// worker's writes are refused and its work is over.
	ErrFenced = errors.New("queue: the claim was lost; a newer one has the key")
	// ErrCanceled is the cause of a handler's context after RequestCancel.
	ErrCanceled = errors.New("queue: canceled on request")
	// ErrStopping is the cause of a handler's context when the server stops.
	ErrStopping = errors.New("queue: the server is stopping")
)

// Claim is the right to work on one key until it is lost or ended.
type Claim struct {
	Key        string
	Lane       string
	Team       string
	Generation int64 // at the claim; a later Enqueue raises the row's
	Fence      int64
	Attempt    int  // 1 for the first since the last success or Enqueue
	Canceled   bool // a cancel was requested before the claim

	db    *sqldb.DB
	seen  int64 // the row's generation, as the write under way has read it; 0: not yet
	ended bool
}

// Write runs fn in a transaction that first checks the fence; a claim that was
// lost gives ErrFenced and writes nothing.
func (c *Claim) Write(ctx context.Context, op string, fn func(tx *sqldb.Tx) error) error {
	return c.db.Write(ctx, op, func(tx *sqldb.Tx) error {
		if err := c.check(ctx, tx); err != nil {
			return err
		}
		return fn(tx)
	})
}

// Alive tells, without a write, whether the claim still holds: nil, or
// ErrFenced. It can be lost a moment later; only Write is sure.
func (c *Claim) Alive(ctx context.Context) error {
	var fence int64
	err := c.db.Read().QueryRowContext(ctx, `SELECT fence FROM queue WHERE key = $1`, c.Key).Scan(&fence)
	if errors.Is(err, sql.ErrNoRows) || (err == nil && fence != c.Fence) {
		return ErrFenced
	}
	return err
}

// check locks the row and refuses a newer fence; the answer may come with that
// of a later statement, and is there before the commit.
func (c *Claim) check(ctx context.Context, tx *sqldb.Tx) error {
	c.seen = 0
	return tx.LaterRow(ctx, func(row sqldb.Row) error {
		var fence int64
		err := row.Scan(&fence, &c.seen)
		if errors.Is(err, sql.ErrNoRows) || (err == nil && fence != c.Fence) {
			return ErrFenced
		}
		return err
	}, `SELECT fence, generation FROM queue WHERE key = $1`+c.db.ForUpdate(), c.Key)
}

// Done ends the claim inside a Write, together with what it achieved: the key
// rests until the next Enqueue, or for again when that is positive. When it
// was enqueued meanwhile, it is due at once.
func (c *Claim) Done(ctx context.Context, tx *sqldb.Tx, again time.Duration) error {
	var due any
	if again > 0 {
		due = tx.Now().Add(again).UnixMicro()
	}
	if again > 0 || c.seen != c.Generation { // else it rests, and nobody need look
		tx.Notify(topic(c.Lane), "")
	}
	return c.end(ctx, tx, due, `attempts = 0, last_error = '',`, "")
}

// Remove ends the claim and the row, inside the Write that records that the
// resource is gone.
func (c *Claim) Remove(ctx context.Context, tx *sqldb.Tx) error {
	err := tx.Later(ctx, `DELETE FROM queue WHERE key = $1 AND fence = $2`, c.Key, c.Fence)
	tx.After(func() { c.ended = true })
	return err
}

// Retry ends the claim inside a Write and makes the key due after the wait.
func (c *Claim) Retry(ctx context.Context, tx *sqldb.Tx, wait time.Duration, reason string) error {
	tx.Notify(topic(c.Lane), "")
	return c.end(ctx, tx, tx.Now().Add(wait).UnixMicro(), `last_error = $5,`, reason)
}

func (c *Claim) end(ctx context.Context, tx *sqldb.Tx, due any, set, reason string) error {
	args := []any{c.Key, c.Fence, due, tx.Now().UnixMicro()}
	if reason != "" {
		args = append(args, reason)
	} else if set == `last_error = $5,` {
		set = ""
	}
	// A parameter's type must be plain to PostgreSQL also when it is NULL.
	err := tx.Later(ctx, `UPDATE queue SET `+set+` holder = '', lease_until = 0, cancel_requested = 0,
		due_at = CASE WHEN generation > claimed_generation THEN CAST($4 AS BIGINT) ELSE CAST($3 AS BIGINT) END
		WHERE key = $1 AND fence = $2`, args...)
	tx.After(func() { c.ended = true })
	return err
}
