package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"slices"
)

// Querier is what a query can run on: the read pool or a write transaction.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) Row
}

// Row is one row, or sql.ErrNoRows from Scan.
type Row interface{ Scan(dest ...any) error }

// Reader runs queries on the read pool. Each sees the newest commit.
type Reader struct {
	pool   *sql.DB
	direct *readers // nil on PostgreSQL
}

// Read gives the read pool. ExecContext on it fails on SQLite and must not be
// used on PostgreSQL: writes go through Write.
func (db *DB) Read() Reader { return Reader{db.read, db.readers} }

// Brief is ctx for a statement that an index answers at once: it is over sooner
// than it could be stopped, and to be able to costs it two goroutines. On
// PostgreSQL, which may be out of reach, and once ctx has ended, it is ctx.
// Whoever waits for a connection with it does not give up: use it for nothing
// that is asked for while rows of another statement are open.
func (db *DB) Brief(ctx context.Context) context.Context {
	if db.dialect != SQLite || ctx.Err() != nil {
		return ctx
	}
	return context.WithoutCancel(ctx)
}

// ExecContext implements Querier.
func (r Reader) ExecContext(context.Context, string, ...any) (sql.Result, error) {
	return nil, errors.New("sqldb: Exec on the read pool; use DB.Write")
}

// QueryContext implements Querier. Collect costs less.
func (r Reader) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	rows, err := r.pool.QueryContext(ctx, query, args...)
	return rows, translate(err)
}

// QueryRowContext implements Querier.
func (r Reader) QueryRowContext(ctx context.Context, query string, args ...any) Row {
	if r.direct == nil {
		return readRow{r.pool.QueryRowContext(ctx, query, args...)}
	}
	row, err := r.direct.row(ctx, query, args)
	if err != nil {
		return failedRow{translate(err)}
	}
	return row
}

type readRow struct{ *sql.Row }

func (r readRow) Scan(dest ...any) error { return translate(r.Row.Scan(dest...)) }

// Collect runs a query and scans each row; it closes the rows. The result is
// never nil, so that it marshals as an empty list.
func Collect[T any](ctx context.Context, q Querier, scan func(Row) (T, error), query string, args ...any) ([]T, error) {
	return collect(ctx, q, scan, 0, query, args...)
}

// collect is Collect of about so many rows: a page of large ones is not copied
// again and again while it grows.
func collect[T any](ctx context.Context, q Querier, scan func(Row) (T, error), about int, query string, args ...any) ([]T, error) {
	out := []T{}
	var unread error // scan's own, which is not the database's
	one := func(row Row) error {
		v, err := scan(row)
		if unread = err; err != nil {
			return err
		}
		if len(out) == 1 {
			out = slices.Grow(out, about)
		}
		out = append(out, v)
		return nil
	}
	if r, ok := q.(Reader); ok && r.direct != nil {
		err := r.direct.each(ctx, query, args, one)
		if unread != nil {
			return nil, unread
		}
		if err != nil {
			return nil, translate(err)
		}
		return out, nil
	}
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		if err := one(rows); err != nil {
			return nil, err
		}
	}
	return out, translate(rows.Err())
}

// Page asks for a part of a list, by key and not by number: what was inserted
// before it meanwhile shifts nothing.
type Page struct {
	Limit int    // at most this many; the service bounds it to 1..200, 0 is 50
	After string // the sort key of the last item seen; "" starts
}

// Size is the bounded limit.
func (p Page) Size() int {
	switch {
	case p.Limit <= 0:
		return 50
	case p.Limit > 200:
		return 200
	}
	return p.Limit
}
