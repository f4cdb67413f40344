package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// TestWhoWasAnsweredReadsIt: a read that begins after a write was answered sees
// it, whoever reads at the same time and whatever snapshot is held; and nobody
// sees less than a moment before.
func TestWhoWasAnsweredReadsIt(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		db.Sole()
		write := func(query string, args ...any) error {
			return db.Write(t.Context(), "test.write", func(tx *sqldb.Tx) error {
				_, err := tx.ExecContext(t.Context(), query, args...)
				return err
			})
		}
		if err := write(`CREATE TABLE seen (id TEXT PRIMARY KEY, n BIGINT NOT NULL)`); err != nil {
			t.Fatal(err)
		}
		const question = `SELECT n FROM seen WHERE id = $1`
		stop := make(chan struct{})
		var readers, writers sync.WaitGroup
		for range 4 { // so that snapshots are held all the time
			readers.Go(func() {
				last := int64(-1)
				for {
					select {
					case <-stop:
						return
					default:
					}
					var n int64
					if err := db.Read().QueryRowContext(t.Context(), question, "w-0").Scan(&n); err != nil && !errors.Is(err, sql.ErrNoRows) {
						t.Error(err)
						return
					} else if err == nil && n < last {
						t.Errorf("%d after %d", n, last)
					} else if err == nil {
						last = n
					}
				}
			})
		}
		for i := range 8 {
			writers.Go(func() {
				id := fmt.Sprintf("w-%d", i)
				for n := range int64(25) {
					if err := write(`INSERT INTO seen (id, n) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = excluded.n`, id, n); err != nil {
						t.Error(err)
						return
					}
					for range 3 { // the second and third with what the first held
						var one int64
						err := db.Read().QueryRowContext(t.Context(), question, id).Scan(&one)
						if err != nil || one != n {
							t.Errorf("%s: a row: %d, %v, want %d", id, one, err, n)
							return
						}
						all, err := sqldb.Collect(t.Context(), db.Read(), func(r sqldb.Row) (n int64, err error) { return n, r.Scan(&n) }, question, id)
						if err != nil || len(all) != 1 || all[0] != n {
							t.Errorf("%s: rows: %v, %v, want %d", id, all, err, n)
							return
						}
					}
				}
			})
		}
		writers.Wait()
		close(stop)
		readers.Wait()
	})
}

// TestWhoIsNotSoleReadsWhatOthersWrite at once.
func TestWhoIsNotSoleReadsWhatOthersWrite(t *testing.T) {
	t.Parallel()
	one := sqldbtest.SQLite(t)
	other := sqldbtest.Open(t, sqldb.Options{URL: "sqlite:" + one.Path()})
	for i := range 20 {
		for range 3 { // what could be held is
			var n int
			if err := one.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM settings`).Scan(&n); err != nil || n != i {
				t.Fatalf("%d rows, %v; want %d", n, err, i)
			}
		}
		if err := other.Write(t.Context(), "test.write", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `INSERT INTO settings (key, value) VALUES ($1, '')`, fmt.Sprint(i))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNoSnapshotIsKept: what readers hold does not keep the log from being
// written back and begun anew.
func TestNoSnapshotIsKept(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	db.Sole()
	other, err := sql.Open("sqlite", "file:"+db.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	for round := range 3 {
		if err := db.Write(t.Context(), "test.write", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `INSERT INTO settings (key, value) VALUES ($1, '')`, fmt.Sprint(round))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for range 4 {
			var n int64
			if err := db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM settings`).Scan(&n); err != nil || n != int64(round)+1 {
				t.Fatal(n, err)
			}
		}
		for deadline := time.Now().Add(10 * time.Second); ; {
			var busy, pages, written int64
			if err := other.QueryRowContext(t.Context(), `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &pages, &written); err != nil {
				t.Fatal(err)
			}
			if busy == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("a snapshot is held for ever")
			}
		}
	}
}

const endless = `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c`

// TestAReadThatIsGivenUp ends, and leaves a pool that works: for one row and for
// a list, and while somebody waits for a place.
func TestAReadThatIsGivenUp(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	db.Sole()
	one := func(ctx context.Context, query string) error {
		var n int64
		return db.Read().QueryRowContext(ctx, query).Scan(&n)
	}
	for range 2 { // a snapshot is held
		if err := one(t.Context(), `SELECT 1`); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 20 { // more than there are places
		all.Go(func() {
			err := one(ctx, endless)
			if i%2 == 0 {
				_, err = sqldb.Collect(ctx, db.Read(), sqldb.Text, endless)
			}
			if !errors.Is(err, context.Canceled) {
				t.Errorf("given up: %v", err)
			}
		})
	}
	short, end := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer end()
	if err := one(short, endless); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who waits: %v", err)
	}
	cancel()
	all.Wait()
	for range 30 {
		if err := one(t.Context(), `SELECT 1`); err != nil {
			t.Fatalf("afterwards: %v", err)
		}
	}
	if _, err := sqldb.Collect(ctx, db.Read(), sqldb.Text, `SELECT 1`); !errors.Is(err, context.Canceled) {
		t.Errorf("given up before it began: %v", err)
	}
}

// TestAListThatFails gives its place back: by its scan, a panic of it, or a
// statement that is none.
func TestAListThatFails(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	own := errors.New("own")
	for range 20 {
		_, err := sqldb.Collect(t.Context(), db.Read(), func(sqldb.Row) (int, error) { return 0, own }, `SELECT 1 UNION ALL SELECT 2`)
		if !errors.Is(err, own) {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			_, _ = sqldb.Collect(t.Context(), db.Read(), func(sqldb.Row) (int, error) { panic("own") }, `SELECT 1`)
		}()
		if _, err := sqldb.Collect(t.Context(), db.Read(), sqldb.Text, `SELECT nothing FROM nowhere`); err == nil {
			t.Fatal("no error")
		}
		var n int64
		if err := db.Read().QueryRowContext(t.Context(), `SELECT $1 + 1`, make(chan int)).Scan(&n); err == nil {
			t.Fatal("a channel was bound")
		}
		list, err := sqldb.Collect(t.Context(), db.Read(), sqldb.Text, `SELECT 'a' UNION ALL SELECT 'b' ORDER BY 1`)
		if err != nil || fmt.Sprint(list) != "[a b]" {
			t.Fatal(list, err)
		}
	}
}

// TestAReadAfterTheClose fails, and one that is under way does not.
func TestAReadAfterTheClose(t *testing.T) {
	t.Parallel()
	db, err := sqldb.Open(t.Context(), sqldb.Options{URL: "sqlite:" + t.TempDir() + "/store.db"})
	if err != nil {
		t.Fatal(err)
	}
	list, err := sqldb.Collect(t.Context(), db.Read(), func(r sqldb.Row) (n int64, err error) {
		if err := r.Scan(&n); err != nil || n > 1 {
			return n, err
		}
		return n, db.Close()
	}, `SELECT 1 UNION ALL SELECT 2`)
	if err != nil || len(list) != 2 {
		t.Errorf("under way: %v, %v", list, err)
	}
	var n int64
	if err := db.Read().QueryRowContext(t.Context(), `SELECT 1`).Scan(&n); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a row: %v", err)
	}
	if _, err := sqldb.Collect(t.Context(), db.Read(), sqldb.Text, `SELECT 1`); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a list: %v", err)
	}
}
