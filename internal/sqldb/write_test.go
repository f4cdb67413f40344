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

func put(tx *sqldb.Tx, key, value string) error {
	_, err := tx.ExecContext(context.Background(), `INSERT INTO settings (key, value) VALUES ($1, $2)`, key, value)
	return err
}

func count(t *testing.T, db *sqldb.DB) (n int) {
	t.Helper()
	if err := db.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM settings`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestConcurrentWritesShareCommitsAndFailAlone(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		boom := errors.New("boom")
		var wg sync.WaitGroup
		for i := range 300 {
			wg.Go(func() {
				err := db.Write(t.Context(), "test.put", func(tx *sqldb.Tx) error {
					if err := put(tx, fmt.Sprint("k", i), "v"); err != nil {
						return err
					}
					switch i % 3 {
					case 1:
						return boom
					case 2:
						panic("a closure that panics undoes itself alone")
					}
					return nil
				})
				if (err == nil) != (i%3 == 0) || (i%3 == 1) != errors.Is(err, boom) {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if n := count(t, db); n != 100 {
			t.Errorf("%d rows, want 100", n)
		}
		groups, writes, _ := db.Stats()
		if writes != 100 || groups >= writes {
			t.Errorf("%d writes in %d groups: nothing was shared", writes, groups)
		}
	})
}

func TestAFailedStatementFailsTheClosureEvenIfItsErrorIsDropped(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Write(t.Context(), "test.swallow", func(tx *sqldb.Tx) error {
			_ = put(tx, "a", "1")
			_ = put(tx, "a", "2")
			_ = put(tx, "b", "3")
			return nil
		})
		if !sqldb.IsUnique(err) {
			t.Errorf("got %v", err)
		}
		if n := count(t, db); n != 0 {
			t.Errorf("%d rows are half-applied", n)
		}
	})
}

func TestPreludeRunsInTheSameTransaction(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := sqldb.WithPrelude(t.Context(), func(tx *sqldb.Tx) error { return put(tx, "claim", "x") })
		boom := errors.New("boom")
		if err := db.Write(ctx, "test.fail", func(*sqldb.Tx) error { return boom }); !errors.Is(err, boom) {
			t.Fatal(err)
		}
		if n := count(t, db); n != 0 {
			t.Fatal("the claim outlived its mutation")
		}
		if err := db.Write(ctx, "test.ok", func(tx *sqldb.Tx) error { return put(tx, "k", "v") }); err != nil {
			t.Fatal(err)
		}
		if err := db.Write(ctx, "test.again", func(tx *sqldb.Tx) error { return put(tx, "k2", "v") }); !sqldb.IsUnique(err) {
			t.Fatalf("the second claim: %v", err)
		}
	})
}

func TestFlusherSeesOnlyWhatSucceededAndCanRefuseAll(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var mu sync.Mutex
		refuse := false
		var got []any
		db.SetFlusher(func(_ context.Context, _ *sqldb.Tx, items []any) error {
			mu.Lock()
			defer mu.Unlock()
			if refuse {
				return fault.New(fault.Unavailable, "audit_down", "no audit, no mutation")
			}
			got = append(got, items...)
			return nil
		})
		write := func(item string, fail error) error {
			return db.Write(t.Context(), "test.collect", func(tx *sqldb.Tx) error {
				tx.Collect(item)
				if err := put(tx, item, "v"); err != nil {
					return err
				}
				return fail
			})
		}
		if err := write("a", nil); err != nil {
			t.Fatal(err)
		}
		if err := write("b", errors.New("no")); err == nil {
			t.Fatal("no error")
		}
		mu.Lock()
		refuse = true
		mu.Unlock()
		if err := write("c", nil); !fault.Is(err, fault.Unavailable) {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0] != "a" {
			t.Errorf("flushed %v", got)
		}
		if n := count(t, db); n != 1 {
			t.Errorf("%d rows", n)
		}
	})
}

func TestNotifyReachesOtherReplicasAfterTheCommit(t *testing.T) {
	t.Parallel()
	url := sqldbtest.PostgresURL(t)
	a, b := sqldbtest.Open(t, sqldb.Options{URL: url}), sqldbtest.Open(t, sqldb.Options{URL: url})
	ch, stop := b.Subscribe("queue")
	defer stop()
	deadline := time.After(20 * time.Second)
	for i := 0; ; i++ { // b's listener may still be connecting: say it again
		if err := a.Write(t.Context(), "test.notify", func(tx *sqldb.Tx) error { tx.Notify("queue", "lane"); return nil }); err != nil {
			t.Fatal(err)
		}
		select {
		case p := <-ch:
			if p == "lane" {
				return
			}
		case <-time.After(100 * time.Millisecond):
		case <-deadline:
			t.Fatal("never woken")
		}
	}
}

func TestInArrayAndNoRows(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		err := db.Write(t.Context(), "test.put", func(tx *sqldb.Tx) error {
			return errors.Join(put(tx, "a", "1"), put(tx, "b", "2"), put(tx, "c", "3"))
		})
		if err != nil {
			t.Fatal(err)
		}
		keys, err := sqldb.Collect(t.Context(), db.Read(), func(r sqldb.Row) (string, error) {
			var k string
			return k, r.Scan(&k)
		}, `SELECT key FROM settings WHERE `+db.InArray("key", "$1")+` ORDER BY key`, `["c","a","x"]`)
		if err != nil || fmt.Sprint(keys) != "[a c]" {
			t.Errorf("%v %v", keys, err)
		}
		var v string
		if err := db.Read().QueryRowContext(t.Context(), `SELECT value FROM settings WHERE key = $1`, "none").Scan(&v); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBothStoresMigrateTwice(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"sqlite:" + t.TempDir() + "/s.db", sqldbtest.PostgresURL(t)} {
		var wg sync.WaitGroup
		for range 2 { // replicas that start together
			if url[:6] == "sqlite" {
				sqldbtest.Open(t, sqldb.Options{URL: url})
				continue
			}
			wg.Go(func() {
				db, err := sqldb.Open(context.Background(), sqldb.Options{URL: url})
				if err != nil {
					t.Error(err)
					return
				}
				db.Close()
			})
		}
		wg.Wait()
	}
}
