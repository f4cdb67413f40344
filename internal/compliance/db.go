package compliance

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

type store struct{ db *sqldb.DB }

// start notes a run, unless another is under way; one that gave no sign of
// life for long is closed.
func (s store) start(ctx context.Context, tx *sqldb.Tx, r Run) (bool, error) {
	if _, err := tx.ExecContext(ctx, `UPDATE compliance_runs SET running = NULL, finished_at = beat_at, failure = 'lost' WHERE running = 1 AND beat_at < $1`,
		r.StartedAt.Add(-dead).UnixMicro()); err != nil {
		return false, err
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO compliance_runs (id, started_at, beat_at, running, by_id, by_name, policy) VALUES ($1, $2, $2, 1, $3, $4, $5)
		ON CONFLICT (running) DO NOTHING`, r.ID, r.StartedAt.UnixMicro(), r.ByID, r.ByName, r.Policy)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

func (s store) finish(ctx context.Context, tx *sqldb.Tx, r *Run) error {
	if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM guardrail_violations WHERE cleared_at IS NULL`).Scan(&r.Violations); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `UPDATE compliance_runs SET running = NULL, finished_at = $2, resources = $3, violations = $4, opened = $5, cleared = $6, failure = $7 WHERE id = $1`,
		r.ID, r.FinishedAt.UnixMicro(), r.Resources, r.Violations, r.Opened, r.Cleared, r.Failure)
	return err
}

var errLost = errors.New("compliance: the run was taken for dead, and another may be under way")

// open is a violation that is known, in short.
type open struct {
	id, version, strength, message, remedy, docs, field string
	seen                                                bool
}

// compare writes what was found of the resources behind after, up to "to" ("":
// to the end), against what is known of them, and counts what came and went.
func (s store) compare(ctx context.Context, tx *sqldb.Tx, r Run, after, to string, found []Violation) (opened, cleared int64, err error) {
	now := tx.Now().UnixMicro()
	res, err := tx.ExecContext(ctx, `UPDATE compliance_runs SET beat_at = $2 WHERE id = $1 AND running = 1`, r.ID, now)
	if err != nil {
		return 0, 0, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return 0, 0, errors.Join(errLost, err)
	}
	where, args := `resource_id > $1 AND cleared_at IS NULL`, []any{after}
	if to != "" {
		where, args = where+` AND resource_id <= $2`, append(args, to)
	}
	known, err := s.known(ctx, tx, where, args)
	if err != nil {
		return 0, 0, err
	}
	var fresh []Violation
	for _, v := range found {
		name, version, _ := strings.Cut(v.Bundle, "@")
		o := known[[3]string{v.ResourceID, name, v.Rule}]
		if o == nil {
			fresh = append(fresh, v)
			continue
		}
		o.seen = true
		if o.version == version && o.strength == string(v.Strength) && o.message == v.Message && o.remedy == v.Remedy && o.docs == v.Docs && o.field == v.Field {
			continue
		}
		if err := tx.Later(ctx, `UPDATE guardrail_violations SET version = $2, strength = $3, message = $4, remedy = $5, docs = $6, field = $7 WHERE id = $1`,
			o.id, version, string(v.Strength), v.Message, v.Remedy, v.Docs, v.Field); err != nil {
			return 0, 0, err
		}
	}
	var gone []string
	for _, o := range known {
		if !o.seen {
			gone = append(gone, o.id)
		}
	}
	slices.Sort(gone)
	if len(gone) > 0 {
		if _, err := tx.ExecContext(ctx, `UPDATE guardrail_violations SET cleared_at = $1, told = 0 WHERE `+s.db.InArray("id", "$2"), now, sqldb.Strings(gone)); err != nil {
			return 0, 0, err
		}
	}
	if len(known) > len(gone) {
		if _, err := tx.ExecContext(ctx, `UPDATE guardrail_violations SET seen_at = `+fmt.Sprint(now)+` WHERE `+where, args...); err != nil {
			return 0, 0, err
		}
	}
	return int64(len(fresh)), int64(len(gone)), s.insert(ctx, tx, fresh, now)
}

func (s store) known(ctx context.Context, tx *sqldb.Tx, where string, args []any) (map[[3]string]*open, error) {
	known := map[[3]string]*open{}
	_, err := sqldb.Collect(ctx, tx, func(row sqldb.Row) (struct{}, error) {
		var key [3]string
		o := &open{}
		err := row.Scan(&o.id, &key[0], &key[1], &key[2], &o.version, &o.strength, &o.message, &o.remedy, &o.docs, &o.field)
		known[key] = o
		return struct{}{}, err
	}, `SELECT id, resource_id, bundle, rule, version, strength, message, remedy, docs, field FROM guardrail_violations WHERE `+where, args...)
	return known, err
}

// insert writes many rows with few statements.
func (s store) insert(ctx context.Context, tx *sqldb.Tx, list []Violation, now int64) error {
	const columns = 11
	for some := range slices.Chunk(list, 64) {
		query := []byte(`INSERT INTO guardrail_violations (id, resource_id, bundle, version, rule, strength, message, remedy, docs, field, since, seen_at) VALUES `)
		var args []any
		for i, v := range some {
			if i > 0 {
				query = append(query, ", "...)
			}
			query = append(query, '(')
			for c := range columns {
				query = fmt.Appendf(query, "$%d, ", i*columns+c+1)
			}
			query = fmt.Appendf(query, "$%d)", i*columns+columns) // seen when it began
			name, version, _ := strings.Cut(v.Bundle, "@")
			args = append(args, ident.New("vio"), v.ResourceID, name, version, v.Rule, string(v.Strength), v.Message, v.Remedy, v.Docs, v.Field, now)
		}
		if err := tx.Later(ctx, string(query), args...); err != nil {
			return err
		}
	}
	return nil
}

// news is what a run changed for one team.
type news struct {
	teamID, team               string
	cleared                    bool
	count, resources, standing int64
}

func (s store) news(ctx context.Context, tx *sqldb.Tx) ([]news, error) {
	return sqldb.Collect(ctx, tx, func(row sqldb.Row) (n news, err error) {
		var cleared int64
		err = row.Scan(&n.teamID, &n.team, &cleared, &n.count, &n.resources, &n.standing)
		n.cleared = cleared == 1
		return n, err
	}, `SELECT t.id, t.name, CASE WHEN v.cleared_at IS NULL THEN 0 ELSE 1 END AS gone, count(*), count(DISTINCT v.resource_id),
		(SELECT count(*) FROM guardrail_violations o JOIN resources x ON x.id = o.resource_id WHERE x.team_id = t.id AND o.cleared_at IS NULL)
		FROM guardrail_violations v JOIN resources r ON r.id = v.resource_id JOIN teams t ON t.id = r.team_id
		WHERE v.told = 0 GROUP BY t.id, t.name, gone ORDER BY t.name, gone`)
}

// mostListed is how many violations an event names; the rest is a number.
const mostListed = 20

// fresh says what is new for a team, in a line each: the worst first.
func (s store) fresh(ctx context.Context, tx *sqldb.Tx, teamID string) ([]string, error) {
	return sqldb.Collect(ctx, tx, sqldb.Text, `SELECT r.name || ' in ' || p.name || '/' || e.name || ': ' || v.strength || ', ' || v.message ||
			CASE WHEN v.remedy = '' THEN '' ELSE '; ' || v.remedy END
		FROM guardrail_violations v JOIN resources r ON r.id = v.resource_id JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = r.project_id
		WHERE v.told = 0 AND v.cleared_at IS NULL AND r.team_id = $1
		ORDER BY CASE v.strength WHEN 'deny' THEN 0 ELSE 1 END, p.name, e.name, r.name, v.bundle, v.rule LIMIT `+fmt.Sprint(mostListed), teamID)
}

// menders are the ids of those of a team who can mend what offends: who owns
// the team, and who develops in it.
func (s store) menders(ctx context.Context, tx *sqldb.Tx, teamID string) ([]string, error) {
	return sqldb.Collect(ctx, tx, sqldb.Text, `SELECT DISTINCT b.principal_id FROM role_bindings b JOIN principals p ON p.id = b.principal_id
		WHERE b.team_id = $1 AND b.role IN ($2, $3) AND p.kind = $4 AND p.disabled_at IS NULL ORDER BY b.principal_id LIMIT 100`,
		teamID, string(principal.TeamOwner), string(principal.Developer), string(principal.User))
}

// told notes that events told of everything, and forgets what is old.
func (s store) told(ctx context.Context, tx *sqldb.Tx, before time.Time) error {
	if err := tx.Later(ctx, `UPDATE guardrail_violations SET told = 1 WHERE told = 0`); err != nil {
		return err
	}
	if err := tx.Later(ctx, `DELETE FROM guardrail_violations WHERE cleared_at < $1`, before.UnixMicro()); err != nil {
		return err
	}
	return tx.Later(ctx, `DELETE FROM compliance_runs WHERE started_at < $1 AND running IS NULL`, before.UnixMicro())
}

const runColumns = `c.id, c.started_at, c.finished_at, c.by_id, c.by_name, c.policy, c.resources, c.violations, c.opened, c.cleared, c.failure FROM compliance_runs c`

func scanRun(row sqldb.Row) (r Run, err error) {
	var started int64
	var finished sql.NullInt64
	err = row.Scan(&r.ID, &started, &finished, &r.ByID, &r.ByName, &r.Policy, &r.Resources, &r.Violations, &r.Opened, &r.Cleared, &r.Failure)
	r.StartedAt, r.FinishedAt = sqldb.Time(started), sqldb.TimeOrZero(finished)
	return r, err
}

// last gives the newest run that came to its end.
func (s store) last(ctx context.Context) (r Run, ok bool, err error) {
	r, err = scanRun(s.db.Read().QueryRowContext(ctx, `SELECT `+runColumns+` WHERE c.finished_at IS NOT NULL AND c.failure = '' ORDER BY c.started_at DESC, c.id DESC LIMIT 1`))
	if errors.Is(err, sql.ErrNoRows) {
		return Run{}, false, nil
	}
	return r, err == nil, err
}
