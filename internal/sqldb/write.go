package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"fairlead/internal/failpoint"
	"fairlead/internal/fault"
)

const (
	maxGroup     = 128              // closures in one commit; past this the last one waits long enough
	groupLimit   = 30 * time.Second // for one whole group; a hung database must not hang callers for ever
	groupRetries = 6                // of a group that lost to a deadlock or a serialisation failure
)

// Flusher is called once a group, after its closures and before its commit,
// with what they Collect-ed, in order. An error refuses the whole group.
type Flusher func(ctx context.Context, tx *Tx, items []any) error

// SetFlusher sets the flusher; call it before the first Write.
func (db *DB) SetFlusher(f Flusher) { db.flusher = f }

type job struct {
	op    string
	first func(*Tx) error // the prelude of the caller's context
	fn    func(*Tx) error
	err   error
	skip  bool // failed alone in an earlier attempt; not run again
	done  chan struct{}
}

type preludeKey struct{}

// WithPrelude makes every Write under ctx run first inside its own savepoint
// before the closure. The API uses it to claim an Idempotency-Key in the same
// transaction as the mutation, whichever service does it.
func WithPrelude(ctx context.Context, first func(*Tx) error) context.Context {
	return context.WithValue(ctx, preludeKey{}, first)
}

// Write runs fn in a transaction and returns after its durable commit. The op
// names it in errors, metrics and failpoints ("write.OP.before", ".after").
//
// Closures of concurrent callers share one transaction, each in a savepoint:
// one that fails undoes only itself. A closure may run more than once, so it
// touches nothing but tx and variables that it sets anew each time; it is
// short and calls nothing external. Cancelling ctx before the group starts
// gives ctx's error; after that Write waits, so that an answer is never a
// guess. When the commit's own outcome is unknown (connection lost), the
// error is Unavailable with code "outcome_unknown".
func (db *DB) Write(ctx context.Context, op string, fn func(tx *Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	j := &job{op: op, fn: fn, done: make(chan struct{})}
	j.first, _ = ctx.Value(preludeKey{}).(func(*Tx) error)
	select {
	case db.jobs <- j:
	case <-ctx.Done():
		return ctx.Err()
	}
	<-j.done
	return j.err
}

func (db *DB) commitLoop(ctx context.Context) {
	defer db.done.Done()
	for {
		select {
		case j := <-db.jobs:
			db.runGroup(db.gather(j))
		case <-ctx.Done():
			for { // refuse what came too late
				select {
				case j := <-db.jobs:
					j.err = fault.New(fault.Unavailable, "shutting_down", "the server is shutting down").WithRetryAfter(5)
					close(j.done)
				default:
					return
				}
			}
		}
	}
}

// gather takes what is waiting. While a commit is under way callers queue up,
// so groups grow with the load and a lone caller never waits for company.
func (db *DB) gather(first *job) []*job {
	group := []*job{first}
	for len(group) < maxGroup {
		select {
		case j := <-db.jobs:
			group = append(group, j)
		default:
			return group
		}
	}
	return group
}

func (db *DB) runGroup(group []*job) {
	defer func() {
		for _, j := range group {
			close(j.done)
		}
	}()
	savepoints := false
	for attempt := 1; ; attempt++ {
		err := db.tryGroup(group, savepoints)
		if err == nil {
			return
		}
		if errors.Is(err, errAlone) {
			savepoints = true
			continue
		}
		if retryable(err) && attempt < groupRetries {
			db.stats.retried.Add(1)
			time.Sleep(time.Duration(attempt*attempt) * time.Millisecond)
			continue
		}
		for _, j := range group {
			if !j.skip {
				j.err = fmt.Errorf("%s: %w", j.op, translate(err))
			}
		}
		if isFsyncFailure(err) {
			db.log.Error("the disk refused an fsync; what was acknowledged may be lost", "error", err)
			db.fatal(err)
		}
		return
	}
}

// errAlone says that a closure of a group failed that has no savepoints.
var errAlone = errors.New("a closure of the group failed")

// tryGroup runs the group in one transaction. Its error concerns the whole
// group; a closure's own error is left in its job. Savepoints cost two
// statements a closure and failures are rare: so it goes without them first,
// and a group in which one fails is run again with them.
func (db *DB) tryGroup(group []*job, savepoints bool) (err error) {
	defer db.writePrepared.learn(context.Background())
	ctx, cancel := db.groupContext()
	defer cancel()
	sqlTx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	committed := false
	defer func() {
		if !committed {
			_ = sqlTx.Rollback()
		}
	}()
	g := &groupTx{ctx: ctx, db: db, tx: sqlTx}
	alone := len(group) == 1
	var live []*job
	var items []any
	var after []func()
	for _, j := range group {
		if j.skip {
			continue
		}
		tx := &Tx{g: g, nested: savepoints && !alone}
		j.err = tx.run(j)
		if tx.broken != nil {
			return tx.broken
		}
		if j.err != nil {
			if retryable(j.err) {
				return j.err
			}
			if tx.touched && !tx.nested && !alone {
				return errAlone
			}
			j.skip = true
			if alone { // its rollback is the group's
				return nil
			}
			continue
		}
		live = append(live, j)
		items = append(items, tx.items...)
		after = append(after, tx.after...)
	}
	if len(live) == 0 {
		return nil
	}
	if err := g.flush(items); err != nil {
		return err
	}
	if db.dialect == SQLite {
		saved, err := db.clock.save(g)
		if err != nil {
			return err
		}
		after = append(after, saved)
	}
	hitAll(live, ".before")
	if err := sqlTx.Commit(); err != nil {
		if !retryable(err) && isConnectionLoss(err) {
			return fault.New(fault.Unavailable, "outcome_unknown", "the connection to the store was lost while committing").
				WithHint("send the request again with the same Idempotency-Key").WithCause(err)
		}
		return err
	}
	committed = true
	hitAll(live, ".after")
	db.stats.groups.Add(1)
	db.stats.writes.Add(int64(len(live)))
	for _, n := range g.notes {
		db.hub.publish(n.topic, n.payload)
	}
	for _, f := range after {
		f()
	}
	return nil
}

// groupContext bounds a group. SQLite has a bound of its own on waiting for
// locks; watching a context would cost it a goroutine a statement.
func (db *DB) groupContext() (context.Context, context.CancelFunc) {
	if db.dialect == SQLite {
		return context.Background(), func() {}
	}
	return context.WithTimeout(context.Background(), groupLimit)
}

func hitAll(live []*job, suffix string) {
	seen := ""
	for _, j := range live { // a run of one op passes its point once
		if j.op != seen {
			failpoint.Hit("write." + j.op + suffix)
			seen = j.op
		}
	}
}

// groupTx is the transaction that a group shares.
type groupTx struct {
	ctx   context.Context
	db    *DB
	tx    *sql.Tx
	now   time.Time
	notes []note
}

type note struct{ topic, payload string }

func (g *groupTx) flush(items []any) error {
	if g.db.flusher != nil && len(items) > 0 {
		tx := &Tx{g: g}
		if err := g.db.flusher(g.ctx, tx, items); err != nil {
			return err
		}
	}
	seen := map[note]bool{}
	payloads := []string{}
	g.notes = slices.DeleteFunc(g.notes, func(n note) bool {
		again := seen[n]
		if seen[n] = true; !again {
			payloads = append(payloads, n.topic+"\x1f"+n.payload)
		}
		return again
	})
	if g.db.dialect != Postgres || len(payloads) == 0 {
		return nil
	}
	list, err := json.Marshal(payloads)
	if err != nil {
		return err
	}
	_, err = g.tx.ExecContext(g.ctx, `SELECT count(pg_notify($1, p)) FROM jsonb_array_elements_text($2::jsonb) p`, pgChannel, string(list))
	return err
}

// Tx is one closure's part of a transaction. It is valid only inside the
// closure. After a statement failed, every further one fails the same way.
type Tx struct {
	g       *groupTx
	nested  bool // in a savepoint of its own
	touched bool // a statement was run
	opened  bool
	failed  error
	broken  error // the whole transaction is gone
	items   []any
	after   []func()
	notes   int
}

func (tx *Tx) run(j *job) (err error) {
	tx.notes = len(tx.g.notes)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: panic: %v\n%s", j.op, p, debug.Stack())
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
	if _, err := tx.g.tx.ExecContext(tx.g.ctx, `SAVEPOINT s`); err != nil {
		tx.failed, tx.broken = err, err
		return err
	}
	tx.opened = true
	return nil
}

func (tx *Tx) undo() {
	if !tx.opened {
		return
	}
	// SQLite may have rolled back everything by itself (disk full, I/O error);
	// then the savepoint is gone and so is the group's transaction.
	if _, err := tx.g.tx.ExecContext(tx.g.ctx, `ROLLBACK TO SAVEPOINT s`); err != nil {
		tx.broken = errors.Join(tx.failed, err)
		return
	}
	tx.release()
}

func (tx *Tx) release() {
	if !tx.opened {
		return
	}
	if _, err := tx.g.tx.ExecContext(tx.g.ctx, `RELEASE SAVEPOINT s`); err != nil {
		tx.broken = err
	}
}

// ExecContext implements Querier. The context given is not used: the group has
// its own limit, and one caller's cancellation must not end the others.
func (tx *Tx) ExecContext(_ context.Context, query string, args ...any) (sql.Result, error) {
	if err := tx.open(); err != nil {
		return nil, err
	}
	if s := tx.g.db.writePrepared.find(query); s != nil {
		r, err := tx.g.tx.StmtContext(tx.g.ctx, s).ExecContext(tx.g.ctx, args...)
		return r, tx.note(err)
	}
	r, err := tx.g.tx.ExecContext(tx.g.ctx, query, args...)
	return r, tx.note(err)
}

// QueryContext implements Querier. Close the rows before the next statement.
func (tx *Tx) QueryContext(_ context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := tx.open(); err != nil {
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
	if err := tx.open(); err != nil {
		return failedRow{err}
	}
	if s := tx.g.db.writePrepared.find(query); s != nil {
		return txRow{tx.g.tx.StmtContext(tx.g.ctx, s).QueryRowContext(tx.g.ctx, args...), tx}
	}
	return txRow{tx.g.tx.QueryRowContext(tx.g.ctx, query, args...), tx}
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
	*sql.Row
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
	return g.now
}

// Collect hands item to the group's Flusher, if this closure succeeds.
func (tx *Tx) Collect(item any) { tx.items = append(tx.items, item) }

// After runs f once the commit is durable. f must be quick and not fail.
func (tx *Tx) After(f func()) { tx.after = append(tx.after, f) }

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
