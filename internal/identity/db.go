package identity

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// store is this feature's SQL. Its methods run on the read pool or in a
// transaction, whichever is given.
type store struct{ db *sqldb.DB }

// account is a row of principals: a user or a robot.
type account struct {
	id, name, displayName, email string
	kind                         principal.Kind
	passwordHash                 string
	attributes                   map[string]string
	teamID, team                 string // of a robot
	disabledAt, signedInAt       time.Time
	createdAt, updatedAt         time.Time
	version                      int64
}

func (a account) target() access.Target {
	return access.Target{Kind: string(a.kind), ID: a.id, Name: a.name, TeamID: a.teamID, OwnerID: a.id, Attributes: a.attributes}
}

const accountColumns = `p.id, p.kind, p.name, p.display_name, p.email, p.password_hash, p.attributes,
	coalesce(p.team_id, ''), coalesce((SELECT t.name FROM teams t WHERE t.id = p.team_id), ''),
	p.disabled_at, p.signed_in_at, p.created_at, p.updated_at, p.version`

func scanAccount(r sqldb.Row) (account, error) {
	var a account
	var attributes string
	var disabled, signedIn sql.NullInt64
	var created, updated int64
	err := r.Scan(&a.id, &a.kind, &a.name, &a.displayName, &a.email, &a.passwordHash, &attributes, &a.teamID, &a.team,
		&disabled, &signedIn, &created, &updated, &a.version)
	if err != nil {
		return account{}, err
	}
	a.attributes = sqldb.ParseAttributes(attributes)
	a.disabledAt, a.signedInAt = sqldb.TimeOrZero(disabled), sqldb.TimeOrZero(signedIn)
	a.createdAt, a.updatedAt = sqldb.Time(created), sqldb.Time(updated)
	return a, nil
}

// account finds a user or robot by id or name; sql.ErrNoRows when there is none.
func (s store) account(ctx context.Context, q sqldb.Querier, ref string, kind principal.Kind) (account, error) {
	return scanAccount(q.QueryRowContext(ctx, `SELECT `+accountColumns+` FROM principals p WHERE (p.id = $1 OR p.name = $1) AND p.kind = $2`, ref, string(kind)))
}

// accountByID locks the row when lock is set.
func (s store) accountByID(ctx context.Context, q sqldb.Querier, id string, lock bool) (account, error) {
	query := `SELECT ` + accountColumns + ` FROM principals p WHERE p.id = $1`
	if lock && s.db.Dialect() == sqldb.Postgres {
		query += ` FOR UPDATE OF p`
	}
	return scanAccount(q.QueryRowContext(ctx, query, id))
}

func (s store) insertAccount(ctx context.Context, tx *sqldb.Tx, a account) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO principals (id, kind, name, display_name, email, attributes, team_id, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)`,
		a.id, string(a.kind), a.name, a.displayName, a.email, sqldb.Attributes(a.attributes), nullString(a.teamID), tx.Now().UnixMicro())
	return err
}

// updateAccount writes everything that may change of an account.
func (s store) updateAccount(ctx context.Context, tx *sqldb.Tx, a account) error {
	var disabled sql.NullInt64
	if !a.disabledAt.IsZero() {
		disabled = sql.NullInt64{Int64: a.disabledAt.UnixMicro(), Valid: true}
	}
	_, err := tx.ExecContext(ctx, `UPDATE principals SET display_name = $2, email = $3, password_hash = $4, attributes = $5,
		disabled_at = $6, updated_at = $7, version = version + 1 WHERE id = $1`,
		a.id, a.displayName, a.email, a.passwordHash, sqldb.Attributes(a.attributes), disabled, tx.Now().UnixMicro())
	return err
}

// binding is one role of one principal.
type binding struct {
	principalID, teamID, team string
	role                      principal.Role
}

func scanBinding(r sqldb.Row) (b binding, err error) {
	return b, r.Scan(&b.principalID, &b.teamID, &b.team, &b.role)
}

// bindings gives the roles of some principals; roles in deleted teams are none.
func (s store) bindings(ctx context.Context, q sqldb.Querier, ids ...string) ([]binding, error) {
	return sqldb.Collect(ctx, q, scanBinding, `SELECT b.principal_id, b.team_id, coalesce(t.name, ''), b.role
		FROM role_bindings b LEFT JOIN teams t ON t.id = b.team_id
		WHERE `+s.db.InArray("b.principal_id", "$1")+` AND (b.team_id = '' OR t.deleted_at IS NULL AND t.id IS NOT NULL)
		ORDER BY b.team_id, b.role`, sqldb.Strings(ids))
}

func (s store) bind(ctx context.Context, tx *sqldb.Tx, b binding, by string) (changed bool, err error) {
	r, err := tx.ExecContext(ctx, `INSERT INTO role_bindings (principal_id, team_id, role, created_at, created_by)
		VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, b.principalID, b.teamID, string(b.role), tx.Now().UnixMicro(), by)
	return affected(r, err)
}

func (s store) unbind(ctx context.Context, tx *sqldb.Tx, b binding) (changed bool, err error) {
	r, err := tx.ExecContext(ctx, `DELETE FROM role_bindings WHERE principal_id = $1 AND team_id = $2 AND role = $3`,
		b.principalID, b.teamID, string(b.role))
	return affected(r, err)
}

// holders gives the enabled users with a role, their rows locked: whoever
// else wants to take the last one away waits and sees it gone.
func (s store) holders(ctx context.Context, tx *sqldb.Tx, teamID string, role principal.Role) ([]string, error) {
	return sqldb.Collect(ctx, tx, sqldb.Text, `SELECT p.id FROM role_bindings b JOIN principals p ON p.id = b.principal_id
		WHERE b.team_id = $1 AND b.role = $2 AND p.kind = 'user' AND p.disabled_at IS NULL ORDER BY p.id`+s.db.ForUpdate(), teamID, string(role))
}

var members = sqldb.List[Member]{
	Select: `SELECT p.id, p.name, p.display_name, p.kind, p.disabled_at FROM principals p`,
	Scan: func(r sqldb.Row) (m Member, err error) {
		var disabled sql.NullInt64
		err = r.Scan(&m.ID, &m.Name, &m.DisplayName, &m.Kind, &disabled)
		m.Disabled = disabled.Valid
		return m, err
	},
	Orders:  map[string]sqldb.Order[Member]{"name": {Columns: []string{"p.name"}, Key: func(m Member) []any { return []any{m.Name} }}},
	Default: "name",
}

// members lists a team's members by name.
func (s store) members(ctx context.Context, q sqldb.Querier, teamID string, page sqldb.Page) ([]Member, string, error) {
	var w sqldb.Where
	w.And(`EXISTS (SELECT 1 FROM role_bindings b WHERE b.principal_id = p.id AND b.team_id = ?)`, teamID)
	members, next, err := members.Page(ctx, q, w, "", page)
	if err != nil {
		return nil, "", err
	}
	ids := make([]string, len(members))
	for i, m := range members {
		ids[i] = m.ID
	}
	bindings, err := s.bindings(ctx, q, ids...)
	if err != nil {
		return nil, "", err
	}
	for i := range members {
		members[i].Roles = []principal.Role{}
		for _, b := range bindings {
			if b.principalID == members[i].ID && b.teamID == teamID {
				members[i].Roles = append(members[i].Roles, b.role)
			}
		}
	}
	return members, next, nil
}

var accounts = sqldb.List[account]{
	Select: `SELECT ` + accountColumns + ` FROM principals p`, Scan: scanAccount, Default: "name",
	Orders: sqldb.Named("p", func(a account) (string, string, time.Time) { return a.id, a.name, a.updatedAt }),
}

var teams = sqldb.List[Team]{
	Select: `SELECT ` + teamColumns + ` FROM teams t`, Scan: scanTeam, Default: "name",
	Orders: sqldb.Named("t", func(t Team) (string, string, time.Time) { return t.ID, t.Name, t.UpdatedAt }),
}

const teamColumns = `t.id, t.name, t.title, t.attributes, t.created_at, t.updated_at, t.version`

func scanTeam(r sqldb.Row) (Team, error) {
	var t Team
	var attributes string
	var created, updated int64
	if err := r.Scan(&t.ID, &t.Name, &t.Title, &attributes, &created, &updated, &t.Version); err != nil {
		return Team{}, err
	}
	t.Attributes, t.CreatedAt, t.UpdatedAt = sqldb.ParseAttributes(attributes), sqldb.Time(created), sqldb.Time(updated)
	return t, nil
}

// team finds a team by id or name. In a transaction with lock it stays there
// until the commit.
func (s store) team(ctx context.Context, q sqldb.Querier, ref string, lock bool) (Team, error) {
	query := `SELECT ` + teamColumns + ` FROM teams t WHERE (t.id = $1 OR t.name = $1) AND t.deleted_at IS NULL`
	if lock {
		query += s.db.ForUpdate()
	}
	return scanTeam(q.QueryRowContext(ctx, query, ref))
}

// teamContents names what keeps a team from being deleted, a few of each.
func (s store) teamContents(ctx context.Context, tx *sqldb.Tx, id string) ([]string, error) {
	return sqldb.Collect(ctx, tx, sqldb.Text, `SELECT x.what FROM (
		SELECT 'project ' || name AS what FROM projects WHERE team_id = $1 AND deleted_at IS NULL
		UNION ALL SELECT 'robot ' || name FROM principals WHERE team_id = $1 AND disabled_at IS NULL) x ORDER BY x.what LIMIT 11`, id)
}

func affected(r sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := r.RowsAffected()
	return n > 0, err
}

func nullString(s string) sql.NullString { return sql.NullString{String: s, Valid: s != ""} }

func missing(err error) bool { return errors.Is(err, sql.ErrNoRows) }
