package event

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"fairlead/internal/sqldb"
)

// batch bounds what one transaction gives positions to, hands to a consumer,
// or prunes.
const batch = 200

// sequencer is the row of event_cursors that holds the last position given.
const sequencer = ""

// columns are those of a query over events under the alias e.
const columns = `e.id, e.position, e.at, e.type, e.subject, e.team_id, e.project_id, e.environment_id, e.recipients, e.data`

func scan(r sqldb.Row) (Event, error) {
	var e Event
	var position sql.NullInt64
	var at int64
	var to, data string
	err := r.Scan(&e.ID, &position, &at, &e.Type, &e.Subject, &e.TeamID, &e.ProjectID, &e.EnvironmentID, &to, &data)
	if err != nil {
		return Event{}, err
	}
	e.Position, e.At = position.Int64, sqldb.Time(at)
	return e, errors.Join(json.Unmarshal([]byte(to), &e.To), json.Unmarshal([]byte(data), &e.Data))
}

// List is how events are listed, under the alias e: by position, the newest
// first unless asked otherwise. What has no position yet is not in it: a
// condition on e.position is the caller's (see Where).
var List = sqldb.List[Event]{
	Select: `SELECT ` + columns + ` FROM events e`, Scan: scan, Default: "-position",
	Orders: map[string]sqldb.Order[Event]{
		"position": {Columns: []string{"e.position"}, Key: func(e Event) []any { return []any{e.Position} }},
	},
}

// Where is the condition that every list of events begins with: after a
// position, 0 for all that have one.
func Where(after int64) sqldb.Where {
	var w sqldb.Where
	w.And(`e.position > ?`, after)
	return w
}

// order gives positions to events that have none, oldest first. Whoever waits for the lock sees what the other gave.
func order(ctx context.Context, tx *sqldb.Tx) error {
	last, err := lock(ctx, tx, sequencer)
	if err != nil {
		return err
	}
	res, err := tx.ExecContext(ctx, `UPDATE events SET position = $1 + w.place FROM (
			SELECT id, row_number() OVER (ORDER BY id) AS place FROM (
				SELECT id FROM events WHERE position IS NULL ORDER BY id LIMIT $2) n
		) w WHERE events.id = w.id`, last, batch)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err != nil || n == 0 {
		return err
	}
	return move(ctx, tx, sequencer, last+n)
}

// lock takes a reader's place and gives it.
func lock(ctx context.Context, tx *sqldb.Tx, consumer string) (position int64, err error) {
	if _, err := tx.ExecContext(ctx, `INSERT INTO event_cursors (consumer, position) VALUES ($1, 0) ON CONFLICT (consumer) DO NOTHING`, consumer); err != nil {
		return 0, err
	}
	err = tx.QueryRowContext(ctx, `SELECT position FROM event_cursors WHERE consumer = $1`+tx.DB().ForUpdate(), consumer).Scan(&position)
	return position, err
}

func move(ctx context.Context, tx *sqldb.Tx, consumer string, to int64) error {
	_, err := tx.ExecContext(ctx, `UPDATE event_cursors SET position = $2 WHERE consumer = $1`, consumer, to)
	return err
}

// Consume hands a reader the next events after those it was handed before, in
// order, and moves its place in the same transaction as what fn does with
// them: each event is handed to each consumer once. It reports how many there
// were; 0 is none left. fn may run more than once, as any closure of Write. It
// is safe for several replicas at once: they take turns.
func Consume(ctx context.Context, db *sqldb.DB, consumer string, fn func(tx *sqldb.Tx, events []Event) error) (int, error) {
	if more, err := waiting(ctx, db, consumer); err != nil || !more {
		return 0, err
	}
	n := 0
	err := db.Write(ctx, "event.consume", func(tx *sqldb.Tx) error {
		n = 0
		if err := order(ctx, tx); err != nil {
			return err
		}
		position, err := lock(ctx, tx, consumer)
		if err != nil {
			return err
		}
		events, err := sqldb.Collect(ctx, tx, scan, List.Select+` WHERE e.position > $1 ORDER BY e.position LIMIT $2`, position, batch)
		if err != nil || len(events) == 0 {
			return err
		}
		if err := fn(tx, events); err != nil {
			return err
		}
		n = len(events)
		return move(ctx, tx, consumer, events[n-1].Position)
	})
	return n, err
}

// waiting tells without a write whether there is anything to consume.
func waiting(ctx context.Context, db *sqldb.DB, consumer string) (bool, error) {
	var n int64
	err := db.Read().QueryRowContext(ctx, `SELECT
		(SELECT count(*) FROM (SELECT 1 FROM events WHERE position IS NULL LIMIT 1) a) +
		(SELECT count(*) FROM (SELECT 1 FROM events WHERE position > coalesce((SELECT position FROM event_cursors WHERE consumer = $1), 0) LIMIT 1) b)`,
		consumer).Scan(&n)
	return n > 0, err
}

// Prune removes events older than keep that every reader has passed, and
// reports how many.
func Prune(ctx context.Context, db *sqldb.DB, keep time.Duration) (int64, error) {
	total := int64(0)
	for {
		n := int64(0)
		err := db.Write(ctx, "event.prune", func(tx *sqldb.Tx) error {
			res, err := tx.ExecContext(ctx, `DELETE FROM events WHERE id IN (
				SELECT id FROM events WHERE at < $1 AND position <= (SELECT min(position) FROM event_cursors) ORDER BY at LIMIT $2)`,
				tx.Now().Add(-keep).UnixMicro(), batch)
			if err != nil {
				return err
			}
			n, err = res.RowsAffected()
			return err
		})
		total += n
		if err != nil || n < batch {
			return total, err
		}
	}
}
