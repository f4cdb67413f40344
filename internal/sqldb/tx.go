package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Tx is one closure's part of a transaction. It is valid only inside the
// closure. After a statement failed, every further one fails the same way.
type Tx struct {
	g       *groupTx
	nested  bool // in a savepoint of its own
	alone   bool // the group's only one
	touched bool // a statement was run
	opened  bool
	failed  error
	broken  error // the whole transaction is gone
	items   []any
	after   []func()
	undone  []func()
	kept    bool // it is in the commit, if there is one
	notes   int
}

func (tx *Tx) run(j *job) (err error) {
	tx.notes = len(tx.g.notes)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", j.op, p, debug.Stack())
		}
		if err == nil && tx.nested { // so that an error is this closure's
			if err = tx.note(tx.g.writeAdded()); err == nil {
				err = tx.note(tx.g.settle(false))
			}
		}
		if err == nil && tx.failed != nil {
			err = tx.failed
		}
		if err != nil && !retryable(err) {
			err = translate(err)
		}
		if err != nil {
			tx.g.notes = tx.g.notes[:tx.notes]
			tx.undo()
		} else {
			tx.release()
		}
	}()
	if j.first != nil {
		if err := j.first(tx); err != nil {
			return err
		}
	}
	return j.fn(tx)
}

// open makes the savepoint, only when the closure has a statement to run: an
// append to the audit log alone has none until the flush.
func (tx *Tx) open() error {
	if tx.failed != nil {
		return tx.failed
	}
	tx.touched = true
	if !tx.nested || tx.opened {
		return nil
	}
	if _, err := tx.g.exec(`SAVEPOINT s`); err != nil {
		tx.failed, tx.broken = err, err
		return err
	}
	tx.opened = true
	return nil
}

// Shares tells whether other closures take part in this transaction, with whom
// the answer of a SharedRow is shared.
func (tx *Tx) Shares() bool { return !tx.alone && !tx.nested }

// begin is open for a statement.
func (tx *Tx) begin(query string) error {
	if err := tx.open(); err != nil {
		return err
	}
	return tx.note(tx.g.before(query))
}

func (tx *Tx) undo() {
	if !tx.opened {
		return
	}
	tx.g.added = nil // its own: those before it have written theirs
	if err := tx.g.settle(true); err != nil {
		tx.broken = errors.Join(tx.failed, err)
		return
	}
	// SQLite may have rolled back everything by itself (disk full, I/O error);
	// then the savepoint is gone and so is the group's transaction.
	if _, err := tx.g.exec(`ROLLBACK TO SAVEPOINT s`); err != nil {
		tx.broken = errors.Join(tx.failed, err)
		return
	}
	tx.release()
}

func (tx *Tx) release() {
	if !tx.opened {
		return
	}
	if _, err := tx.g.exec(`RELEASE SAVEPOINT s`); err != nil {
		tx.broken = err
	}
}

// ExecContext implements Querier. The context given is not used: the group has
// its own limit, and one caller's cancellation must not end the others.
func (tx *Tx) ExecContext(_ context.Context, query string, args ...any) (sql.Result, error) {
	if err := tx.begin(query); err != nil {
		return nil, err
	}
	r, err := tx.g.exec(query, args...)
	return r, tx.note(err)
}

// QueryContext implements Querier. Close the rows before the next statement.
func (tx *Tx) QueryContext(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := tx.begin(query); err != nil {
		return nil, err
	}
	if s := tx.g.db.writePrepared.find(query); s != nil {
		rows, err := tx.g.tx.StmtContext(tx.g.ctx, s).QueryContext(tx.g.ctx, args...)
		return rows, tx.note(err)
	}
	rows, err := tx.g.tx.QueryContext(tx.g.ctx, query, args...)
	return rows, tx.note(err)
}

// QueryRowContext implements Querier.
func (tx *Tx) QueryRowContext(_ context.Context, query string, args ...any) Row {
	if err := tx.begin(query); err != nil {
		return failedRow{err}
	}
	if tx.g.db.dialect == SQLite {
		row, err := tx.g.db.direct.row(tx.g.ctx, tx.g.conn, query, args)
		if err != nil {
			if !errors.Is(err, sql.ErrNoRows) {
				err = tx.note(err)
			}
			return failedRow{err}
		}
		return txRow{row, tx}
	}
	return txRow{tx.g.tx.QueryRowContext(tx.g.ctx, query, args...), tx}
}

// Later runs a statement that the closure needs no answer of. On PostgreSQL it
// waits for the next one that is answered, or for the commit, and costs no way
// of its own; order is kept. Its error may come up at that next statement or
// after the closure, which fails then: a closure that looks at its error, to
// tell a duplicate say, uses ExecContext.
func (tx *Tx) Later(_ context.Context, query string, args ...any) error {
	if err := tx.begin(query); err != nil {
		return err
	}
	return tx.later(query, args)
}

// later is Later without a look at what the statement names.
func (tx *Tx) later(query string, args []any) error {
	if tx.g.db.dialect != Postgres {
		_, err := tx.g.exec(query, args...)
		return tx.note(err)
	}
	return tx.leave(deferred{query: query, args: args})
}

// LaterRow is Later for a query of one row. The closure fails with what check
// gives, which is handed the row when there is an answer; Scan says
// sql.ErrNoRows when there is none. check must not use tx.
func (tx *Tx) LaterRow(_ context.Context, check func(Row) error, query string, args ...any) error {
	if err := tx.begin(query); err != nil {
		return err
	}
	return tx.laterRow(expecting(check, query), query, args)
}

func (tx *Tx) laterRow(check func(Row) error, query string, args []any) error {
	if tx.g.db.dialect != Postgres {
		row, err := tx.g.db.direct.row(tx.g.ctx, tx.g.conn, query, args)
		if err == nil {
			return tx.note(check(row))
		}
		said := check(failedRow{err})
		if said == nil && !errors.Is(err, sql.ErrNoRows) {
			said = err
		}
		return tx.note(said)
	}
	return tx.leave(deferred{query: query, args: args, row: check})
}

// expecting is check for a row that is not the next statement's, which would be
// taken to have found nothing.
func expecting(check func(Row) error, query string) func(Row) error {
	return func(r Row) (err error) {
		defer func() { // it is called while others' answers are read
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		if err = check(r); errors.Is(err, sql.ErrNoRows) {
			err = fmt.Errorf("sqldb: a row was expected of %s", query)
		}
		return err
	}
}

func (tx *Tx) leave(d deferred) error {
	tx.g.later++
	_, err := tx.g.tx.ExecContext(tx.g.ctx, "", d)
	return tx.note(err)
}

func (tx *Tx) note(err error) error {
	if err != nil && tx.failed == nil {
		tx.failed = err
	}
	return err
}

type failedRow struct{ err error }

func (r failedRow) Scan(...any) error { return r.err }

type txRow struct {
	Row
	tx *Tx
}

func (r txRow) Scan(dest ...any) error {
	err := r.Row.Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return err
	}
	return r.tx.note(err)
}

// Now is the database's clock, read once a group.
func (tx *Tx) Now() time.Time {
	g := tx.g
	if !g.now.IsZero() {
		return g.now
	}
	if g.db.dialect == SQLite {
		g.now = g.db.clock.now().Truncate(time.Microsecond)
		return g.now
	}
	var us int64
	if err := tx.note(g.tx.QueryRowContext(g.ctx, pgNow).Scan(&us)); err != nil {
		return g.db.clock.now() // the closure fails at its end: tx.failed is set
	}
	g.now = time.UnixMicro(us).UTC()
	g.db.told.Store(&told{g.now, time.Now()})
	return g.now
}

// Collect hands item to the group's Flusher, if this closure succeeds.
func (tx *Tx) Collect(item any) { tx.items = append(tx.items, item) }

// After runs f once the commit is durable. f must be quick and not fail.
func (tx *Tx) After(f func()) { tx.after = append(tx.after, f) }

// Undone runs f when this attempt at the closure came to nothing: it failed, or
// the commit did, or nobody knows whether that did. Either f is run or what
// After was given, and each attempt is on its own: the closure may run again.
// f must be quick and not fail.
func (tx *Tx) Undone(f func()) { tx.undone = append(tx.undone, f) }

// Notify wakes the subscribers of topic in every replica once the commit is
// durable. Wake-ups can get lost: whoever waits also polls, slowly.
func (tx *Tx) Notify(topic, payload string) {
	for _, n := range tx.g.notes[tx.notes:] {
		if n.topic == topic && n.payload == payload {
			return
		}
	}
	tx.g.notes = append(tx.g.notes, note{topic, payload})
}

// DB gives the database the transaction is on, for its dialect's SQL.
func (tx *Tx) DB() *DB { return tx.g.db }
