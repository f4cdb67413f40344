package replay

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"fairlead/internal/sqldb"
)

type store struct{ q sqldb.Querier }

const backtestColumns = `t.id, t.name, t.version, t.days, t.status, t.failure, t.cancel, t.decisions, t.of_decisions, t.resources, t.changes,
	t.summary, t.started_at, t.seen_at, t.finished_at FROM backtests t`

func scanBacktest(row sqldb.Row) (Backtest, error) {
	var j Backtest
	var summary string
	var cancel, started, seen int64
	var finished sql.NullInt64
	err := row.Scan(&j.ID, &j.Name, &j.Version, &j.Days, &j.Status, &j.Failure, &cancel, &j.Progress.Decisions, &j.Progress.OfDecisions, &j.Progress.Resources,
		&j.Progress.Changes, &summary, &started, &seen, &finished)
	if err != nil {
		return j, err
	}
	j.Stopping, j.StartedAt, j.SeenAt, j.FinishedAt = cancel != 0, sqldb.Time(started), sqldb.Time(seen), sqldb.TimeOrZero(finished)
	if summary != "" {
		err = json.Unmarshal([]byte(summary), &j.Summary)
	}
	return j, err
}

// keptChange is a change as it is stored.
type keptChange struct {
	seq  int64
	body string
}

var (
	backtests = sqldb.List[Backtest]{Select: `SELECT ` + backtestColumns, Scan: scanBacktest, Default: "-started",
		Orders: map[string]sqldb.Order[Backtest]{"started": {Columns: []string{"t.id"}, Key: func(j Backtest) []any { return []any{j.ID} }}}}
	changes = sqldb.List[keptChange]{Select: `SELECT c.seq, c.body FROM backtest_changes c`, Default: "seq",
		Scan:   func(row sqldb.Row) (c keptChange, err error) { return c, row.Scan(&c.seq, &c.body) },
		Orders: map[string]sqldb.Order[keptChange]{"seq": {Columns: []string{"c.seq"}, Key: func(c keptChange) []any { return []any{c.seq} }}}}
)

func (d store) find(ctx context.Context, id, by string) (Backtest, error) {
	return scanBacktest(d.q.QueryRowContext(ctx, `SELECT `+backtestColumns+` WHERE t.id = $1 AND t.by_id = $2`, id, by))
}

func (d store) insert(ctx context.Context, j Backtest, by string) error {
	_, err := d.q.ExecContext(ctx, `INSERT INTO backtests (id, name, version, days, by_id, status, started_at, seen_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		j.ID, j.Name, j.Version, j.Days, by, string(j.Status), j.StartedAt.UnixMicro(), j.SeenAt.UnixMicro())
	return err
}

// progress notes how far it is, and tells whether it is to end.
func (d store) progress(ctx context.Context, id string, p Progress, now time.Time) (stop bool, err error) {
	_, err = d.q.ExecContext(ctx, `UPDATE backtests SET decisions = $2, of_decisions = $3, resources = $4, changes = $5, seen_at = $6 WHERE id = $1`,
		id, p.Decisions, p.OfDecisions, p.Resources, p.Changes, now.UnixMicro())
	if err != nil {
		return false, err
	}
	var cancel int64
	err = d.q.QueryRowContext(ctx, `SELECT cancel FROM backtests WHERE id = $1`, id).Scan(&cancel)
	return cancel != 0, err
}

func (d store) cancel(ctx context.Context, id string) error {
	_, err := d.q.ExecContext(ctx, `UPDATE backtests SET cancel = 1 WHERE id = $1`, id)
	return err
}

func (d store) change(ctx context.Context, id string, seq int64, c Change) error {
	body, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("change: %w", err)
	}
	_, err = d.q.ExecContext(ctx, `INSERT INTO backtest_changes (backtest_id, seq, kind, was, now, body) VALUES ($1, $2, $3, $4, $5, $6)`,
		id, seq, string(c.Kind), c.Was, c.Now, string(body))
	return err
}

func (d store) finish(ctx context.Context, j Backtest, now time.Time) error {
	summary, err := json.Marshal(j.Summary)
	if err != nil {
		return fmt.Errorf("summary: %w", err)
	}
	s := j.Summary
	_, err = d.q.ExecContext(ctx, `UPDATE backtests SET status = $2, failure = $3, summary = $4, finished_at = $5, seen_at = $5, decisions = $6, resources = $7, changes = $8 WHERE id = $1`,
		j.ID, string(j.Status), j.Failure, string(summary), now.UnixMicro(), s.Decisions, s.Resources, s.Changed)
	return err
}

// forget takes away what is old, and what somebody has too many of.
func (d store) forget(ctx context.Context, by string, before time.Time) error {
	const gone = `(SELECT id FROM backtests WHERE started_at < $1 OR by_id = $2 AND id NOT IN (SELECT id FROM backtests WHERE by_id = $2 ORDER BY id DESC LIMIT 19))`
	for _, query := range []string{`DELETE FROM backtest_changes WHERE backtest_id IN ` + gone, `DELETE FROM backtests WHERE id IN ` + gone} {
		if _, err := d.q.ExecContext(ctx, query, before.UnixMicro(), by); err != nil {
			return err
		}
	}
	return nil
}
