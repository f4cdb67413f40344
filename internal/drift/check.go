package drift

import (
	"context"
	"database/sql"
	"time"

	"fairlead/internal/ident"
	"fairlead/internal/sqldb"
)

// ChecksTopic is woken when somebody asked for a look.
const ChecksTopic = "drift.checks"

// Check is a look that somebody asked for.
type Check struct {
	ID, ResourceID            string
	AskedBy                   string
	AskedAt, BeganAt, EndedAt time.Time
	Outcome                   string // as_wanted, drifted, failed; "" before it ended
	Message                   string
	Ahead                     int // of those that wait, how many are before it
}

// The outcomes of a check.
const (
	AsWanted = "as_wanted"
	Drifted  = "drifted"
	NotSeen  = "failed"
)

func checkTopic(id string) string { return "drift.check:" + id }

const checkColumns = `SELECT c.id, c.resource_id, c.asked_by, c.asked_at, c.began_at, c.ended_at, c.outcome, c.message,
	(SELECT count(*) FROM drift_checks o WHERE o.ended_at IS NULL AND o.id < c.id) FROM drift_checks c`

func scanCheck(r sqldb.Row) (c Check, err error) {
	var asked int64
	var began, ended sql.NullInt64
	err = r.Scan(&c.ID, &c.ResourceID, &c.AskedBy, &asked, &began, &ended, &c.Outcome, &c.Message, &c.Ahead)
	c.AskedAt, c.BeganAt, c.EndedAt = sqldb.Time(asked), sqldb.TimeOrZero(began), sqldb.TimeOrZero(ended)
	return c, err
}

// Request asks for a look at a resource, in tx; the caller has asked access.
// One that is asked for and not over is given again.
func (s *Service) Request(ctx context.Context, tx *sqldb.Tx, resourceID, by string) (c Check, fresh bool, err error) {
	id := ident.New("chk")
	res, err := tx.ExecContext(ctx, `INSERT INTO drift_checks (id, resource_id, asked_by, asked_at) VALUES ($1, $2, $3, $4) ON CONFLICT (resource_id) WHERE ended_at IS NULL DO NOTHING`,
		id, resourceID, by, tx.Now().UnixMicro())
	if err != nil {
		return c, false, err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return c, false, err
	}
	tx.Notify(ChecksTopic, "")
	c, err = scanCheck(tx.QueryRowContext(ctx, checkColumns+` WHERE c.resource_id = $1 AND c.ended_at IS NULL`, resourceID))
	return c, n == 1, err
}

// Requested gives the ids of the resources that somebody asked to look at, the
// longest waiting first.
func (s *Service) Requested(ctx context.Context, limit int) ([]string, error) {
	return sqldb.Collect(ctx, s.DB.Read(), sqldb.Text, `SELECT resource_id FROM drift_checks WHERE ended_at IS NULL ORDER BY id LIMIT $1`, limit)
}

// Begin notes that resources are looked at because somebody asked.
func (s *Service) Begin(ctx context.Context, resourceIDs []string) error {
	return s.DB.Write(ctx, "drift.check", func(tx *sqldb.Tx) error {
		ids, err := sqldb.Collect(ctx, tx, sqldb.Text, `UPDATE drift_checks SET began_at = $2 WHERE ended_at IS NULL AND `+s.DB.InArray("resource_id", "$1")+` RETURNING id`,
			sqldb.Strings(resourceIDs), tx.Now().UnixMicro())
		for _, id := range ids {
			tx.Notify(checkTopic(id), "")
		}
		return err
	})
}

// End says in tx what a look found, for whoever asked for it.
func (s *Service) End(ctx context.Context, tx *sqldb.Tx, resourceID, outcome, message string) error {
	ids, err := sqldb.Collect(ctx, tx, sqldb.Text, `UPDATE drift_checks SET ended_at = $2, outcome = $3, message = $4 WHERE ended_at IS NULL AND resource_id = $1 RETURNING id`,
		resourceID, tx.Now().UnixMicro(), outcome, message)
	for _, id := range ids {
		tx.Notify(checkTopic(id), "")
	}
	return err
}

// Follow gives a check when it has gone further than it was known to have, and
// after at most limit as it is then. The caller has asked access about its
// resource.
func (s *Service) Follow(ctx context.Context, id string, began bool, limit time.Duration) (Check, error) {
	wake, stop := s.DB.Subscribe(checkTopic(id))
	defer stop()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		c, err := scanCheck(s.DB.Read().QueryRowContext(ctx, checkColumns+` WHERE c.id = $1`, id))
		if err != nil || limit <= 0 || !c.EndedAt.IsZero() || !c.BeganAt.IsZero() && !began {
			return c, err
		}
		poll := time.NewTimer(time.Second) // wake-ups can get lost
		select {
		case <-wake:
		case <-poll.C:
		case <-deadline.C:
			poll.Stop()
			return c, nil
		case <-ctx.Done():
			poll.Stop()
			return c, nil
		}
		poll.Stop()
	}
}
