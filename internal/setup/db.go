package setup

import (
	"context"

	"fairlead/internal/access"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// store is this feature's SQL. It looks whether there is anything, never how
// much.
type store struct{ db *sqldb.DB }

func (s store) dismissed(ctx context.Context, userID string) (yes bool, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM setup_dismissals WHERE user_id = $1)`, userID).Scan(&yes)
	return yes, err
}

func (s store) dismiss(ctx context.Context, tx *sqldb.Tx, userID string, yes bool) (changed bool, err error) {
	query, args := `DELETE FROM setup_dismissals WHERE user_id = $1`, []any{userID}
	if yes {
		query, args = `INSERT INTO setup_dismissals (user_id, at) VALUES ($1, $2) ON CONFLICT (user_id) DO NOTHING`, append(args, tx.Now().UnixMicro())
	}
	res, err := tx.ExecContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// platform tells which of the installation's steps are done, for an
// administrator.
func (s store) platform(ctx context.Context, userID string) (map[string]bool, error) {
	var password, team, project, environment, resource, colleague, admins, guardrails, backup bool
	err := s.db.Read().QueryRowContext(ctx, `SELECT
			EXISTS (SELECT 1 FROM principals WHERE id = $1 AND password_hash <> ''),
			EXISTS (SELECT 1 FROM teams WHERE deleted_at IS NULL),
			EXISTS (SELECT 1 FROM projects WHERE deleted_at IS NULL),
			EXISTS (SELECT 1 FROM environments WHERE deleted_at IS NULL),
			EXISTS (SELECT 1 FROM resources WHERE applied_revision > 0),
			EXISTS (SELECT 1 FROM principals WHERE kind = 'user' AND disabled_at IS NULL AND id <> $1),
			EXISTS (SELECT 1 FROM role_bindings b JOIN principals p ON p.id = b.principal_id
				WHERE b.role = $2 AND b.team_id = '' AND p.kind = 'user' AND p.disabled_at IS NULL AND p.id <> $1),
			EXISTS (SELECT 1 FROM guardrail_state WHERE list NOT IN ('', '[]', 'null')),
			EXISTS (SELECT 1 FROM audit_log WHERE action = 'system:backup')`, userID, string(principal.PlatformAdmin)).
		Scan(&password, &team, &project, &environment, &resource, &colleague, &admins, &guardrails, &backup)
	return map[string]bool{Password: password, Team: team, Project: project, Environment: environment, Resource: resource,
		Colleague: colleague, SecondAdmin: admins, Guardrails: guardrails, Backup: backup}, err
}

func (s store) anyEnvironment(ctx context.Context, scope access.Scope) (yes bool, err error) {
	var w sqldb.Where
	w.And(`e.deleted_at IS NULL`)
	scope.Narrow(&w, s.db, access.Columns{Team: "p.team_id", Project: "p.id", Environment: "e.id"})
	where, args := w.SQL()
	err = s.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM environments e JOIN projects p ON p.id = e.project_id`+where+`)`, args...).Scan(&yes)
	return yes, err
}

// asked tells whether somebody has asked for a resource before. The audit log
// has an index by who did it.
func (s store) asked(ctx context.Context, userID string) (yes bool, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM audit_log WHERE actor_id = $1 AND action = $2 AND decision = 'allowed')`, userID, string(access.ResourceCreate)).Scan(&yes)
	return yes, err
}
