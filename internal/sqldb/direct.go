package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// direct keeps the prepared statements of SQLite's one write connection and
// runs them without database/sql in between, which takes as long for a small
// statement as a third of the statement. It belongs to the commit loop.
type direct struct {
	on    any // the driver's connection that known is prepared on
	known map[string]driver.Stmt
}

// exec runs a statement that gives no rows on conn, which has a transaction open.
func (d *direct) exec(ctx context.Context, conn *sql.Conn, query string, args []any) (sql.Result, error) {
	var result sql.Result
	err := d.run(ctx, conn, query, args, func(s driver.Stmt, values []driver.NamedValue) error {
		run, ok := s.(driver.StmtExecContext)
		if !ok {
			return fmt.Errorf("sqldb: the driver's statement is a %T", s)
		}
		var err error
		result, err = run.ExecContext(ctx, values)
		return err
	})
	return result, err
}

// row runs a query for its first row.
func (d *direct) row(ctx context.Context, conn *sql.Conn, query string, args []any) (values directRow, err error) {
	err = d.run(ctx, conn, query, args, func(s driver.Stmt, args []driver.NamedValue) error {
		ask, ok := s.(driver.StmtQueryContext)
		if !ok {
			return fmt.Errorf("sqldb: the driver's statement is a %T", s)
		}
		rows, err := ask.QueryContext(ctx, args)
		if err != nil {
			return err
		}
		values = make(directRow, len(rows.Columns()))
		err = rows.Next(values)
		if errors.Is(err, io.EOF) {
			err = sql.ErrNoRows
		}
		if e := rows.Close(); err == nil {
			err = e
		}
		return err
	})
	return values, err
}

func (d *direct) run(ctx context.Context, conn *sql.Conn, query string, args []any, do func(driver.Stmt, []driver.NamedValue) error) error {
	values := make([]driver.NamedValue, len(args))
	for i, a := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil {
			return fmt.Errorf("sqldb: argument %d: %w", i+1, err)
		}
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return conn.Raw(func(on any) error {
		s, keep, err := d.statement(ctx, on, query)
		if err != nil {
			return err
		}
		if !keep {
			defer func() { _ = s.Close() }()
		}
		return do(s, values)
	})
}

// statement gives the statement of a query, and whether it is kept.
func (d *direct) statement(ctx context.Context, on any, query string) (s driver.Stmt, keep bool, err error) {
	if d.on != on {
		d.on, d.known = on, map[string]driver.Stmt{}
	}
	if s := d.known[query]; s != nil {
		return s, true, nil
	}
	conn, ok := on.(driver.ConnPrepareContext)
	if !ok {
		return nil, false, fmt.Errorf("sqldb: the driver's connection is a %T", on)
	}
	if s, err = conn.PrepareContext(ctx, query); err != nil {
		return nil, false, err
	}
	if keep = len(query) <= maxPreparedSQL && len(d.known) < maxPrepared; keep {
		d.known[query] = s
	}
	return s, keep, nil
}

// close lets go of the statements: a connection that has some left stays open
// behind its closing. Nothing must run any more.
func (d *direct) close(pool *sql.DB) error {
	if len(d.known) == 0 {
		return nil
	}
	conn, err := pool.Conn(context.Background())
	if err != nil {
		return err
	}
	err = conn.Raw(func(on any) error {
		if on != d.on {
			return nil // they went with another connection
		}
		for _, s := range d.known {
			if e := s.Close(); e != nil && err == nil {
				err = e
			}
		}
		d.known = nil
		return err
	})
	if e := conn.Close(); err == nil {
		err = e
	}
	return err
}
