package sqldb_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// What panics beside the closures, before the commit, is told as a failure, and
// the next group goes on.
func TestAPanicBeforeTheCommitIsNoSuccess(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		db.SetFlusher(func(_ context.Context, _ *sqldb.Tx, items []any) error {
			if items[0] == "poison" {
				panic("the flusher")
			}
			return nil
		})
		write := func(key string, item any) error {
			return db.Write(t.Context(), "test.flush", func(tx *sqldb.Tx) error {
				tx.Collect(item)
				return put(tx, key, "v")
			})
		}
		if err := write("a", "poison"); err == nil {
			t.Error("success was told without a commit")
		}
		if err := write("b", "fine"); err != nil {
			t.Errorf("the next one: %v", err)
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

// What panics over the answer of a statement that was left for later is its own
// closure's failure.
func TestAPanicOverALateAnswerIsItsOwn(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var wg sync.WaitGroup
		for i := range 60 {
			wg.Go(func() {
				err := db.Write(t.Context(), "test.late", func(tx *sqldb.Tx) error {
					if err := later(t.Context(), tx, fmt.Sprint("k", i), "v"); err != nil || i%3 != 0 {
						return err
					}
					_ = tx.LaterRow(t.Context(), func(sqldb.Row) error { panic("the check") }, `SELECT 1`)
					return nil
				})
				if (err == nil) != (i%3 != 0) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if n := count(t, db); n != 40 {
			t.Errorf("%d rows, want 40", n)
		}
	})
}

// What panics after the commit changes nothing about it.
func TestAPanicAfterTheCommitIsNoFailure(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		told := false
		err := db.Write(t.Context(), "test.after", func(tx *sqldb.Tx) error {
			tx.After(func() { panic("what follows") })
			tx.After(func() { told = true })
			return put(tx, "a", "v")
		})
		if err != nil || !told || count(t, db) != 1 {
			t.Errorf("%v, the others were told: %v, %d rows", err, told, count(t, db))
		}
	})
}

func TestAWriteAfterTheCloseFails(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var wg sync.WaitGroup
		for range 40 { // some of them while it closes
			wg.Go(func() {
				for {
					err := db.Write(context.Background(), "test.late", func(*sqldb.Tx) error { return nil })
					if err != nil && fault.From(err).Code != "shutting_down" {
						t.Error(err)
					}
					if err != nil {
						return
					}
				}
			})
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
	})
}

// cutter is a way to PostgreSQL that ends at a commit: before it has arrived,
// or before its answer has.
type cutter struct {
	net.Listener
	to   string
	when atomic.Int32 // never, before, after
}

const (
	never int32 = iota
	before
	after
)

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{Listener: l, to: to}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go c.serve(in)
		}
	}()
	return c
}

func (c *cutter) serve(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer out.Close()
	var deaf atomic.Bool
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := out.Read(buf)
			if err != nil || deaf.Load() { // the server has done it
				_ = in.Close()
				return
			}
			_, _ = in.Write(buf[:n])
		}
	}()
	buf := make([]byte, 1<<16)
	for {
		n, err := in.Read(buf)
		if err != nil {
			return
		}
		if when := c.when.Load(); when != never && bytes.Contains(buf[:n], []byte("commit")) {
			if when == before {
				return
			}
			deaf.Store(true)
		}
		if _, err := out.Write(buf[:n]); err != nil {
			return
		}
	}
}

// Whoever loses the store in a commit is told that nobody knows; whoever loses
// it before, that it was nothing. All of a group are told the same.
func TestAConnectionThatIsLostInACommit(t *testing.T) {
	t.Parallel()
	u, err := url.Parse(sqldbtest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	cut := newCutter(t, u.Host)
	u.Host = cut.Addr().String()
	q := u.Query()
	q.Set("sslmode", "disable")
	q.Set("default_query_exec_mode", "exec") // so that a commit is seen on its way
	u.RawQuery = q.Encode()
	db := sqldbtest.Open(t, sqldb.Options{URL: u.String()})
	for _, c := range []struct {
		name string
		when int32
		rows int
	}{{"before it arrives", before, 0}, {"before its answer arrives", after, 20}} {
		cut.when.Store(c.when)
		var wg sync.WaitGroup
		var unknown atomic.Int64
		for i := range 20 {
			wg.Go(func() {
				err := db.Write(t.Context(), "test.lost", func(tx *sqldb.Tx) error { return put(tx, fmt.Sprint(c.name, i), "v") })
				if fault.From(err).Code == "outcome_unknown" {
					unknown.Add(1)
				} else {
					t.Errorf("%s: %v", c.name, err)
				}
			})
		}
		wg.Wait()
		cut.when.Store(never)
		if n := count(t, db); n != c.rows || unknown.Load() != 20 {
			t.Errorf("%s: %d rows, want %d; %d were told that nobody knows", c.name, n, c.rows, unknown.Load())
		}
	}
	// A session that is ended before the commit, as by an administrator, is no
	// question: who was told of failure finds nothing, and who was not, his own.
	var wg sync.WaitGroup
	var mu sync.Mutex
	var told []string
	for i := range 20 {
		wg.Go(func() {
			key := fmt.Sprintf("ended %02d", i)
			err := db.Write(t.Context(), "test.ended", func(tx *sqldb.Tx) error {
				if err := put(tx, key, "v"); err != nil || i != 7 {
					return err
				}
				_, err := tx.ExecContext(t.Context(), `SELECT pg_terminate_backend(pg_backend_pid())`)
				return err
			})
			switch {
			case err == nil:
				mu.Lock()
				defer mu.Unlock()
				told = append(told, key)
			case fault.From(err).Code != "store_unavailable":
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	slices.Sort(told)
	there, err := sqldb.Collect(t.Context(), db.Read(), sqldb.Text, `SELECT key FROM settings WHERE key LIKE 'ended%' ORDER BY key`)
	if err != nil || !slices.Equal(there, told) || slices.Contains(told, "ended 07") {
		t.Errorf("told of %v, there are %v, %v", told, there, err)
	}
}
