package embedded

import (
	"context"
	"time"

	"fairlead/internal/sqldb"
)

// table is the store's SQL.
type table struct{ *sqldb.DB }

type row struct {
	id, owner, name, keyID string
	wrapped, ciphertext    []byte
}

func (t table) put(ctx context.Context, tx *sqldb.Tx, r row) error {
	return tx.Later(ctx, `INSERT INTO secrets (id, owner, name, key_id, wrapped_key, ciphertext, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (owner, name) DO UPDATE SET id = excluded.id, key_id = excluded.key_id,
			wrapped_key = excluded.wrapped_key, ciphertext = excluded.ciphertext, created_at = excluded.created_at`,
		r.id, r.owner, r.name, r.keyID, r.wrapped, r.ciphertext, tx.Now().UnixMicro())
}

const rowColumns = `id, owner, name, key_id, wrapped_key, ciphertext`

func scanRow(r sqldb.Row) (row, error) {
	var s row
	err := r.Scan(&s.id, &s.owner, &s.name, &s.keyID, &s.wrapped, &s.ciphertext)
	return s, err
}

func (t table) get(ctx context.Context, owner, name string) (row, error) {
	return scanRow(t.Read().QueryRowContext(ctx, `SELECT `+rowColumns+` FROM secrets WHERE owner = $1 AND name = $2`, owner, name))
}

func (t table) names(ctx context.Context, owner string) ([]string, error) {
	return sqldb.Collect(ctx, t.Read(), func(r sqldb.Row) (string, error) {
		var name string
		return name, r.Scan(&name)
	}, `SELECT name FROM secrets WHERE owner = $1 ORDER BY name`, owner)
}

func (t table) delete(ctx context.Context, tx *sqldb.Tx, owner string) error {
	_, err := tx.ExecContext(ctx, `DELETE FROM secrets WHERE owner = $1`, owner)
	return err
}

// count counts the secrets that another key than this one wraps.
func (t table) count(ctx context.Context, q sqldb.Querier, not string) (n int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM secrets WHERE key_id <> $1`, not).Scan(&n)
	return n, err
}

// wrappedOtherwise gives some secrets that another key wraps, after an id.
func (t table) wrappedOtherwise(ctx context.Context, active, after string, limit int) ([]row, error) {
	return sqldb.Collect(ctx, t.Read(), scanRow,
		`SELECT `+rowColumns+` FROM secrets WHERE key_id <> $1 AND id > $2 ORDER BY id LIMIT $3`, active, after, limit)
}

// rewrap replaces a wrapped data key, unless the secret was put anew.
func (t table) rewrap(ctx context.Context, tx *sqldb.Tx, old row, keyID string, wrapped []byte) error {
	_, err := tx.ExecContext(ctx, `UPDATE secrets SET key_id = $1, wrapped_key = $2 WHERE id = $3 AND key_id = $4`,
		keyID, wrapped, old.id, old.keyID)
	return err
}

func (t table) active(ctx context.Context, q sqldb.Querier) (id string, err error) {
	err = q.QueryRowContext(ctx, `SELECT key_id FROM master_keys WHERE retired_at IS NULL`).Scan(&id)
	return id, err
}

// stillActive fails the closure with sqldb.ErrAgain when another key is active
// than id, and tells so.
func (t table) stillActive(ctx context.Context, tx *sqldb.Tx, id string, not func()) error {
	return tx.SharedLaterRow(ctx, func(r sqldb.Row) error {
		var is bool
		err := r.Scan(&is)
		if err == nil && !is {
			not()
			err = sqldb.ErrAgain
		}
		return err
	}, `SELECT EXISTS (SELECT 1 FROM master_keys WHERE key_id = $1 AND retired_at IS NULL)`, id)
}

func (t table) announced(ctx context.Context, q sqldb.Querier, id string) (by string, wrapped []byte, err error) {
	err = q.QueryRowContext(ctx, `SELECT wrapped_by, wrapped FROM master_keys WHERE key_id = $1`, id).Scan(&by, &wrapped)
	return by, wrapped, err
}

func (t table) addKey(ctx context.Context, tx *sqldb.Tx, id, by string, wrapped []byte) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO master_keys (key_id, wrapped_by, wrapped, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (key_id) DO UPDATE SET wrapped_by = excluded.wrapped_by, wrapped = excluded.wrapped,
			created_at = excluded.created_at, retired_at = NULL`, id, by, wrapped, tx.Now().UnixMicro())
	return err
}

func (t table) retire(ctx context.Context, tx *sqldb.Tx, id string) (bool, error) {
	res, err := tx.ExecContext(ctx, `UPDATE master_keys SET retired_at = $1 WHERE key_id = $2 AND retired_at IS NULL`, tx.Now().UnixMicro(), id)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

type masterKey struct {
	id      string
	created time.Time
	retired time.Time // zero: active
}

func (t table) masterKeys(ctx context.Context, q sqldb.Querier) ([]masterKey, error) {
	return sqldb.Collect(ctx, q, func(r sqldb.Row) (masterKey, error) {
		var k masterKey
		var created int64
		var retired *int64
		err := r.Scan(&k.id, &created, &retired)
		k.created = time.UnixMicro(created).UTC()
		if retired != nil {
			k.retired = time.UnixMicro(*retired).UTC()
		}
		return k, err
	}, `SELECT key_id, created_at, retired_at FROM master_keys ORDER BY created_at, key_id`)
}

// forgetRetired removes the keys retired before a time that wrap nothing any
// more, and then the announcement of the active one. It tells whether it did.
func (t table) forgetRetired(ctx context.Context, tx *sqldb.Tx, before time.Time) (bool, error) {
	res, err := tx.ExecContext(ctx, `DELETE FROM master_keys WHERE retired_at IS NOT NULL AND retired_at <= $1
		AND NOT EXISTS (SELECT 1 FROM secrets WHERE secrets.key_id = master_keys.key_id)`, before.UnixMicro())
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	if err != nil || n == 0 {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE master_keys SET wrapped_by = '', wrapped = NULL
		WHERE wrapped_by <> '' AND wrapped_by NOT IN (SELECT key_id FROM master_keys)`)
	return true, err
}
