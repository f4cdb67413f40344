package rollout

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"time"

	"fairlead/internal/sqldb"
)

func itoa(n int) string { return strconv.Itoa(n) }

func (s store) waves(ctx context.Context, q sqldb.Querier, rolloutID string) ([]Wave, error) {
	return sqldb.Collect(ctx, q, func(r sqldb.Row) (w Wave, err error) {
		var started, healthy, finished sql.NullInt64
		err = r.Scan(&w.Number, &w.Name, &w.State, &started, &healthy, &finished)
		w.StartedAt, w.HealthyAt, w.FinishedAt = sqldb.TimeOrZero(started), sqldb.TimeOrZero(healthy), sqldb.TimeOrZero(finished)
		return w, err
	}, `SELECT number, name, state, started_at, healthy_at, finished_at FROM rollout_waves WHERE rollout_id = $1 ORDER BY number`, rolloutID)
}

func (s store) putWave(ctx context.Context, tx *sqldb.Tx, rolloutID string, w Wave) error {
	return tx.Later(ctx, `INSERT INTO rollout_waves (rollout_id, number, name, state, started_at, healthy_at, finished_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (rollout_id, number) DO UPDATE SET name = excluded.name, state = excluded.state, started_at = excluded.started_at, healthy_at = excluded.healthy_at,
			finished_at = excluded.finished_at`,
		rolloutID, w.Number, w.Name, w.State, micro(w.StartedAt), micro(w.HealthyAt), micro(w.FinishedAt))
}

func scanGroup(r sqldb.Row) (g Group, err error) {
	var diff string
	var decided sql.NullInt64
	err = r.Scan(&g.Number, &g.shape, &g.Severity, &g.Title, &diff, &g.Digest, &g.Decision, &g.decided, &g.DecidedBy, &decided, &g.Comment)
	g.DecidedAt = sqldb.TimeOrZero(decided)
	if err == nil {
		err = json.Unmarshal([]byte(diff), &g.Diff)
	}
	return g, err
}

func (s store) groups(ctx context.Context, q sqldb.Querier, rolloutID string) ([]Group, error) {
	return sqldb.Collect(ctx, q, scanGroup, `SELECT g.number, g.shape, g.severity, g.title, g.diff, g.digest, g.decision, g.decided, COALESCE(c.name, g.decided_by), g.decided_at, g.comment
		FROM rollout_groups g LEFT JOIN principals c ON c.id = g.decided_by WHERE g.rollout_id = $1 ORDER BY g.number`, rolloutID)
}

// putGroup writes what a group is; what was decided on it stays.
func (s store) putGroup(ctx context.Context, tx *sqldb.Tx, rolloutID string, g Group, diff string) error {
	return tx.Later(ctx, `INSERT INTO rollout_groups (rollout_id, number, shape, severity, title, diff, digest) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (rollout_id, number) DO UPDATE SET digest = excluded.digest`, rolloutID, g.Number, g.shape, string(g.Severity), g.Title, diff, g.Digest)
}

func (s store) decide(ctx context.Context, tx *sqldb.Tx, rolloutID string, number int64, decision, digest, by, comment string) error {
	return tx.Later(ctx, `UPDATE rollout_groups SET decision = $3, decided = $4, decided_by = $5, decided_at = $6, comment = $7 WHERE rollout_id = $1 AND number = $2`,
		rolloutID, number, decision, digest, by, tx.Now().UnixMicro(), comment)
}

const pinColumns = `i.id, i.resource_id, r.name, i.rollout_id, COALESCE(o.template, ''), COALESCE(o.to_version, ''), v.template_version, e.id, e.name, e.class, p.id, p.name, t.id, t.name, r.template,
	i.reason, i.until_at, i.created_at, i.created_by, COALESCE(c.name, i.created_by), i.ended_at, i.ended_by, i.version
	FROM rollout_pins i JOIN resources r ON r.id = i.resource_id JOIN revisions v ON v.resource_id = r.id AND v.number = r.revision
	JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = r.project_id JOIN teams t ON t.id = r.team_id
	LEFT JOIN rollouts o ON o.id = i.rollout_id LEFT JOIN principals c ON c.id = i.created_by`

func scanPin(row sqldb.Row) (Pin, error) {
	var p Pin
	var until, created int64
	var ended sql.NullInt64
	var endedBy string
	err := row.Scan(&p.ID, &p.ResourceID, &p.Resource, &p.RolloutID, &p.rolloutTemplate, &p.RolloutTo, &p.TemplateVersion, &p.EnvironmentID, &p.Environment, &p.Class, &p.ProjectID, &p.Project, &p.TeamID, &p.Team, &p.Template,
		&p.Reason, &until, &created, &p.CreatedBy, &p.CreatedByName, &ended, &endedBy, &p.Version)
	p.Until, p.CreatedAt, p.EndedAt = sqldb.Time(until), sqldb.Time(created), sqldb.TimeOrZero(ended)
	p.Expired = ended.Valid && endedBy == ""
	return p, err
}

var pins = sqldb.List[Pin]{
	Select: `SELECT ` + pinColumns, Scan: scanPin, Default: "until",
	Orders: map[string]sqldb.Order[Pin]{
		"until":   {Columns: []string{"i.until_at", "i.id"}, Key: func(p Pin) []any { return []any{p.Until.UnixMicro(), p.ID} }},
		"created": {Columns: []string{"i.id"}, Key: func(p Pin) []any { return []any{p.ID} }},
	},
}

// holds gives what keeps a resource where it is at a moment: its pin, and the
// exemption from a rollout.
func (s store) holds(ctx context.Context, q sqldb.Querier, resourceID, rolloutID string, now time.Time) ([]Pin, error) {
	return sqldb.Collect(ctx, q, scanPin, `SELECT `+pinColumns+` WHERE i.resource_id = $1 AND (i.rollout_id = '' OR i.rollout_id = $2) AND i.ended_at IS NULL AND i.until_at > $3
		ORDER BY i.rollout_id`, resourceID, rolloutID, now.UnixMicro())
}

// openPin gives the one that has not ended, though its time may be over.
func (s store) openPin(ctx context.Context, q sqldb.Querier, resourceID, rolloutID string) (Pin, error) {
	return scanPin(q.QueryRowContext(ctx, `SELECT `+pinColumns+` WHERE i.resource_id = $1 AND i.rollout_id = $2 AND i.ended_at IS NULL`, resourceID, rolloutID))
}

func (s store) putPin(ctx context.Context, tx *sqldb.Tx, p Pin) error {
	return tx.Later(ctx, `INSERT INTO rollout_pins (id, resource_id, rollout_id, reason, until_at, created_at, created_by, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (id) DO UPDATE SET reason = excluded.reason, until_at = excluded.until_at, created_by = excluded.created_by, version = excluded.version`,
		p.ID, p.ResourceID, p.RolloutID, p.Reason, p.Until.UnixMicro(), p.CreatedAt.UnixMicro(), p.CreatedBy, p.Version)
}

func (s store) endPin(ctx context.Context, tx *sqldb.Tx, id, by string) (bool, error) {
	res, err := tx.ExecContext(ctx, `UPDATE rollout_pins SET ended_at = $2, ended_by = $3, version = version + 1 WHERE id = $1 AND ended_at IS NULL`, id, tx.Now().UnixMicro(), by)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func (s store) expiredPins(ctx context.Context, now time.Time, limit int) ([]Pin, error) {
	return sqldb.Collect(ctx, s.db.Read(), scanPin, `SELECT `+pinColumns+` WHERE i.ended_at IS NULL AND i.until_at <= $1 ORDER BY i.until_at, i.id LIMIT $2`, now.UnixMicro(), limit)
}
