package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
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
// transaction as the mutation, whichever service does it. nil takes it away for
// what is recorded and is no mutation.
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
	case <-db.ended:
		return shuttingDown()
	}
	select {
	case <-j.done:
	case <-db.ended: // it came too late, unless it was the last
		select {
		case <-j.done:
		default:
			return shuttingDown()
		}
	}
	return j.err
}

func shuttingDown() error {
	return fault.New(fault.Unavailable, "shutting_down", "the server is shutting down").WithRetryAfter(5)
}

func (db *DB) commitLoop(ctx context.Context) {
	defer db.done.Done()
	defer close(db.ended)
	for {
		select {
		case j := <-db.jobs:
			db.runGroup(db.gather(j))
			// Those who were just answered get to ask for the next: they share a
			// commit then, instead of missing this one by a moment.
			runtime.Gosched()
		case <-ctx.Done():
			for { // refuse what came too late
				select {
				case j := <-db.jobs:
					j.err = shuttingDown()
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
	conn, sqlTx, err := db.begin(ctx)
	if err != nil {
		return err
	}
	if conn != nil {
		defer func() { _ = conn.Close() }()
	}
	committed := false
	var ran []*Tx
	defer func() {
		if !committed {
			_ = sqlTx.Rollback()
		}
		tellUndone(ran, committed)
	}()
	defer uncommitted(&committed, &err)
	g := &groupTx{ctx: ctx, db: db, conn: conn, tx: sqlTx}
	alone := len(group) == 1
	var live []*job
	var items []any
	var after []func()
	for _, j := range group {
		if j.skip {
			continue
		}
		tx := &Tx{g: g, nested: savepoints && !alone, alone: alone}
		ran = append(ran, tx)
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
		tx.kept = true
		live = append(live, j)
		items = append(items, tx.items...)
		after = append(after, tx.after...)
	}
	if len(live) == 0 {
		return nil
	}
	if err := g.flush(items); err != nil {
		if (g.later > 0 || g.whose) && !savepoints && !alone && !retryable(err) {
			return errAlone // whose statement it was is seen with savepoints
		}
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
	if err := db.commit(sqlTx); err != nil {
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
		db.follow(f)
	}
	return nil
}

// uncommitted is deferred: it makes an error of a panic before the commit, so
// that nobody whose closure ran is told of success without one.
func uncommitted(committed *bool, err *error) {
	if *committed {
		return
	}
	if p := recover(); p != nil {
		*err = fmt.Errorf("sqldb: panic: %v\n%s", p, debug.Stack())
	}
}

// commit ends a transaction; when nobody can know whether it happened, the
// error says so.
func (db *DB) commit(tx *sql.Tx) error {
	defer db.readers.committing()()
	err := tx.Commit()
	if err == nil || retryable(err) || !mayHaveHappened(err) {
		return err
	}
	return fault.New(fault.Unavailable, "outcome_unknown", "the connection to the store was lost while committing").
		WithHint("send the request again with the same Idempotency-Key").WithCause(err)
}

// follow calls what is to follow a commit. A panic there undoes nothing, and
// keeps nobody from being told of the commit.
func (db *DB) follow(f func()) {
	defer func() {
		if p := recover(); p != nil {
			db.log.Error("what follows a commit has panicked", "error", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
	}()
	f()
}

// tellUndone tells the closures of which nothing came.
func tellUndone(ran []*Tx, committed bool) {
	for _, tx := range ran {
		if committed && tx.kept {
			continue
		}
		for _, f := range tx.undone {
			f()
		}
	}
}

// begin opens a group's transaction; conn is SQLite's connection, to be given
// back after it.
func (db *DB) begin(ctx context.Context) (conn *sql.Conn, tx *sql.Tx, err error) {
	if db.dialect != SQLite {
		tx, err = db.write.BeginTx(ctx, nil)
		return nil, tx, err
	}
	if conn, err = db.write.Conn(ctx); err != nil {
		return nil, nil, err
	}
	if tx, err = conn.BeginTx(ctx, nil); err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, tx, nil
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
	conn  *sql.Conn // SQLite's, that tx is on
	tx    *sql.Tx
	now   time.Time
	notes []note
	later int // statements that were left for later
	added []*added
	whose bool // a row of those that were added was refused, and it is not known whose
	asked map[string]*question
}

type note struct{ topic, payload string }

func (g *groupTx) flush(items []any) error {
	if err := g.writeAdded(); err != nil {
		return err
	}
	g.asked = nil
	if g.db.flusher != nil && len(items) > 0 {
		tx := &Tx{g: g}
		if err := g.db.flusher(g.ctx, tx, items); err != nil {
			return err
		}
		if err := g.writeAdded(); err != nil {
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
	if g.db.dialect != Postgres {
		return nil
	}
	if len(payloads) == 0 {
		return g.settle(false)
	}
	list, err := json.Marshal(payloads)
	if err != nil {
		return err
	}
	// With it goes whatever still waits.
	_, err = g.tx.ExecContext(g.ctx, `SELECT count(pg_notify($1, p)) FROM jsonb_array_elements_text($2::jsonb) p`, pgChannel, string(list))
	return err
}

// exec runs a statement that gives no rows.
func (g *groupTx) exec(query string, args ...any) (sql.Result, error) {
	if g.db.dialect == SQLite {
		return g.db.direct.exec(g.ctx, g.conn, query, args)
	}
	return g.tx.ExecContext(g.ctx, query, args...)
}

// settle sends the statements that wait, or drops them.
func (g *groupTx) settle(drop bool) error {
	if g.later == 0 {
		return nil
	}
	_, err := g.tx.ExecContext(g.ctx, "", settle{drop})
	return err
}
