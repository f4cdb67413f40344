package access

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"fairlead/internal/sqldb"
)

// store is the table access_policies. Versions only ever get added.
type store struct{ db *sqldb.DB }

// Version is one stored version of the policies.
type Version struct {
	Version   int64
	Digest    string // SHA-256 of Source, hex
	Source    string // "" in lists
	Note      string
	CreatedAt time.Time
	CreatedBy string // principal's id
}

const versionColumns = `version, digest, source, note, created_at, created_by`

func scanVersion(r sqldb.Row) (Version, error) {
	var v Version
	var at int64
	err := r.Scan(&v.Version, &v.Digest, &v.Source, &v.Note, &at, &v.CreatedBy)
	v.CreatedAt = time.UnixMicro(at).UTC()
	return v, err
}

// newest gives the version in force; sql.ErrNoRows before the first start.
func (s store) newest(ctx context.Context, q sqldb.Querier) (Version, error) {
	v, err := scanVersion(q.QueryRowContext(ctx, `SELECT `+versionColumns+` FROM access_policies ORDER BY version DESC LIMIT 1`))
	if err != nil {
		return Version{}, fmt.Errorf("newest policies: %w", err)
	}
	return v, nil
}

// newestNumber is 0 before the first start.
func (s store) newestNumber(ctx context.Context, q sqldb.Querier) (int64, error) {
	var n int64
	err := q.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM access_policies`).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("newest policy version: %w", err)
	}
	return n, nil
}

func (s store) get(ctx context.Context, version int64) (Version, error) {
	v, err := scanVersion(s.db.Read().QueryRowContext(ctx, `SELECT `+versionColumns+` FROM access_policies WHERE version = $1`, version))
	if err != nil {
		return Version{}, fmt.Errorf("policies: %w", err)
	}
	return v, nil
}

// list gives versions below a version, newest first, without their text.
func (s store) list(ctx context.Context, below int64, limit int) ([]Version, error) {
	rows, err := s.db.Read().QueryContext(ctx, `SELECT version, digest, '', note, created_at, created_by
		FROM access_policies WHERE version < $1 ORDER BY version DESC LIMIT $2`, below, limit)
	if err != nil {
		return nil, fmt.Errorf("policy versions: %w", err)
	}
	defer rows.Close()
	var out []Version
	for rows.Next() {
		v, err := scanVersion(rows)
		if err != nil {
			return nil, fmt.Errorf("policy versions: %w", err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

func (s store) insert(ctx context.Context, tx *sqldb.Tx, v Version) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO access_policies (`+versionColumns+`) VALUES ($1, $2, $3, $4, $5, $6)`,
		v.Version, v.Digest, v.Source, v.Note, v.CreatedAt.UnixMicro(), v.CreatedBy)
	if err != nil {
		return fmt.Errorf("store policies: %w", err)
	}
	return nil
}

func noRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
