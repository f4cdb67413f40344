package compliance

import (
	"context"
	"database/sql"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Filter narrows a list of violations; empty fields do not.
type Filter struct {
	Team     string // id or name
	Project  string // id or name
	Resource string // id
	Bundle   string // name
	Rule     string
	Strength gate.Strength
	Cleared  bool // those that were mended, and not those that stand
	Sort     string
}

const violationColumns = `v.id, v.resource_id, r.name, r.template, e.id, e.name, e.class, p.id, p.name, t.id, t.name, coalesce(c.name, r.created_by),
	v.bundle||'@'||v.version, v.rule, v.strength, v.message, v.remedy, v.docs, v.field, v.since, v.seen_at, v.cleared_at`

const violationTables = ` FROM guardrail_violations v JOIN resources r ON r.id = v.resource_id JOIN environments e ON e.id = r.environment_id
	JOIN projects p ON p.id = r.project_id JOIN teams t ON t.id = r.team_id LEFT JOIN principals c ON c.id = r.created_by`

var violations = sqldb.List[Violation]{
	Select: `SELECT ` + violationColumns + violationTables, Default: "team",
	Scan: func(row sqldb.Row) (v Violation, err error) {
		var since, seen int64
		var cleared sql.NullInt64
		err = row.Scan(&v.ID, &v.ResourceID, &v.Resource, &v.Template, &v.EnvironmentID, &v.Environment, &v.Class, &v.ProjectID, &v.Project, &v.TeamID, &v.Team,
			&v.Owner, &v.Bundle, &v.Rule, &v.Strength, &v.Message, &v.Remedy, &v.Docs, &v.Field, &since, &seen, &cleared)
		v.Since, v.SeenAt, v.ClearedAt = sqldb.Time(since), sqldb.Time(seen), sqldb.TimeOrZero(cleared)
		return v, err
	},
	Orders: map[string]sqldb.Order[Violation]{
		"team":  {Columns: []string{"t.name", "v.since", "v.id"}, Key: func(v Violation) []any { return []any{v.Team, v.Since.UnixMicro(), v.ID} }},
		"since": {Columns: []string{"v.since", "v.id"}, Key: func(v Violation) []any { return []any{v.Since.UnixMicro(), v.ID} }},
	},
}

// where is what the caller may see of what f lets through.
func (s *Service) where(ctx context.Context, f Filter) (sqldb.Where, error) {
	var w sqldb.Where
	if principal.From(ctx).Kind == principal.Anonymous {
		return w, fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return w, err
	}
	scope.Narrow(&w, s.DB, access.Columns{Team: "r.team_id", Project: "r.project_id", Environment: "r.environment_id"})
	for _, c := range [][2]string{{"v.resource_id", f.Resource}, {"v.bundle", f.Bundle}, {"v.rule", f.Rule}, {"v.strength", string(f.Strength)}} {
		if c[1] != "" {
			w.And(c[0]+` = ?`, c[1])
		}
	}
	if f.Team != "" {
		w.And(`(t.id = ? OR t.name = ?)`, f.Team)
	}
	if f.Project != "" {
		w.And(`(p.id = ? OR p.name = ?)`, f.Project)
	}
	if f.Cleared {
		w.And(`v.cleared_at IS NOT NULL`)
	} else {
		w.And(`v.cleared_at IS NULL`)
		w.And(`r.destroyed_at IS NULL`) // the next run clears it
	}
	return w, nil
}

// List gives what stands against the guardrails where the caller may see
// resources: by team and then age, unless f.Sort ("team", "since") says
// otherwise.
func (s *Service) List(ctx context.Context, f Filter, p sqldb.Page) ([]Violation, string, error) {
	w, err := s.where(ctx, f)
	if err != nil {
		return nil, "", err
	}
	return violations.Page(ctx, s.DB.Read(), w, f.Sort, p)
}

// Teams gives how each team stands of which the caller may see resources and
// that has violations, by name; and the newest run that came to its end, if
// there is one.
func (s *Service) Teams(ctx context.Context) ([]Team, Run, error) {
	w, err := s.where(ctx, Filter{})
	if err != nil {
		return nil, Run{}, err
	}
	where, args := w.SQL()
	teams, err := sqldb.Collect(ctx, s.DB.Read(), func(row sqldb.Row) (t Team, err error) {
		var since int64
		err = row.Scan(&t.TeamID, &t.Team, &t.Resources, &t.Violations, &t.Denied, &since)
		t.Since = sqldb.Time(since)
		return t, err
	}, `SELECT t.id, t.name, count(DISTINCT v.resource_id), count(*), sum(CASE WHEN v.strength = 'deny' THEN 1 ELSE 0 END), min(v.since)`+
		violationTables+where+` GROUP BY t.id, t.name ORDER BY t.name LIMIT 1000`, args...)
	if err != nil {
		return nil, Run{}, err
	}
	last, _, err := s.db.last(ctx)
	return teams, last, err
}
