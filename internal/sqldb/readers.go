package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// maxReaders is how many statements read from SQLite at once. They use the
// processor and next to no disk: more would wait for each other.
const maxReaders = 8

// heldFor is how long a snapshot may be held for the next statement.
const heldFor = 50 * time.Millisecond

// readers are SQLite's connections for reading, each with its prepared
// statements. They are used without database/sql in between, which takes as
// long for a small statement as a third of the statement.
//
// Each statement sees the newest commit, and never less than one before it saw.
// To begin and to end a read transaction takes SQLite four system calls, so one
// that has seen the newest commit is held open behind its statement, for the
// next on the same connection, until there is another commit (see committing),
// and for heldFor at most: no checkpoint of another program waits for a snapshot
// that nobody reads. That takes a file to which nothing else writes
// (Options.Sole), for no other commits are seen to come.
type readers struct {
	connector driver.Connector
	hold      bool          // snapshots for the next statement
	places    chan struct{} // one for each statement that runs
	commits   atomic.Uint64 // odd while one is under way

	mu     sync.Mutex
	idle   []*reader // the last used is the next
	closed bool
	ending bool // endHeld is to come
}

// reader is one connection; who took it has it alone.
type reader struct {
	conn  driver.Conn
	known statements
	seen  uint64      // commits when its last transaction began, or before
	held  driver.Rows // keeps that transaction open; nil when it is over
	since time.Time   // when it was first held
}

func newReaders(c driver.Connector, hold bool) *readers {
	return &readers{connector: c, hold: hold, places: make(chan struct{}, maxReaders)}
}

// take gives a connection, to be given back; it waits while all are in use.
func (r *readers) take(ctx context.Context) (*reader, error) {
	select {
	case r.places <- struct{}{}:
	default:
		select {
		case r.places <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		<-r.places
		return nil, shuttingDown()
	}
	if n := len(r.idle); n > 0 {
		c := r.idle[n-1]
		r.idle = r.idle[:n-1]
		r.mu.Unlock()
		return c, nil
	}
	r.mu.Unlock()
	conn, err := r.connector.Connect(ctx)
	if err != nil {
		<-r.places
		return nil, err
	}
	return &reader{conn: conn, known: statements{}}, nil
}

// give takes a connection back. One on which a statement was interrupted, or
// panicked, is not used again.
func (r *readers) give(c *reader, whole bool) {
	if v, ok := c.conn.(driver.Validator); whole && ok {
		whole = v.IsValid()
	}
	r.mu.Lock()
	if whole = whole && !r.closed; whole {
		r.idle = append(r.idle, c)
		if c.held != nil && !r.ending {
			r.ending = true
			time.AfterFunc(heldFor, r.endHeld)
		}
	}
	r.mu.Unlock()
	<-r.places
	if !whole {
		_ = c.close()
	}
}

// committing comes before a commit: from then on somebody may see it, so nobody
// reads what was held before. That is let go: the log could not begin anew. What
// it gives is called after the commit, whatever became of it, and before anybody
// is told.
func (r *readers) committing() (committed func()) {
	if r == nil {
		return func() {}
	}
	r.commits.Add(1)
	r.letGo()
	return func() { r.commits.Add(1) }
}

// endHeld is for a time without commits and readers.
func (r *readers) endHeld() {
	r.mu.Lock()
	r.ending = false
	r.mu.Unlock()
	r.letGo()
}

func (r *readers) letGo() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.idle {
		c.end()
	}
}

// begin sees to it that the next statement reads the newest commit: in a
// transaction of its own, or, when the last one saw that commit too and there
// may be more of them, in one that is held.
func (c *reader) begin(r *readers) {
	if !r.hold {
		return
	}
	now := r.commits.Load() // before the transaction begins, which may see more
	if c.seen != now || now%2 == 1 {
		c.end()
		c.seen = now
		return
	}
	if c.held != nil {
		if time.Since(c.since) < heldFor {
			return
		}
		c.end()
	}
	s, keep, err := c.known.of(context.Background(), c.conn, `SELECT 1 FROM sqlite_schema`) // more than one row
	if err != nil {
		return // and the statement fails by itself
	}
	if !keep {
		_ = s.Close()
		return
	}
	if rows, err := ask(context.Background(), s, nil); err == nil {
		c.held, c.since = rows, time.Now()
	}
}

// end ends the transaction that is held.
func (c *reader) end() {
	if c.held != nil {
		_ = c.held.Close() // of a statement that is only reset
		c.held = nil
	}
}

// close closes what nobody uses; who still reads closes their own.
func (r *readers) close() (err error) {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	idle := r.idle
	r.idle, r.closed = nil, true
	r.mu.Unlock()
	for _, c := range idle {
		if e := c.close(); err == nil {
			err = e
		}
	}
	return err
}

func (c *reader) close() error {
	c.end()
	return errors.Join(c.known.close(), c.conn.Close())
}

// row gives the first row of a query.
func (r *readers) row(ctx context.Context, query string, args []any) (row directRow, err error) {
	err = r.query(ctx, query, args, func(columns int, next func([]driver.Value) error) error {
		row = make(directRow, columns)
		return next(row)
	})
	if errors.Is(err, io.EOF) {
		err = sql.ErrNoRows
	}
	return row, err
}

// each calls scan for each row of a query. The row is used again for the next.
func (r *readers) each(ctx context.Context, query string, args []any, scan func(Row) error) error {
	return r.query(ctx, query, args, func(columns int, next func([]driver.Value) error) error {
		values := make(directRow, columns)
		var row Row = values
		for {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := next(values); err != nil {
				if errors.Is(err, io.EOF) {
					err = nil
				}
				return err
			}
			if err := scan(row); err != nil {
				return err
			}
		}
	})
}

// query runs a statement and has use read what it gives: next reads a row, or
// says io.EOF.
func (r *readers) query(ctx context.Context, query string, args []any, use func(columns int, next func([]driver.Value) error) error) error {
	values, err := bound(args)
	if err != nil {
		return err
	}
	c, err := r.take(ctx)
	if err != nil {
		return err
	}
	whole := false
	defer func() { r.give(c, whole) }()
	c.begin(r)
	s, keep, err := c.known.of(ctx, c.conn, query)
	if err != nil {
		whole = true
		return err
	}
	if !keep {
		defer func() { _ = s.Close() }()
	}
	rows, err := ask(ctx, s, values)
	if err != nil {
		whole = true
		return err
	}
	err = func() (err error) {
		defer func() { // also when scan panics: no transaction stays open
			if e := rows.Close(); err == nil {
				err = e
			}
		}()
		return use(len(rows.Columns()), rows.Next)
	}()
	whole = true
	return err
}
