package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// question is one that closures of a group share the answer of.
type question struct {
	names  map[string]bool // what the text has in it, tables among the rest
	known  bool
	row    directRow // nil: there is none
	checks []func(Row) error
}

// SharedRow is QueryRowContext for what many closures of a group ask with the
// same values, the state of the environment that they are all about say. It is
// asked once a group, and again when a statement has changed, or may have, a
// table that it names. A lock that it takes is held until the commit, so what
// is locked stays as the answer says. What is not may be changed by others a
// moment later, as after any question.
func (tx *Tx) SharedRow(ctx context.Context, query string, args ...any) Row {
	q, mine, err := tx.ask(query, args)
	switch {
	case err != nil:
		return failedRow{err}
	case q == nil:
		return tx.QueryRowContext(ctx, query, args...)
	case mine || !q.known: // waiting for its answer on PostgreSQL: this one is sent with it
		row, err := tx.oneRow(ctx, query, args)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return failedRow{err}
		}
		q.known, q.row = true, row
	}
	return q.answer()
}

// SharedLaterRow is LaterRow in the way in which SharedRow is QueryRowContext:
// each closure's check is handed the one answer.
func (tx *Tx) SharedLaterRow(ctx context.Context, check func(Row) error, query string, args ...any) error {
	q, mine, err := tx.ask(query, args)
	check = expecting(check, query)
	switch {
	case err != nil:
		return err
	case q == nil:
		return tx.laterRow(check, query, args)
	case q.known:
		return tx.note(check(q.answer()))
	case !mine:
		q.checks = append(q.checks, check)
		return nil
	case tx.g.db.dialect != Postgres:
		row, err := tx.oneRow(ctx, query, args)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		q.known, q.row = true, row
		return tx.note(check(q.answer()))
	}
	q.checks = append(q.checks, check)
	return tx.leave(deferred{query: query, args: args, shared: q})
}

// ask finds the question of a text and its values among those of the group, or
// adds it; mine says that it was added. nil: this closure may be undone by
// itself, and what it had locked let go of then, so it shares with none.
func (tx *Tx) ask(query string, args []any) (q *question, mine bool, err error) {
	key := query
	for _, a := range args {
		s, ok := a.(string)
		if !ok {
			s = fmt.Sprintf("%T %#v", a, a)
		}
		key += "\x00" + strconv.Itoa(len(s)) + "\x00" + s
	}
	if q = tx.g.asked[key]; q != nil && tx.open() == nil {
		return q, false, nil
	}
	if err := tx.begin(query); err != nil || tx.nested {
		return nil, false, err
	}
	if tx.g.asked == nil {
		tx.g.asked = map[string]*question{}
	}
	q = &question{names: tx.g.db.texts.of(query).names}
	tx.g.asked[key] = q
	return q, true, nil
}

// answer gives the row that there is, to whoever asks.
func (q *question) answer() Row {
	if q.row == nil {
		return failedRow{sql.ErrNoRows}
	}
	return q.row
}

// told takes the answer and hands it to all who wait for it.
func (q *question) told(row directRow) error {
	q.known, q.row = true, row
	var err error
	for _, check := range q.checks {
		if e := check(q.answer()); e != nil && err == nil {
			err = e
		}
	}
	q.checks = nil
	return err
}

// oneRow asks for the first row; sql.ErrNoRows is that there is none.
func (tx *Tx) oneRow(ctx context.Context, query string, args []any) (directRow, error) {
	if tx.g.db.dialect == SQLite {
		row, err := tx.g.db.direct.row(tx.g.ctx, tx.g.conn, query, args)
		if err == nil {
			return row, nil
		}
		if !errors.Is(err, sql.ErrNoRows) {
			err = tx.note(err)
		}
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil || !rows.Next() {
		if err = errors.Join(err, rows.Err()); err == nil {
			return nil, sql.ErrNoRows
		}
		return nil, tx.note(err)
	}
	row, into := make(directRow, len(columns)), make([]any, len(columns))
	for i := range row {
		into[i] = (*any)(&row[i])
	}
	return row, tx.note(errors.Join(rows.Scan(into...), rows.Close()))
}

// forget drops the answers that a change of a table may have made untrue; ""
// is any table.
func (g *groupTx) forget(table string) {
	for key, q := range g.asked {
		if table == "" || q.names[table] {
			delete(g.asked, key) // those who wait for its answer still get it
		}
	}
}

// before is called before each statement of a closure: what was added to a
// table that it names is written, and answers that it may change are dropped.
func (g *groupTx) before(query string) error {
	if len(g.added) == 0 && len(g.asked) == 0 {
		return nil
	}
	t := g.db.texts.of(query)
	if !t.reads {
		g.forget(t.changes)
	}
	for _, a := range g.added {
		if t.names[a.into.table] {
			return g.writeAdded()
		}
	}
	return nil
}

// text is what a statement's words say of it.
type text struct {
	names   map[string]bool
	reads   bool   // it changes nothing
	changes string // the one table that it changes; "": there may be several
}

// texts keeps what is known of statements. It belongs to the commit loop.
type texts map[string]*text

func (t *texts) of(query string) *text {
	if known := (*t)[query]; known != nil {
		return known
	}
	made := &text{names: words(query)}
	switch f := strings.Fields(query); {
	case len(f) > 0 && f[0] == "SELECT":
		made.reads = true
	case len(f) > 2 && (f[0] == "INSERT" && f[1] == "INTO" || f[0] == "DELETE" && f[1] == "FROM"):
		made.changes = f[2]
	case len(f) > 1 && f[0] == "UPDATE":
		made.changes = f[1]
	}
	if len(query) <= maxPreparedSQL && len(*t) < 2*maxPrepared {
		if *t == nil {
			*t = texts{}
		}
		(*t)[query] = made
	}
	return made
}

// words gives the names in a statement.
func words(query string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.FieldsFunc(query, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) {
		out[w] = true
	}
	return out
}
