package backup

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
)

// snapshot is the store as it was at one moment, in one transaction.
type snapshot struct {
	pool    *sql.DB
	tx      *sql.Tx
	dialect sqldb.Dialect
}

// takeSnapshot freezes a view of the running store. Of PostgreSQL that is a
// repeatable-read transaction; of SQLite a copy, so that a slow reader of the
// backup does not keep the write-ahead log from being folded in.
func takeSnapshot(ctx context.Context, db *sqldb.DB) (*snapshot, error) {
	s := &snapshot{dialect: db.Dialect()}
	var err error
	if s.dialect == sqldb.SQLite {
		s.pool, err = copySQLite(ctx, db.Path())
	} else {
		s.pool, err = openPostgres(db.URL())
	}
	if err != nil {
		return nil, err
	}
	o := &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	if s.dialect == sqldb.SQLite {
		o = nil // the copy is ours alone
	}
	if s.tx, err = s.pool.BeginTx(ctx, o); err == nil {
		_, err = s.tx.ExecContext(ctx, `SELECT 1`) // the view is fixed by the first statement
	}
	if err != nil {
		s.close()
		return nil, unavailable(err)
	}
	return s, nil
}

func unavailable(err error) error {
	return fault.New(fault.Unavailable, "backup_unavailable", "the store cannot be read for a backup now").
		WithHint("check the store and the free space, and try again").WithRetryAfter(10).WithCause(err)
}

func openSQLite(path, query string) (*sql.DB, error) {
	pool, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: path, RawQuery: query}).String())
	if err != nil {
		return nil, unavailable(err)
	}
	pool.SetMaxOpenConns(1)
	return pool, nil
}

// copySQLite copies the file and opens the copy, which has no name any more
// then: whatever happens, the disk gets its room back.
func copySQLite(ctx context.Context, path string) (*sql.DB, error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".backup-*") // mode 0600
	if err != nil {
		return nil, unavailable(err)
	}
	defer os.Remove(f.Name())
	if err := f.Close(); err != nil {
		return nil, unavailable(err)
	}
	live, err := openSQLite(path, "_pragma=busy_timeout(10000)")
	if err != nil {
		return nil, err
	}
	defer live.Close()
	failpoint.Hit("backup.copy.before")
	if _, err := live.ExecContext(ctx, `VACUUM INTO ?`, f.Name()); err != nil {
		return nil, unavailable(err)
	}
	failpoint.Hit("backup.copy.after")
	pool, err := openSQLite(f.Name(), "immutable=1&mode=ro")
	if err != nil {
		return nil, err
	}
	if err := pool.PingContext(ctx); err != nil {
		pool.Close()
		return nil, unavailable(err)
	}
	return pool, nil
}

func openPostgres(u string) (*sql.DB, error) {
	cfg, err := pgx.ParseConfig(u)
	if err != nil { // its text may repeat the URL, with the password
		return nil, fault.New(fault.Invalid, "invalid_store_url", "the store's URL cannot be read")
	}
	cfg.RuntimeParams["application_name"] = "fairlead backup"
	pool := stdlib.OpenDB(*cfg)
	pool.SetMaxOpenConns(1)
	return pool, nil
}

func (s *snapshot) close() {
	if s.tx != nil {
		_ = s.tx.Rollback()
	}
	_ = s.pool.Close()
}

// migrationsTable is the migrations' own, and no data.
const migrationsTable = "goose_db_version"

// tables lists a store's tables, each after those that it refers to.
func tables(ctx context.Context, q querier, d sqldb.Dialect) ([]string, error) {
	list := `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' AND name <> $1 ORDER BY name`
	refs := `SELECT m.name, f."table" FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`
	if d == sqldb.Postgres {
		list = `SELECT table_name::text FROM information_schema.tables WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' AND table_name <> $1 ORDER BY 1`
		refs = `SELECT a.relname::text, b.relname::text FROM pg_constraint c JOIN pg_class a ON a.oid = c.conrelid JOIN pg_class b ON b.oid = c.confrelid
			WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace`
	}
	names, err := sqldb.Collect(ctx, q, func(r sqldb.Row) (string, error) {
		var n string
		return n, r.Scan(&n)
	}, list, migrationsTable)
	if err != nil {
		return nil, err
	}
	edges, err := sqldb.Collect(ctx, q, func(r sqldb.Row) ([2]string, error) {
		var e [2]string
		return e, r.Scan(&e[0], &e[1])
	}, refs)
	if err != nil {
		return nil, err
	}
	return inOrder(names, edges)
}

// inOrder sorts names so that the second of each edge comes before the first.
func inOrder(names []string, edges [][2]string) ([]string, error) {
	var out []string
	for len(out) < len(names) {
		before := len(out)
		for _, n := range names {
			waits := slices.ContainsFunc(edges, func(e [2]string) bool {
				return e[0] == n && e[1] != n && !slices.Contains(out, e[1])
			})
			if !waits && !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
		if len(out) == before {
			return nil, errors.New("backup: tables refer to each other in a circle")
		}
	}
	return out, nil
}

func schemaVersion(ctx context.Context, q querier) (v int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT max(version_id) FROM `+migrationsTable).Scan(&v)
	return v, err
}

// querier lets the functions of other packages run in a transaction here.
type querier struct{ *sql.Tx }

func (q querier) QueryRowContext(ctx context.Context, query string, args ...any) sqldb.Row {
	return q.Tx.QueryRowContext(ctx, query, args...)
}

func quoted(name string) (string, error) {
	if !identifier().MatchString(name) {
		return "", fmt.Errorf("backup: odd name %q", name)
	}
	return `"` + name + `"`, nil
}
