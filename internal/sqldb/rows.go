package sqldb

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Rows is a table as Tx.Add adds rows to it.
type Rows struct {
	table   string
	names   []string
	types   []string // as PostgreSQL calls them: text, bigint, bytea
	head    string   // INSERT INTO …
	single  string
	arrays  string // many rows, on PostgreSQL
	perSize map[int]string
}

// NewRows gives a table to add rows to. Each column is "name type", the type
// being text, bigint or bytea; none takes NULL, and those that are not named
// take their default.
func NewRows(table string, columns ...string) *Rows {
	r := &Rows{table: table, perSize: map[int]string{}}
	marks, arrays := make([]string, len(columns)), make([]string, len(columns))
	for i, c := range columns {
		name, kind, _ := strings.Cut(c, " ")
		r.names, r.types = append(r.names, name), append(r.types, kind)
		marks[i] = "$" + strconv.Itoa(i+1)
		arrays[i] = marks[i] + "::" + kind + "[]"
	}
	r.head = "INSERT INTO " + table + " (" + strings.Join(r.names, ", ") + ") "
	r.single = r.head + "VALUES (" + strings.Join(marks, ", ") + ")"
	r.arrays = r.head + "SELECT * FROM unnest(" + strings.Join(arrays, ", ") + ")"
	// SQLite keeps statements by their text, so there are few sizes, none of
	// which is too long to be kept. It takes a numbered placeholder for a name
	// and looks each up among all the others: of many, it is given bare ones.
	row := "(" + strings.Repeat("?, ", len(columns)-1) + "?)"
	for n := 2; n <= 64 && len(r.head)+n*(len(row)+2) < maxPreparedSQL; n *= 2 {
		r.perSize[n] = r.head + "VALUES " + strings.Repeat(row+", ", n-1) + row
	}
	return r
}

// added are rows that are not written yet.
type added struct {
	into *Rows
	rows [][]any
	fail func(error) error // of the one row, when it was given
}

// Add adds a row that nobody waits for to a table. It is written with those
// that the other closures of the group add to it, in one statement: at the
// latest before the commit, and before any statement of the group that names
// the table. Rows of different tables are written in the order in which the
// first of each was added, so what another refers to is added first.
//
// The error of a row is its own closure's: it may come up after the closure,
// which fails then. fail, unless nil, makes of it what the caller is told; ask
// there whether it IsUnique.
func (tx *Tx) Add(_ context.Context, into *Rows, fail func(error) error, values ...any) error {
	if err := tx.open(); err != nil {
		return err
	}
	row := make([]any, len(into.types))
	if len(values) != len(row) {
		return tx.note(fmt.Errorf("sqldb: %d values for %d columns of %s", len(values), len(row), into.table))
	}
	for i, v := range values {
		plain, err := into.value(i, v)
		if err != nil {
			return tx.note(err)
		}
		row[i] = plain
	}
	tx.g.forget(into.table)
	if fail != nil && tx.exact() {
		tx.g.added = append(tx.g.added, &added{into, [][]any{row}, fail})
		return nil
	}
	for _, a := range tx.g.added {
		if a.into == into && a.fail == nil {
			a.rows = append(a.rows, row)
			return nil
		}
	}
	tx.g.added = append(tx.g.added, &added{into, [][]any{row}, nil})
	return nil
}

// exact tells whether this closure's failure is told from others': where it is
// not, a group in which a statement fails is run again.
func (tx *Tx) exact() bool { return tx.nested || tx.alone }

func (r *Rows) value(i int, v any) (any, error) {
	v, err := driver.DefaultParameterConverter.ConvertValue(v)
	ok := false
	if err == nil {
		switch r.types[i] {
		case "text":
			_, ok = v.(string)
		case "bigint":
			_, ok = v.(int64)
		case "bytea":
			_, ok = v.([]byte)
		}
	}
	if !ok {
		return nil, fmt.Errorf("sqldb: a %T for %s.%s, which is %s", v, r.table, r.names[i], r.types[i])
	}
	return v, nil
}

// writeAdded writes what was added. On PostgreSQL it waits, in its place, with
// the statements that are left for later.
func (g *groupTx) writeAdded() error {
	list := g.added
	g.added = nil
	tx := &Tx{g: g}
	for _, a := range list {
		if err := a.write(tx); err != nil {
			g.whose = true
			return err
		}
	}
	return nil
}

func (a *added) write(tx *Tx) error {
	if a.fail != nil {
		query := a.into.single + " RETURNING 1"
		return tx.laterRow(expecting(func(row Row) error {
			var one int64
			err := row.Scan(&one)
			if err != nil {
				err = errors.Join(a.fail(err), err)
			}
			return err
		}, query), query, a.rows[0])
	}
	for len(a.rows) > 0 {
		n, query := 1, a.into.single
		args := a.rows[0]
		switch most := atOnce(a.rows); {
		case most == 1:
		case tx.g.db.dialect == Postgres:
			n, query, args = most, a.into.arrays, a.into.transposed(a.rows[:most])
		default:
			for size := 64; size > 1; size /= 2 {
				if text := a.into.perSize[size]; text != "" && size <= most {
					n, query, args = size, text, make([]any, 0, size*len(a.into.types))
					for _, row := range a.rows[:size] {
						args = append(args, row...)
					}
					break
				}
			}
		}
		if err := tx.later(query, args); err != nil {
			return err
		}
		a.rows = a.rows[n:]
	}
	return nil
}

// maxAtOnce is how many bytes go into one statement: a server has each of them
// in its memory several times over.
const maxAtOnce = 1 << 20

// atOnce is how many rows, of those that come first, go into one statement.
func atOnce(rows [][]any) (n int) {
	bytes := 0
	for _, row := range rows {
		for _, v := range row {
			switch v := v.(type) {
			case string:
				bytes += len(v)
			case []byte:
				bytes += len(v)
			}
		}
		if n > 0 && bytes > maxAtOnce {
			break
		}
		n++
	}
	return n
}

// transposed gives each column of the rows as an array.
func (r *Rows) transposed(rows [][]any) []any {
	out := make([]any, len(r.types))
	for i, kind := range r.types {
		switch kind {
		case "text":
			out[i] = column[string](rows, i)
		case "bigint":
			out[i] = column[int64](rows, i)
		case "bytea":
			out[i] = column[[]byte](rows, i)
		}
	}
	return out
}

func column[T any](rows [][]any, i int) []T {
	out := make([]T, len(rows))
	for n, row := range rows {
		out[n], _ = row[i].(T) // Add has looked
	}
	return out
}
