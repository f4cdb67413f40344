package sqldb

import (
	"context"
	"database/sql/driver"
	"fmt"
)

// statements are those that are prepared on one of SQLite's connections, by
// their text.
type statements map[string]driver.Stmt

// of gives the statement of a query on conn, and whether it is kept; who gets
// one that is not closes it.
func (k statements) of(ctx context.Context, conn any, query string) (s driver.Stmt, keep bool, err error) {
	if s := k[query]; s != nil {
		return s, true, nil
	}
	prepares, ok := conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, false, fmt.Errorf("sqldb: the driver's connection is a %T", conn)
	}
	if s, err = prepares.PrepareContext(ctx, query); err != nil {
		return nil, false, err
	}
	if keep = len(query) <= maxPreparedSQL && len(k) < maxPrepared; keep {
		k[query] = s
	}
	return s, keep, nil
}

// close lets go of them: a connection that has some left stays open behind its
// closing. Nothing must run any more.
func (k statements) close() (err error) {
	for query, s := range k {
		if e := s.Close(); err == nil {
			err = e
		}
		delete(k, query)
	}
	return err
}

// ask runs a statement that gives rows.
func ask(ctx context.Context, s driver.Stmt, values []driver.NamedValue) (driver.Rows, error) {
	q, ok := s.(driver.StmtQueryContext)
	if !ok {
		return nil, fmt.Errorf("sqldb: the driver's statement is a %T", s)
	}
	return q.QueryContext(ctx, values)
}

// bound gives arguments as the driver takes them.
func bound(args []any) ([]driver.NamedValue, error) {
	values := make([]driver.NamedValue, len(args))
	for i, a := range args {
		v, err := driver.DefaultParameterConverter.ConvertValue(a)
		if err != nil {
			return nil, fmt.Errorf("sqldb: argument %d: %w", i+1, err)
		}
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return values, nil
}
