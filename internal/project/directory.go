package project

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/sqldb"
)

// TeamLister gives every team; identity's directory does.
type TeamLister interface {
	Teams(ctx context.Context) ([]access.Target, error)
}

// Directory tells access what places there are, whoever asks: it stands below
// the decisions and is asked by nobody else. Changes wake the topic "directory".
type Directory struct {
	TeamLister
	store store
}

// NewDirectory makes the directory of teams, projects and environments.
func NewDirectory(db *sqldb.DB, teams TeamLister) *Directory {
	return &Directory{TeamLister: teams, store: store{db}}
}

// Projects gives every project.
func (d *Directory) Projects(ctx context.Context) ([]access.Target, error) {
	return sqldb.Collect(ctx, d.store.db.Read(), func(r sqldb.Row) (access.Target, error) {
		p, err := scanProject(r)
		return p.Target(), err
	}, `SELECT `+projectColumns+projectTables+` WHERE p.deleted_at IS NULL ORDER BY p.id`)
}

// Environments gives every environment.
func (d *Directory) Environments(ctx context.Context) ([]access.Target, error) {
	return sqldb.Collect(ctx, d.store.db.Read(), func(r sqldb.Row) (access.Target, error) {
		e, err := scanEnvironment(r)
		return e.Target(), err
	}, `SELECT `+environmentColumns+environmentTables+` WHERE e.deleted_at IS NULL AND p.deleted_at IS NULL ORDER BY e.id`)
}
