package resource

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

const runColumns = `u.id, u.number, u.resource_id, r.name, u.environment_id, u.kind, u.revision, u.phase, u.status, u.plan, u.plan_digest,
	u.error_code, u.error_message, u.error_hint, u.attempts, u.requested_by, coalesce(c.name, u.requested_by), u.request_id,
	u.created_at, u.started_at, u.finished_at, u.cancel_requested_at, u.passed
	FROM runs u JOIN resources r ON r.id = u.resource_id LEFT JOIN principals c ON c.id = u.requested_by`

func scanRun(row sqldb.Row) (Run, error) {
	var v Run
	var plan, passed string
	var created int64
	var started, finished, canceled sql.NullInt64
	if err := row.Scan(&v.ID, &v.Number, &v.ResourceID, &v.Resource, &v.EnvironmentID, &v.Kind, &v.Revision, &v.Phase, &v.Status, &plan, &v.PlanDigest,
		&v.ErrorCode, &v.ErrorMessage, &v.ErrorHint, &v.Attempts, &v.RequestedBy, &v.RequestedByName, &v.RequestID,
		&created, &started, &finished, &canceled, &passed); err != nil {
		return v, err
	}
	v.CreatedAt, v.StartedAt, v.FinishedAt, v.CancelAsked = sqldb.Time(created), sqldb.TimeOrZero(started), sqldb.TimeOrZero(finished), canceled.Valid
	if passed != "" {
		if err := fromJSON(passed, &v.passed); err != nil {
			return v, err
		}
	}
	if plan != "" {
		v.Plan = &engine.Plan{}
		return v, fromJSON(plan, v.Plan)
	}
	return v, nil
}

func (s store) run(ctx context.Context, q sqldb.Querier, id string) (Run, error) {
	return scanRun(q.QueryRowContext(ctx, `SELECT `+runColumns+` WHERE u.id = $1`, id))
}

// runToWorkOn is run with the number of the last line of its log.
func (s store) runToWorkOn(ctx context.Context, id string) (v Run, line int64, err error) {
	row := s.db.Read().QueryRowContext(ctx, `SELECT (SELECT coalesce(max(l.seq), 0) FROM run_log l WHERE l.run_id = u.id), `+runColumns+` WHERE u.id = $1`, id)
	v, err = scanRun(rowAfter{row, &line})
	return v, line, err
}

// rowAfter is a row behind its first column, which goes to first.
type rowAfter struct {
	sqldb.Row
	first any
}

// Scan implements sqldb.Row.
func (r rowAfter) Scan(dest ...any) error { return r.Row.Scan(append([]any{r.first}, dest...)...) }

// runStatus gives a run's status without the rest of it.
func (s store) runStatus(ctx context.Context, id string) (v RunStatus, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT status FROM runs WHERE id = $1`, id).Scan(&v)
	return v, err
}

func (s store) runs(ctx context.Context, resourceID string, p sqldb.Page) ([]Run, string, error) {
	var w sqldb.Where
	w.And(`u.resource_id = ?`, resourceID)
	return runs.Page(ctx, s.db.Read(), w, "", p)
}

func (s store) insertRun(ctx context.Context, tx *sqldb.Tx, v Run) error {
	return tx.Later(ctx, `INSERT INTO runs (id, number, resource_id, environment_id, kind, revision, phase, status, requested_by, request_id, created_at)
		SELECT $1, coalesce((SELECT max(number) FROM runs WHERE resource_id = $2), 0) + 1, $2, $3, $4, CAST($5 AS BIGINT), $6, $7, $8, $9, CAST($10 AS BIGINT)`,
		v.ID, v.ResourceID, v.EnvironmentID, v.Kind, v.Revision, v.Phase, v.Status, v.RequestedBy, v.RequestID, v.CreatedAt.UnixMicro())
}

// supersede closes the open run for a newer request and tells whether there
// was one.
func (s store) supersede(ctx context.Context, tx *sqldb.Tx, resourceID string, now time.Time) (bool, error) {
	res, err := tx.ExecContext(ctx, `UPDATE runs SET status = $2, phase = 'done', finished_at = $3 WHERE resource_id = $1 AND finished_at IS NULL`,
		resourceID, RunSuperseded, now.UnixMicro())
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// stillOpen says that a run is not finished, in words that PostgreSQL does not
// take for the index of all open runs: with no statistics, or with those of a
// quiet hour, it would read that one through for each run.
const stillOpen = `coalesce(finished_at, 0) = 0`

// begin notes that an attempt of a run has started.
func (s store) begin(ctx context.Context, tx *sqldb.Tx, runID string, fence int64) error {
	return tx.Later(ctx, `UPDATE runs SET attempts = attempts + 1, fence = $2, started_at = coalesce(started_at, $3) WHERE id = $1 AND `+stillOpen,
		runID, fence, tx.Now().UnixMicro())
}

// enter notes the phase that a run goes on into: with its plan and what that
// passed the gates with, in g. What an earlier attempt passed them with stays:
// this one only finishes it. An attempt that has not begun before begins.
func (s store) enter(ctx context.Context, tx *sqldb.Tx, runID string, fence int64, begun bool, phase string, g *gating) error {
	started := 1
	if begun {
		started = 0
	}
	set, args := `phase = $2, attempts = attempts + CAST($3 AS BIGINT), fence = $4, started_at = coalesce(started_at, $5)`, []any{runID, phase, started, fence, tx.Now().UnixMicro()}
	if g != nil {
		set += `, plan = $6, plan_digest = $7, passed = $8`
		args = append(args, g.plan, g.binding[gate.PartPlan], toJSON(g.passed))
	}
	return tx.Later(ctx, `UPDATE runs SET `+set+` WHERE id = $1 AND `+stillOpen, args...)
}

// waits notes that a run waits at a gate, with the plan to be looked at, as it
// is recorded.
func (s store) waits(ctx context.Context, tx *sqldb.Tx, runID, plan, digest string) error {
	return tx.Later(ctx, `UPDATE runs SET phase = 'waiting', plan = $2, plan_digest = $3 WHERE id = $1 AND `+stillOpen, runID, plan, digest)
}

// lastPassed gives what the last run that succeeded with a revision passed the
// gates with; nil when none is known to.
func (s store) lastPassed(ctx context.Context, resourceID string, revision int64) (gate.Binding, error) {
	var text string
	err := s.db.Read().QueryRowContext(ctx, `SELECT passed FROM runs WHERE resource_id = $1 AND revision = $2 AND status = 'succeeded' AND passed <> ''
		ORDER BY number DESC LIMIT 1`, resourceID, revision).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	var b gate.Binding
	if err == nil {
		err = fromJSON(text, &b)
	}
	return b, err
}

// finish closes a run that is still open.
func (s store) finish(ctx context.Context, tx *sqldb.Tx, runID string, status RunStatus, code, message, hint string) error {
	return tx.Later(ctx, `UPDATE runs SET status = $2, phase = 'done', error_code = $3, error_message = $4, error_hint = $5, finished_at = $6
		WHERE id = $1 AND `+stillOpen, runID, status, code, message, hint, tx.Now().UnixMicro())
}

func (s store) askCancel(ctx context.Context, tx *sqldb.Tx, runID string, now time.Time) (bool, error) {
	res, err := tx.ExecContext(ctx, `UPDATE runs SET cancel_requested_at = $2 WHERE id = $1 AND `+stillOpen, runID, now.UnixMicro())
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// appendLog adds lines, numbered after those that are there.
func (s store) appendLog(ctx context.Context, tx *sqldb.Tx, runID string, lines []LogLine) error {
	for _, l := range lines {
		if err := tx.Add(ctx, logRows, nil, runID, l.Seq, l.At.UnixMicro(), l.Phase, l.Level, l.Message); err != nil {
			return err
		}
	}
	return nil
}

var logRows = sqldb.NewRows("run_log", "run_id text", "seq bigint", "at bigint", "phase text", "level text", "message text")

func (s store) log(ctx context.Context, runID string, after int64, limit int) ([]LogLine, error) {
	return sqldb.Collect(ctx, s.db.Read(), scanLine, `SELECT seq, at, phase, level, message FROM run_log WHERE run_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`, runID, after, limit)
}
