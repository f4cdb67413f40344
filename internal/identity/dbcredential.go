package identity

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"fairlead/internal/sqldb"
)

// tokenRow is a token with what recognition needs of it.
type tokenRow struct {
	Token
	method string
}

//nolint:gosec // names of columns
const tokenColumns = `k.id, k.name, k.hint, k.principal_id, p.name, p.kind, k.scopes, k.created_by, k.created_at, k.expires_at,
	k.last_used_at, k.revoked_at, k.method`

func scanToken(r sqldb.Row) (tokenRow, error) {
	var t tokenRow
	var scopes string
	var created, expires int64
	var used, revoked sql.NullInt64
	err := r.Scan(&t.ID, &t.Name, &t.Hint, &t.OwnerID, &t.Owner, &t.OwnerKind, &scopes, &t.CreatedBy, &created, &expires, &used, &revoked, &t.method)
	if err != nil {
		return tokenRow{}, err
	}
	if json.Unmarshal([]byte(scopes), &t.Scopes) != nil {
		t.Scopes = []string{"none:none"} // unreadable is not unlimited
	}
	t.CreatedAt, t.ExpiresAt, t.LastUsed, t.RevokedAt = sqldb.Time(created), sqldb.Time(expires), sqldb.TimeOrZero(used), sqldb.TimeOrZero(revoked)
	return t, nil
}

func (s store) tokenByDigest(ctx context.Context, q sqldb.Querier, digest string) (tokenRow, error) {
	return scanToken(q.QueryRowContext(ctx, `SELECT `+tokenColumns+` FROM tokens k JOIN principals p ON p.id = k.principal_id WHERE k.token_hash = $1`, digest))
}

func (s store) token(ctx context.Context, q sqldb.Querier, id string) (tokenRow, error) {
	return scanToken(q.QueryRowContext(ctx, `SELECT `+tokenColumns+` FROM tokens k JOIN principals p ON p.id = k.principal_id WHERE k.id = $1`, id))
}

func (s store) insertToken(ctx context.Context, tx *sqldb.Tx, t tokenRow, digest string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO tokens (id, token_hash, hint, principal_id, name, scopes, created_at, created_by, expires_at, method)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		t.ID, digest, t.Hint, t.OwnerID, t.Name, sqldb.Strings(t.Scopes), t.CreatedAt.UnixMicro(), t.CreatedBy, t.ExpiresAt.UnixMicro(), t.method)
	return err
}

func (s store) revokeToken(ctx context.Context, tx *sqldb.Tx, id string) (bool, error) {
	return affected(tx.ExecContext(ctx, `UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL`, id, tx.Now().UnixMicro()))
}

const sessionColumns = `s.id, s.principal_id, s.method, s.address, s.agent, s.created_at, s.last_seen_at, s.expires_at, s.revoked_at`

// sessionRow is a session with whether it has been ended.
type sessionRow struct {
	Session
	revoked bool
}

func scanSession(r sqldb.Row) (sessionRow, error) {
	var v sessionRow
	var created, seen, expires int64
	var revoked sql.NullInt64
	err := r.Scan(&v.ID, &v.PrincipalID, &v.Method, &v.Address, &v.Agent, &created, &seen, &expires, &revoked)
	v.CreatedAt, v.LastSeenAt, v.ExpiresAt, v.revoked = sqldb.Time(created), sqldb.Time(seen), sqldb.Time(expires), revoked.Valid
	return v, err
}

func (s store) sessionByDigest(ctx context.Context, q sqldb.Querier, digest string) (sessionRow, error) {
	return scanSession(q.QueryRowContext(ctx, `SELECT `+sessionColumns+` FROM sessions s WHERE s.token_hash = $1`, digest))
}

func (s store) session(ctx context.Context, q sqldb.Querier, id string) (sessionRow, error) {
	return scanSession(q.QueryRowContext(ctx, `SELECT `+sessionColumns+` FROM sessions s WHERE s.id = $1`, id))
}

func (s store) insertSession(ctx context.Context, tx *sqldb.Tx, v Session, digest string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO sessions (id, token_hash, principal_id, created_at, last_seen_at, expires_at, address, agent, method)
		VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8)`,
		v.ID, digest, v.PrincipalID, v.CreatedAt.UnixMicro(), v.ExpiresAt.UnixMicro(), v.Address, v.Agent, v.Method)
	return err
}

func (s store) revokeSession(ctx context.Context, tx *sqldb.Tx, id, principalID string) (bool, error) {
	return affected(tx.ExecContext(ctx, `UPDATE sessions SET revoked_at = $3 WHERE id = $1 AND principal_id = $2 AND revoked_at IS NULL`,
		id, principalID, tx.Now().UnixMicro()))
}

// revokeSessions ends all sessions of a principal but one.
func (s store) revokeSessions(ctx context.Context, tx *sqldb.Tx, principalID, but string) (int64, error) {
	r, err := tx.ExecContext(ctx, `UPDATE sessions SET revoked_at = $3 WHERE principal_id = $1 AND id <> $2 AND revoked_at IS NULL`,
		principalID, but, tx.Now().UnixMicro())
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func (s store) revokeTokens(ctx context.Context, tx *sqldb.Tx, principalID string) error {
	_, err := tx.ExecContext(ctx, `UPDATE tokens SET revoked_at = $2 WHERE principal_id = $1 AND revoked_at IS NULL`, principalID, tx.Now().UnixMicro())
	return err
}

func (s store) insertLink(ctx context.Context, tx *sqldb.Tx, l Link, principalID, by, digest string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO links (id, token_hash, principal_id, purpose, created_at, created_by, expires_at)
		VALUES ($1, $2, $3, 'sign-in', $4, $5, $6)`, l.ID, digest, principalID, tx.Now().UnixMicro(), by, l.ExpiresAt.UnixMicro())
	return err
}

// useLink spends a link, at most once whoever races, and gives whose it was.
func (s store) useLink(ctx context.Context, tx *sqldb.Tx, digest string) (id, principalID string, err error) {
	err = tx.QueryRowContext(ctx, `UPDATE links SET used_at = $2
		WHERE token_hash = $1 AND used_at IS NULL AND expires_at > $2 AND purpose = 'sign-in' RETURNING id, principal_id`,
		digest, tx.Now().UnixMicro()).Scan(&id, &principalID)
	return id, principalID, err
}

// voidLinks spends all other links of a principal.
func (s store) voidLinks(ctx context.Context, tx *sqldb.Tx, principalID string) error {
	_, err := tx.ExecContext(ctx, `UPDATE links SET used_at = $2 WHERE principal_id = $1 AND used_at IS NULL`, principalID, tx.Now().UnixMicro())
	return err
}

// touch writes down when credentials were last used; only ever forward.
func (s store) touch(ctx context.Context, tx *sqldb.Tx, tokens, sessions []string) error {
	now := tx.Now().UnixMicro()
	if len(tokens) > 0 {
		if _, err := tx.ExecContext(ctx, `UPDATE tokens SET last_used_at = $2 WHERE `+s.db.InArray("id", "$1"), sqldb.Strings(tokens), now); err != nil {
			return err
		}
	}
	if len(sessions) > 0 {
		if _, err := tx.ExecContext(ctx, `UPDATE sessions SET last_seen_at = $2 WHERE `+s.db.InArray("id", "$1"), sqldb.Strings(sessions), now); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what ended long ago. The audit log keeps what happened.
func (s store) sweep(ctx context.Context, tx *sqldb.Tx) error {
	week := tx.Now().Add(-7 * 24 * time.Hour).UnixMicro()
	day := tx.Now().Add(-24 * time.Hour).UnixMicro()
	if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at < $1 OR revoked_at < $1`, week); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM links WHERE expires_at < $1`, week); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM sign_in_attempts WHERE window_start < $1 AND blocked_until < $1`, day)
	return err
}

var tokens = sqldb.List[tokenRow]{
	Select: `SELECT ` + tokenColumns + ` FROM tokens k JOIN principals p ON p.id = k.principal_id`, Scan: scanToken, Default: "-created",
	Orders: map[string]sqldb.Order[tokenRow]{
		"name":    {Columns: []string{"k.name", "k.id"}, Key: func(t tokenRow) []any { return []any{t.Name, t.ID} }},
		"created": {Columns: []string{"k.id"}, Key: func(t tokenRow) []any { return []any{t.ID} }},
	},
}

var sessions = sqldb.List[sessionRow]{
	Select: `SELECT ` + sessionColumns + ` FROM sessions s`, Scan: scanSession, Default: "-created",
	Orders: map[string]sqldb.Order[sessionRow]{"created": {Columns: []string{"s.id"}, Key: func(v sessionRow) []any { return []any{v.ID} }}},
}
