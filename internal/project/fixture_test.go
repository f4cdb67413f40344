package project_test

import (
	"testing"

	"fairlead/internal/identity"
	"fairlead/internal/identity/identitytest"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

func grant(team, member string, r principal.Role) identity.Grant {
	return identity.Grant{Team: team, Member: member, Role: r}
}

// addResource puts a resource's row into an environment.
func addResource(t *testing.T, w *identitytest.World, projectName, environment, name string) {
	t.Helper()
	e, err := w.Projects.Resolve(w.Admin, projectName, environment)
	w.Must(err)
	w.Must(w.DB.Write(t.Context(), "test.resource", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(t.Context(), `INSERT INTO resources (id, name, environment_id, project_id, team_id, template, engine, phase,
			revision, created_at, created_by, updated_at) VALUES ($1, $2, $3, $4, $5, 'null', 'null', 'ready', 1, 0, '', 0)`,
			"res_"+name, name, e.ID, e.ProjectID, e.TeamID)
		return err
	}))
}

// gone marks every resource as seen to be gone.
func gone(t *testing.T, w *identitytest.World) {
	t.Helper()
	w.Must(w.DB.Write(t.Context(), "test.gone", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(t.Context(), `UPDATE resources SET destroyed_at = 1`)
		return err
	}))
}
