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
	known statements
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
		rows, err := ask(ctx, s, args)
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
	values, err := bound(args)
	if err != nil {
		return err
	}
	return conn.Raw(func(on any) error {
		if d.on != on {
			d.on, d.known = on, statements{}
		}
		s, keep, err := d.known.of(ctx, on, query)
		if err != nil {
			return err
		}
		if !keep {
			defer func() { _ = s.Close() }()
		}
		return do(s, values)
	})
}

// close lets go of the statements; pool is the connection's.
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
		return d.known.close()
	})
	if e := conn.Close(); err == nil {
		err = e
	}
	return err
}
