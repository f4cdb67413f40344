package iacstate

import (
	"context"
	"encoding/json"

	"fairlead/internal/sqldb"
)

// table is the SQL of the store.
type table struct{ *sqldb.DB }

type row struct {
	Meta
	lockID, lockInfo string
	lockEpoch        int64
}

func (r row) holder() Lock {
	l := Lock{ID: r.lockID}
	_ = json.Unmarshal([]byte(r.lockInfo), &l) // what it said of itself; its id is enough
	return l
}

func (r row) meta() Meta {
	m := r.Meta
	if r.lockID != "" {
		l := r.holder()
		m.Lock = &l
	}
	return m
}

func (t table) row(ctx context.Context, q sqldb.Querier, state, suffix string) (r row, err error) {
	var at int64
	err = q.QueryRowContext(ctx, `SELECT epoch, version, serial, lineage, digest, objects, lock_id, lock_info, lock_epoch, updated_at
		FROM iac_states WHERE id = $1`+suffix, state).
		Scan(&r.Epoch, &r.Version, &r.Serial, &r.Lineage, &r.Digest, &r.Objects, &r.lockID, &r.lockInfo, &r.lockEpoch, &at)
	r.UpdatedAt = sqldb.Time(at)
	return r, err
}

// lock gives the row for this transaction alone, which it makes when there is
// none.
func (t table) lock(ctx context.Context, tx *sqldb.Tx, state string) (row, error) {
	if err := tx.Later(ctx, `INSERT INTO iac_states (id, updated_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`, state, tx.Now().UnixMicro()); err != nil {
		return row{}, err
	}
	return t.row(ctx, tx, state, t.ForUpdate())
}

func (t table) claim(ctx context.Context, tx *sqldb.Tx, state string, epoch int64) error {
	return tx.Later(ctx, `UPDATE iac_states SET epoch = $2, lock_id = '', lock_info = '', lock_epoch = 0, updated_at = $3 WHERE id = $1`,
		state, epoch, tx.Now().UnixMicro())
}

func (t table) setLock(ctx context.Context, tx *sqldb.Tx, state, id, info string, epoch int64) error {
	return tx.Later(ctx, `UPDATE iac_states SET lock_id = $2, lock_info = $3, lock_epoch = $4, updated_at = $5 WHERE id = $1`,
		state, id, info, epoch, tx.Now().UnixMicro())
}

// add makes a version and has it be the current one.
func (t table) add(ctx context.Context, tx *sqldb.Tx, state string, m Meta, run string, size int64, sealed []byte) error {
	if err := tx.Later(ctx, `UPDATE iac_states SET version = $2, serial = $3, lineage = $4, digest = $5, objects = $6, updated_at = $7 WHERE id = $1`,
		state, m.Version, m.Serial, m.Lineage, m.Digest, m.Objects, m.UpdatedAt.UnixMicro()); err != nil {
		return err
	}
	return t.put(ctx, tx, state, m, run, size, sealed)
}

// put makes a version. The epoch of its Meta is that of who wrote it.
func (t table) put(ctx context.Context, tx *sqldb.Tx, state string, m Meta, run string, size int64, sealed []byte) error {
	if err := tx.Later(ctx, `INSERT INTO iac_state_versions (state, version, serial, lineage, size, run, body, created_at, epoch) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		state, m.Version, m.Serial, m.Lineage, size, run, sealed, m.UpdatedAt.UnixMicro(), m.Epoch); err != nil {
		return err
	}
	return tx.Later(ctx, `DELETE FROM iac_state_versions WHERE state = $1 AND version <= $2`, state, m.Version-Kept)
}

func (t table) forget(ctx context.Context, tx *sqldb.Tx, state string) error {
	if err := tx.Later(ctx, `DELETE FROM iac_state_versions WHERE state = $1`, state); err != nil {
		return err
	}
	return tx.Later(ctx, `UPDATE iac_states SET version = 0, serial = 0, lineage = '', digest = '', objects = 0, lock_id = '', lock_info = '', lock_epoch = 0, updated_at = $2
		WHERE id = $1`, state, tx.Now().UnixMicro())
}

func (t table) ofLineage(ctx context.Context, lineage, not string) (string, error) {
	list, err := sqldb.Collect(ctx, t.Read(), sqldb.Text, `SELECT id FROM iac_states WHERE lineage = $1 AND id <> $2 AND version > 0 LIMIT 1`, lineage, not)
	if err != nil || len(list) == 0 {
		return "", err
	}
	return list[0], nil
}

// writer is the claim that wrote a version; 0 when that was not noted.
func (t table) writer(ctx context.Context, tx *sqldb.Tx, state string, version int64) (epoch int64, err error) {
	err = tx.QueryRowContext(ctx, `SELECT epoch FROM iac_state_versions WHERE state = $1 AND version = $2`, state, version).Scan(&epoch)
	return epoch, err
}

const versionColumns = `version, serial, lineage, size, run, created_at`

func (t table) version(ctx context.Context, q sqldb.Querier, state string, version int64) (v Version, sealed []byte, err error) {
	var at int64
	err = q.QueryRowContext(ctx, `SELECT `+versionColumns+`, body FROM iac_state_versions WHERE state = $1 AND version = $2`, state, version).
		Scan(&v.Version, &v.Serial, &v.Lineage, &v.Size, &v.Run, &at, &sealed)
	v.CreatedAt = sqldb.Time(at)
	return v, sealed, err
}

func scanVersion(r sqldb.Row) (v Version, err error) {
	var at int64
	err = r.Scan(&v.Version, &v.Serial, &v.Lineage, &v.Size, &v.Run, &at)
	v.CreatedAt = sqldb.Time(at)
	return v, err
}
