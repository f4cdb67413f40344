package quota

import (
	"context"
	"database/sql"
	"errors"

	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// store is this feature's SQL, on the read pool or in a transaction.
type store struct{ db *sqldb.DB }

const (
	share        = `CASE WHEN l.max = 0 THEN 0 WHEN l.used / l.max > 1000000 THEN 1000000000000 ELSE CAST(CAST(l.used AS DOUBLE PRECISION) * 1000000 / l.max AS BIGINT) END`
	limitColumns = `l.id, l.scope, COALESCE(t.id, ''), COALESCE(t.name, ''), COALESCE(p.id, ''), COALESCE(p.name, ''), COALESCE(e.id, ''), COALESCE(e.name, ''),
		l.class, l.template, l.metric, l.max, l.used, l.warn, l.enforce, ` + share + `, l.created_at, l.updated_at, l.created_by, l.version`
	limitTables = ` FROM quota_limits l
		LEFT JOIN environments e ON l.scope = 'environment' AND e.id = l.place
		LEFT JOIN projects p ON p.id = CASE WHEN l.scope = 'project' THEN l.place ELSE e.project_id END
		LEFT JOIN teams t ON t.id = CASE WHEN l.scope = 'team' THEN l.place ELSE p.team_id END`
)

// living leaves out limits of places that were deleted.
func living() sqldb.Where {
	var w sqldb.Where
	w.And(`e.deleted_at IS NULL AND p.deleted_at IS NULL AND t.deleted_at IS NULL`)
	return w
}

func scanLimit(r sqldb.Row) (Limit, error) {
	var l Limit
	var warn, created, updated int64
	err := r.Scan(&l.ID, &l.Scope, &l.TeamID, &l.Team, &l.ProjectID, &l.Project, &l.EnvironmentID, &l.Environment,
		&l.Class, &l.Template, &l.Metric, &l.Max, &l.Used, &warn, &l.Enforce, &l.Share, &created, &updated, &l.CreatedBy, &l.Version)
	l.WarnAt, l.CreatedAt, l.UpdatedAt = float64(warn)/unit, sqldb.Time(created), sqldb.Time(updated)
	return l, err
}

var limits = sqldb.List[Limit]{
	Select: `SELECT ` + limitColumns + limitTables, Scan: scanLimit, Default: "created",
	Orders: map[string]sqldb.Order[Limit]{
		"created": {Columns: []string{"l.id"}, Key: func(l Limit) []any { return []any{l.ID} }},
		"metric":  {Columns: []string{"l.metric", "l.id"}, Key: func(l Limit) []any { return []any{l.Metric, l.ID} }},
		"share":   {Columns: []string{share, "l.id"}, Key: func(l Limit) []any { return []any{l.Share, l.ID} }},
	},
}

var holdings = sqldb.List[Holding]{
	Select: `SELECT h.resource_id, COALESCE(r.name, ''), COALESCE(p.name, ''), COALESCE(e.name, ''), h.template, h.amount FROM quota_holdings h
		LEFT JOIN resources r ON r.id = h.resource_id LEFT JOIN environments e ON e.id = h.environment_id LEFT JOIN projects p ON p.id = h.project_id`,
	Scan: func(r sqldb.Row) (Holding, error) {
		var h Holding
		return h, r.Scan(&h.ResourceID, &h.Resource, &h.Project, &h.Environment, &h.Template, &h.Amount)
	},
	Default: "-amount",
	Orders: map[string]sqldb.Order[Holding]{"amount": {Columns: []string{"h.amount", "h.resource_id"}, Key: func(h Holding) []any {
		return []any{int64(h.Amount), h.ResourceID}
	}}},
}

// at is the id of the place.
func (l Limit) at() string {
	switch l.Scope {
	case Team:
		return l.TeamID
	case Project:
		return l.ProjectID
	case Environment:
		return l.EnvironmentID
	}
	return ""
}

// resolve fills in the place of l's scope by name or id, and what it is in.
func (s store) resolve(ctx context.Context, l *Limit, ref string) error {
	q := s.db.Read()
	switch l.Scope {
	case Team:
		return q.QueryRowContext(ctx, `SELECT id, name FROM teams WHERE (id = $1 OR name = $1) AND deleted_at IS NULL`, ref).Scan(&l.TeamID, &l.Team)
	case Project:
		return q.QueryRowContext(ctx, `SELECT p.id, p.name, t.id, t.name FROM projects p JOIN teams t ON t.id = p.team_id
			WHERE (p.id = $1 OR p.name = $1) AND p.deleted_at IS NULL`, ref).Scan(&l.ProjectID, &l.Project, &l.TeamID, &l.Team)
	}
	return q.QueryRowContext(ctx, `SELECT e.id, e.name, p.id, p.name, t.id, t.name FROM environments e JOIN projects p ON p.id = e.project_id JOIN teams t ON t.id = p.team_id
		WHERE (e.id = $1 OR e.name = $1 AND p.id = $2) AND e.deleted_at IS NULL AND p.deleted_at IS NULL`, ref, l.ProjectID).
		Scan(&l.EnvironmentID, &l.Environment, &l.ProjectID, &l.Project, &l.TeamID, &l.Team)
}

func (s store) byID(ctx context.Context, q sqldb.Querier, id string) (Limit, error) {
	return scanLimit(q.QueryRowContext(ctx, `SELECT `+limitColumns+limitTables+` WHERE l.id = $1`, id))
}

// find gives the limit for the same place, class, template and metric.
func (s store) find(ctx context.Context, tx *sqldb.Tx, of Limit) (Limit, error) {
	return scanLimit(tx.QueryRowContext(ctx, `SELECT `+limitColumns+limitTables+` WHERE l.place = $1 AND l.metric = $2 AND l.class = $3 AND l.template = $4`,
		of.at(), of.Metric, of.Class, of.Template))
}

// holdOff keeps all from changing what is held until the commit, once those
// who are at it are done: a sum that is read then misses nobody.
func (s store) holdOff(ctx context.Context, tx *sqldb.Tx) error {
	if s.db.Dialect() != sqldb.Postgres {
		return nil
	}
	_, err := tx.ExecContext(ctx, `LOCK TABLE quota_holdings IN SHARE ROW EXCLUSIVE MODE`)
	return err
}

// sum is what the holdings that match the limit come to. Whole units and the
// rest are summed apart, so that no sum leaves 64 bits.
func (s store) sum(ctx context.Context, q sqldb.Querier, l Limit) (Amount, error) {
	var whole, rest int64
	err := q.QueryRowContext(ctx, `SELECT CAST(COALESCE(sum(h.amount / 1000000), 0) AS BIGINT), CAST(COALESCE(sum(h.amount % 1000000), 0) AS BIGINT) FROM quota_holdings h
		WHERE h.metric = $1 AND ($2 = '' OR $2 IN (h.team_id, h.project_id, h.environment_id)) AND ($3 = '' OR h.class = $3) AND ($4 = '' OR h.template = $4)`,
		l.Metric, l.at(), l.Class, l.Template).Scan(&whole, &rest)
	return total(whole, rest), err
}

func (s store) put(ctx context.Context, tx *sqldb.Tx, l Limit, warn int64) error {
	enforce := 0
	if l.Enforce {
		enforce = 1
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO quota_limits (id, scope, place, class, template, metric, max, warn, enforce, used, created_at, created_by, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11)
		ON CONFLICT (id) DO UPDATE SET max = excluded.max, warn = excluded.warn, enforce = excluded.enforce, used = excluded.used,
			updated_at = excluded.updated_at, version = quota_limits.version + 1`,
		l.ID, l.Scope, l.at(), l.Class, l.Template, l.Metric, int64(l.Max), warn, enforce, int64(l.Used), tx.Now().UnixMicro(), l.CreatedBy)
	return err
}

// owners are the ids of those who answer for a team; for the organisation, the
// platform's administrators.
func (s store) owners(ctx context.Context, q sqldb.Querier, teamID string) ([]string, error) {
	role := principal.TeamOwner
	if teamID == "" {
		role = principal.PlatformAdmin
	}
	return sqldb.Collect(ctx, q, sqldb.Text, `SELECT b.principal_id FROM role_bindings b JOIN principals p ON p.id = b.principal_id
		WHERE b.team_id = $1 AND b.role = $2 AND p.disabled_at IS NULL ORDER BY b.principal_id LIMIT 100`, teamID, string(role))
}

// reclass lets what a resource holds follow its environment's class.
func (s store) reclass(ctx context.Context, tx *sqldb.Tx, resourceID string) error {
	err := tx.Later(ctx, `UPDATE quota_holdings SET prev = amount, prev_class = class,
		class = COALESCE((SELECT e.class FROM environments e WHERE e.id = quota_holdings.environment_id), class) WHERE resource_id = $1`, resourceID)
	if err != nil {
		return err
	}
	return move(ctx, tx, resourceID)
}

// unequal gives the limits whose use is not the sum of what is held: in one
// pass over the holdings, without a lock, so some may only be on their way.
func (s store) unequal(ctx context.Context) ([]Limit, error) {
	all, err := sqldb.Collect(ctx, s.db.Read(), scanLimit, `SELECT `+limitColumns+limitTables)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	type key struct{ place, metric, class, template string }
	sums := map[key]Amount{}
	rows, err := s.db.Read().QueryContext(ctx, `SELECT team_id, project_id, environment_id, metric, class, template, CAST(sum(amount / 1000000) AS BIGINT), CAST(sum(amount % 1000000) AS BIGINT)
		FROM quota_holdings GROUP BY team_id, project_id, environment_id, metric, class, template`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var team, project, environment, metric, class, template string
		var whole, rest int64
		if err := rows.Scan(&team, &project, &environment, &metric, &class, &template, &whole, &rest); err != nil {
			return nil, err
		}
		amount := total(whole, rest)
		for _, place := range []string{"", team, project, environment} {
			for _, c := range []string{"", class} {
				for _, t := range []string{"", template} {
					k := key{place, metric, c, t}
					sums[k] = min(sums[k]+min(amount, mostUsed-sums[k]), mostUsed)
				}
			}
		}
	}
	var out []Limit
	for _, l := range all {
		if sums[key{l.at(), l.Metric, l.Class, l.Template}] != l.Used {
			out = append(out, l)
		}
	}
	return out, rows.Err()
}

// total puts whole units and millionths together, as far as can be counted.
func total(whole, rest int64) Amount {
	if whole += rest / unit; whole >= mostUsed/unit {
		return mostUsed
	}
	return Amount(whole*unit + rest%unit)
}

func ignoreMissing(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	return err
}
