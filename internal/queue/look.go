package queue

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/sqldb"
)

// Turn is how it stands with a key's work.
type Turn struct {
	Due       time.Time // zero: nothing to do
	Held      bool      // somebody works on it now
	Attempts  int64     // since the last success
	LastError string    // code of the last failure
	Ahead     int64     // work of the same lane that is due before it
}

// Look tells how it stands with a key; the zero Turn when there is no work
// under it.
func Look(ctx context.Context, db *sqldb.DB, key string) (Turn, error) {
	now, err := db.Now(ctx)
	if err != nil {
		return Turn{}, err
	}
	var t Turn
	var due sql.NullInt64
	var lease int64
	err = db.Read().QueryRowContext(ctx, `SELECT q.due_at, q.lease_until, q.attempts, q.last_error,
		(SELECT count(*) FROM queue o WHERE o.lane = q.lane AND o.due_at < q.due_at AND o.due_at <= $2)
		FROM queue q WHERE q.key = $1`, key, now.UnixMicro()).Scan(&due, &lease, &t.Attempts, &t.LastError, &t.Ahead)
	if errors.Is(err, sql.ErrNoRows) {
		return Turn{}, nil
	}
	t.Due, t.Held = sqldb.TimeOrZero(due), lease > now.UnixMicro()
	return t, err
}
