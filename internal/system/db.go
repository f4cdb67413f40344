package system

import (
	"context"
	"encoding/json"
	"os"
	"time"

	"fairlead/internal/sqldb"
)

type store struct{ db *sqldb.DB }

// now asks the database, so that the answer's time says how it is.
func (s store) now(ctx context.Context) (time.Time, error) {
	var one int
	if err := s.db.Read().QueryRowContext(ctx, `SELECT 1`).Scan(&one); err != nil {
		return time.Time{}, err
	}
	return s.db.Now(ctx)
}

// beat writes that a server is alive. What was there before it in its data
// directory is its own past; so is everything, when no other can be on the
// store. What nobody has heard of for long is forgotten.
func (s store) beat(ctx context.Context, tx *sqldb.Tx, v Server, alone bool) error {
	report, err := json.Marshal(v.Report)
	if err != nil {
		return err
	}
	now := tx.Now()
	old, args := `seen_at < $2 OR (host = $3 AND data = $4)`, []any{v.ID, now.Add(-keepFor).UnixMicro(), v.Host, v.Data}
	if alone {
		old, args = `TRUE`, args[:1]
	}
	if err := tx.Later(ctx, `DELETE FROM replicas WHERE id <> $1 AND (`+old+`)`, args...); err != nil {
		return err
	}
	return tx.Later(ctx, `INSERT INTO replicas (id, host, address, data, version, holder, started_at, seen_at, report) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)
		ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, report = excluded.report`,
		v.ID, v.Host, v.Address, v.Data, v.Version, v.Holder, now.UnixMicro(), string(report))
}

// servers gives every server that is known, the newest first.
func (s store) servers(ctx context.Context) ([]Server, error) {
	return sqldb.Collect(ctx, s.db.Read(), func(r sqldb.Row) (v Server, err error) {
		var started, seen int64
		var report string
		if err = r.Scan(&v.ID, &v.Host, &v.Address, &v.Data, &v.Version, &v.Holder, &started, &seen, &report); err != nil {
			return v, err
		}
		v.StartedAt, v.SeenAt = sqldb.Time(started), sqldb.Time(seen)
		return v, json.Unmarshal([]byte(report), &v.Report)
	}, `SELECT id, host, address, data, version, holder, started_at, seen_at, report FROM replicas ORDER BY started_at DESC, id LIMIT 200`)
}

// size is how many bytes the store takes, SQLite's log included.
func (s store) size(ctx context.Context) (int64, error) {
	if path := s.db.Path(); path != "" {
		st, err := os.Stat(path)
		if err != nil {
			return 0, err
		}
		size := st.Size()
		if log, err := os.Stat(path + "-wal"); err == nil {
			size += log.Size()
		}
		return size, nil
	}
	var n int64
	return n, s.db.Read().QueryRowContext(ctx, `SELECT pg_database_size(current_database())`).Scan(&n)
}
