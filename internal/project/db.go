package project

import (
	"context"
	"database/sql"
	"errors"
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
	p.Attributes, p.CreatedAt, p.UpdatedAt = sqldb.ParseAttributes(attributes), sqldb.Time(created), sqldb.Time(updated)
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
	e.Attributes, e.CreatedAt, e.UpdatedAt = sqldb.ParseAttributes(attributes), sqldb.Time(created), sqldb.Time(updated)
	return e, nil
}

var projects = sqldb.List[Project]{
	Select: `SELECT ` + projectColumns + projectTables, Scan: scanProject, Default: "name",
	Orders: sqldb.Named("p", func(p Project) (string, string, time.Time) { return p.ID, p.Name, p.UpdatedAt }),
}

var environments = sqldb.List[Environment]{
	Select: `SELECT ` + environmentColumns + environmentTables, Scan: scanEnvironment, Default: "name",
	Orders: sqldb.Named("e", func(e Environment) (string, string, time.Time) { return e.ID, e.Name, e.UpdatedAt }),
}

// lock is the suffix that keeps the row of alias as it is until the commit.
func (s store) lock(alias string, lock bool) string {
	if !lock || s.db.Dialect() != sqldb.Postgres {
		return ""
	}
	return " FOR UPDATE OF " + alias
}

// byRef is the condition that a row is the one a reference means: a name has
// no underscore, an id has one. An OR of both would be two searches.
func byRef(alias, ref, placeholder string) string {
	if strings.Contains(ref, "_") {
		return alias + ".id = " + placeholder
	}
	return alias + ".name = " + placeholder
}

func (s store) project(ctx context.Context, q sqldb.Querier, ref string, lock bool) (Project, error) {
	return scanProject(q.QueryRowContext(ctx, `SELECT `+projectColumns+projectTables+
		` WHERE `+byRef("p", ref, "$1")+` AND p.deleted_at IS NULL`+s.lock("p", lock), ref))
}

func (s store) environment(ctx context.Context, q sqldb.Querier, projectID, ref string, lock bool) (Environment, error) {
	return scanEnvironment(q.QueryRowContext(ctx, `SELECT `+environmentColumns+environmentTables+
		` WHERE e.project_id = $1 AND `+byRef("e", ref, "$2")+` AND e.deleted_at IS NULL AND p.deleted_at IS NULL`+s.lock("e", lock), projectID, ref))
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
	team.Kind, team.TeamID, team.Attributes = "team", team.ID, sqldb.ParseAttributes(attributes)
	return team, err
}

// environmentsOf names what keeps a project from being deleted.
func (s store) environmentsOf(ctx context.Context, tx *sqldb.Tx, projectID string) ([]string, error) {
	return sqldb.Collect(ctx, tx, sqldb.Text, `SELECT name FROM environments WHERE project_id = $1 AND deleted_at IS NULL ORDER BY name LIMIT 11`, projectID)
}

// resourcesOf names what keeps an environment from being deleted.
func (s store) resourcesOf(ctx context.Context, tx *sqldb.Tx, environmentID string) ([]string, error) {
	return sqldb.Collect(ctx, tx, sqldb.Text, `SELECT name FROM resources WHERE environment_id = $1 AND destroyed_at IS NULL ORDER BY name LIMIT 11`, environmentID)
}

// resourcesIn counts what of a project is not yet gone.
func (s store) resourcesIn(ctx context.Context, tx *sqldb.Tx, projectID string) (n int, err error) {
	return n, tx.QueryRowContext(ctx, `SELECT count(*) FROM resources WHERE project_id = $1 AND destroyed_at IS NULL`, projectID).Scan(&n)
}

func missing(err error) bool { return errors.Is(err, sql.ErrNoRows) }
