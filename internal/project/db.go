package project

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/sqldb"
)

// store is this feature's SQL, on the read pool or in a transaction.
type store struct{ db *sqldb.DB }

const projectColumns = `p.id, p.name, p.title, p.team_id, t.name, p.attributes, p.created_at, p.updated_at, p.version`

const projectTables = ` FROM projects p JOIN teams t ON t.id = p.team_id`

func scanProject(r sqldb.Row) (Project, error) {
	var p Project
	var attributes string
	var created, updated int64
	if err := r.Scan(&p.ID, &p.Name, &p.Title, &p.TeamID, &p.Team, &attributes, &created, &updated, &p.Version); err != nil {
		return Project{}, err
	}
	p.Attributes, p.CreatedAt, p.UpdatedAt = decodeMap(attributes), at(created), at(updated)
	return p, nil
}

const environmentColumns = `e.id, e.name, e.title, e.class, e.project_id, p.name, p.team_id, t.name, e.attributes, e.created_at, e.updated_at, e.version`

const environmentTables = ` FROM environments e JOIN projects p ON p.id = e.project_id JOIN teams t ON t.id = p.team_id`

func scanEnvironment(r sqldb.Row) (Environment, error) {
	var e Environment
	var attributes string
	var created, updated int64
	err := r.Scan(&e.ID, &e.Name, &e.Title, &e.Class, &e.ProjectID, &e.Project, &e.TeamID, &e.Team, &attributes, &created, &updated, &e.Version)
	if err != nil {
		return Environment{}, err
	}
	e.Attributes, e.CreatedAt, e.UpdatedAt = decodeMap(attributes), at(created), at(updated)
	return e, nil
}

// lock is the suffix that keeps the row of alias as it is until the commit.
func (s store) lock(alias string, lock bool) string {
	if !lock || s.db.Dialect() != sqldb.Postgres {
		return ""
	}
	return " FOR UPDATE OF " + alias
}

func (s store) project(ctx context.Context, q sqldb.Querier, ref string, lock bool) (Project, error) {
	return scanProject(q.QueryRowContext(ctx, `SELECT `+projectColumns+projectTables+
		` WHERE (p.id = $1 OR p.name = $1) AND p.deleted_at IS NULL`+s.lock("p", lock), ref))
}

func (s store) environment(ctx context.Context, q sqldb.Querier, projectID, ref string, lock bool) (Environment, error) {
	return scanEnvironment(q.QueryRowContext(ctx, `SELECT `+environmentColumns+environmentTables+
		` WHERE e.project_id = $1 AND (e.id = $2 OR e.name = $2) AND e.deleted_at IS NULL AND p.deleted_at IS NULL`+s.lock("e", lock), projectID, ref))
}

func (s store) environmentByID(ctx context.Context, q sqldb.Querier, id string) (Environment, error) {
	return scanEnvironment(q.QueryRowContext(ctx, `SELECT `+environmentColumns+environmentTables+
		` WHERE e.id = $1 AND e.deleted_at IS NULL AND p.deleted_at IS NULL`, id))
}

// lockTeam gives a team's id and name and keeps it from being deleted until
// the commit.
func (s store) lockTeam(ctx context.Context, q sqldb.Querier, ref string, lock bool) (team access.Target, err error) {
	suffix := ""
	if lock {
		suffix = s.db.ForUpdate()
	}
	var attributes string
	err = q.QueryRowContext(ctx, `SELECT id, name, attributes FROM teams WHERE (id = $1 OR name = $1) AND deleted_at IS NULL`+suffix, ref).
		Scan(&team.ID, &team.Name, &attributes)
	team.Kind, team.TeamID, team.Attributes = "team", team.ID, decodeMap(attributes)
	return team, err
}

// environmentsOf names what keeps a project from being deleted.
func (s store) environmentsOf(ctx context.Context, tx *sqldb.Tx, projectID string) ([]string, error) {
	return sqldb.Collect(ctx, tx, scanString, `SELECT name FROM environments WHERE project_id = $1 AND deleted_at IS NULL ORDER BY name LIMIT 11`, projectID)
}

// resourcesOf names what keeps an environment from being deleted.
func (s store) resourcesOf(ctx context.Context, tx *sqldb.Tx, environmentID string) ([]string, error) {
	return sqldb.Collect(ctx, tx, scanString, `SELECT name FROM resources WHERE environment_id = $1 AND destroyed_at IS NULL ORDER BY name LIMIT 11`, environmentID)
}

// resourcesIn counts what of a project is not yet gone.
func (s store) resourcesIn(ctx context.Context, tx *sqldb.Tx, projectID string) (n int, err error) {
	return n, tx.QueryRowContext(ctx, `SELECT count(*) FROM resources WHERE project_id = $1 AND destroyed_at IS NULL`, projectID).Scan(&n)
}

func scanString(r sqldb.Row) (v string, err error) { return v, r.Scan(&v) }

func at(us int64) time.Time { return time.UnixMicro(us).UTC() }

func missing(err error) bool { return errors.Is(err, sql.ErrNoRows) }

func encode(v any) string {
	b, err := json.Marshal(v)
	if err != nil || string(b) == "null" {
		return "{}"
	}
	return string(b)
}

// decodeMap reads attributes; what cannot be read is absent, and absence never grants.
func decodeMap(s string) map[string]string {
	m := map[string]string{}
	if json.Unmarshal([]byte(s), &m) != nil || m == nil {
		return map[string]string{}
	}
	return m
}

// filter collects the conditions of a list and their values.
type filter struct {
	conds []string
	args  []any
}

// add takes a condition with ? for the value's placeholder.
func (f *filter) add(cond string, arg any) {
	f.args = append(f.args, arg)
	f.conds = append(f.conds, strings.ReplaceAll(cond, "?", "$"+strconv.Itoa(len(f.args))))
}

// visible adds what the scope lets through: everything of some teams, of some
// projects, and some environments (when the list is of them).
func (f *filter) visible(db *sqldb.DB, s access.Scope, columns ...string) {
	if s.All {
		return
	}
	ids := append(append(append([]string{}, s.TeamIDs...), s.ProjectIDs...), s.EnvironmentIDs...)
	var any []string
	for _, c := range columns { // ids of different kinds never meet: their prefixes differ
		any = append(any, db.InArray(c, "?"))
	}
	f.add("("+strings.Join(any, " OR ")+")", encode(ids))
}

// page gives the end of the query: conditions, order and limit.
func (f *filter) page(alias, sort string, page sqldb.Page) string {
	column, direction, compare := alias+".name", "ASC", ">"
	if strings.HasSuffix(sort, "created") {
		column = alias + ".id"
	}
	if strings.HasPrefix(sort, "-") {
		direction, compare = "DESC", "<"
	}
	if page.After != "" {
		f.add(column+" "+compare+" ?", page.After)
	}
	return " WHERE " + strings.Join(f.conds, " AND ") + " ORDER BY " + column + " " + direction + " LIMIT " + strconv.Itoa(page.Size()+1)
}

// contains is the pattern of LIKE … ESCAPE '\' for text within a column.
func contains(s string) string {
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(strings.ToLower(s)) + "%"
}
