package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// pipe is a PostgreSQL connection on which statements can wait: those that
// nobody looks at the answer of travel with the next one that somebody does.
// On a database across a network, and on a busy machine, the way there and
// back costs more than most statements do.
type pipe struct {
	*stdlib.Conn
	waiting []deferred
}

// deferred is a statement that waits; row, unless nil, is given its one row, or
// shared is told it.
type deferred struct {
	query  string
	args   []any
	row    func(Row) error
	shared *question
}

// pipeConnector makes every connection of a pool a pipe.
type pipeConnector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c pipeConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	pg, ok := conn.(*stdlib.Conn)
	if !ok {
		return nil, fmt.Errorf("sqldb: the driver gave a %T", conn)
	}
	return &pipe{Conn: pg}, nil
}

// What database/sql hands to a connection is a text and values, so these two
// values, alone and without a text, ask for what it has no call for: to keep a
// statement, and to send or drop those that are kept.
type settle struct{ drop bool }

// ExecContext implements driver.ExecerContext.
func (p *pipe) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if query == "" && len(args) == 1 {
		switch v := args[0].Value.(type) {
		case deferred:
			p.waiting = append(p.waiting, v)
			return driver.RowsAffected(0), nil
		case settle:
			if v.drop {
				p.waiting = p.waiting[:0]
			}
			return driver.RowsAffected(0), p.send(ctx, nil)
		}
	}
	if len(p.waiting) == 0 {
		return p.Conn.ExecContext(ctx, query, args)
	}
	var affected int64
	err := p.send(ctx, func(b *pgx.Batch) func() error {
		b.Queue(query, plain(args)...).Exec(func(tag pgconn.CommandTag) error {
			affected = tag.RowsAffected()
			return nil
		})
		return nil
	})
	return driver.RowsAffected(affected), err
}

// QueryContext implements driver.QueryerContext.
func (p *pipe) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if len(p.waiting) == 0 {
		return p.Conn.QueryContext(ctx, query, args)
	}
	found := &answer{}
	err := p.send(ctx, func(b *pgx.Batch) func() error {
		b.Queue(query, plain(args)...).Query(found.read)
		return func() error { return found.err }
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

func plain(args []driver.NamedValue) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = a.Value
	}
	return out
}

// send sends what waits and then, unless nil, one more; what last returns is
// called when all was answered. The first error ends it: what comes after a
// statement that failed is not run by the server either.
func (p *pipe) send(ctx context.Context, last func(*pgx.Batch) func() error) error {
	if len(p.waiting) == 0 && last == nil {
		return nil
	}
	b := &pgx.Batch{}
	var said error
	done := 0 // statements that were answered: after one that failed, the others are told its error
	for i, d := range p.waiting {
		q := b.Queue(d.query, d.args...)
		// An error of ours must not end the reading.
		if d.shared != nil {
			q.Query(func(rows pgx.Rows) error {
				found := &answer{}
				if err := found.read(rows); err != nil {
					return err
				}
				done++
				var row directRow
				if len(found.rows) > 0 {
					row = found.rows[0]
				}
				if err := errors.Join(found.err, d.shared.told(row)); said == nil {
					said = err
				}
				return nil
			})
			continue
		}
		if d.row == nil {
			q.Exec(func(pgconn.CommandTag) error { done++; return nil })
			continue
		}
		q.QueryRow(func(row pgx.Row) error {
			err := d.row(row)
			if done == i {
				done++
				if err != nil && said == nil {
					said = err
				}
			}
			return nil
		})
	}
	p.waiting = p.waiting[:0]
	var end func() error
	if last != nil {
		end = last(b)
	}
	if err := p.Conn.Conn().SendBatch(ctx, b).Close(); err != nil && said == nil {
		return err
	}
	if said != nil || end == nil {
		return said
	}
	return end()
}

// BeginTx implements driver.ConnBeginTx.
func (p *pipe) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	p.waiting = p.waiting[:0]
	tx, err := p.Conn.BeginTx(ctx, o)
	if err != nil {
		return nil, err
	}
	return &pipeTx{tx, p, ctx}, nil
}

type pipeTx struct {
	driver.Tx
	p   *pipe
	ctx context.Context
}

// Commit implements driver.Tx; nothing that waits is left out.
func (t *pipeTx) Commit() error {
	if err := t.p.send(t.ctx, nil); err != nil {
		_ = t.Tx.Rollback()
		return err
	}
	return t.Tx.Commit()
}

// Rollback implements driver.Tx.
func (t *pipeTx) Rollback() error {
	t.p.waiting = t.p.waiting[:0]
	return t.Tx.Rollback()
}

// answer is the rows of a statement that was sent along with others; they are
// all here, for the connection must be free for the next.
type answer struct {
	columns []string
	rows    [][]driver.Value
	err     error
}

func (a *answer) read(rows pgx.Rows) error {
	for _, f := range rows.FieldDescriptions() {
		a.columns = append(a.columns, f.Name)
	}
	for rows.Next() {
		values, err := rows.Values()
		row := make([]driver.Value, len(values))
		for i := 0; i < len(values) && err == nil; i++ {
			row[i], err = driverValue(values[i])
		}
		if err != nil && a.err == nil {
			a.err = err
		}
		a.rows = append(a.rows, row)
	}
	return rows.Err()
}

// driverValue gives v as database/sql knows values.
func driverValue(v any) (driver.Value, error) {
	switch v := v.(type) {
	case int32:
		return int64(v), nil
	case int16:
		return int64(v), nil
	case driver.Valuer:
		return v.Value()
	}
	if !driver.IsValue(v) {
		return nil, fmt.Errorf("sqldb: a column of type %T is not foreseen", v)
	}
	return v, nil
}

// Columns implements driver.Rows.
func (a *answer) Columns() []string { return a.columns }

// Close implements driver.Rows.
func (a *answer) Close() error { return nil }

// Next implements driver.Rows.
func (a *answer) Next(dest []driver.Value) error {
	if len(a.rows) == 0 {
		return io.EOF
	}
	copy(dest, a.rows[0])
	a.rows = a.rows[1:]
	return nil
}
