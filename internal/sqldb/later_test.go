package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"

	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func later(ctx context.Context, tx *sqldb.Tx, key, value string) error {
	return tx.Later(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2)`, key, value)
}

func TestWhatIsLeftForLaterIsDoneInOrderBeforeTheCommit(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		var seen string
		var n int64
		var found []string
		err := db.Write(t.Context(), "test.later", func(tx *sqldb.Tx) error {
			ctx := t.Context()
			if err := errors.Join(later(ctx, tx, "a", "1"), later(ctx, tx, "b", "2"), tx.Later(ctx, `UPDATE settings SET value = value || '+' WHERE key = $1`, "a")); err != nil {
				return err
			}
			if err := tx.QueryRowContext(ctx, `SELECT value FROM settings WHERE key = 'a'`).Scan(&seen); err != nil {
				return err
			}
			if err := later(ctx, tx, "c", "3"); err != nil {
				return err
			}
			res, err := tx.ExecContext(ctx, `UPDATE settings SET value = value || '!'`)
			if err != nil {
				return err
			}
			if n, err = res.RowsAffected(); err != nil {
				return err
			}
			if err := tx.Later(ctx, `DELETE FROM settings WHERE key = 'b'`); err != nil {
				return err
			}
			found, err = sqldb.Collect(ctx, tx, sqldb.Text, `SELECT key || value FROM settings ORDER BY key`)
			if err != nil {
				return err
			}
			return later(ctx, tx, "d", "4")
		})
		if err != nil || seen != "1+" || n != 3 || fmt.Sprint(found) != "[a1+! c3!]" {
			t.Errorf("saw %q, %d rows, %v: %v", seen, n, found, err)
		}
		if n := count(t, db); n != 3 {
			t.Errorf("%d rows are kept, want 3", n)
		}
	})
}

func TestWhatFailsLaterFailsItsOwnClosureAlone(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		if err := db.Write(t.Context(), "test.first", func(tx *sqldb.Tx) error { return put(tx, "taken", "x") }); err != nil {
			t.Fatal(err)
		}
		refused := errors.New("refused")
		var wg sync.WaitGroup
		for i := range 240 {
			wg.Go(func() {
				ctx := t.Context()
				err := db.Write(ctx, "test.later", func(tx *sqldb.Tx) error {
					if err := later(ctx, tx, fmt.Sprint("k", i), "v"); err != nil {
						return err
					}
					switch i % 4 {
					case 1: // a statement that fails
						return later(ctx, tx, "taken", "y")
					case 2: // an answer that is not the right one
						return tx.LaterRow(ctx, func(r sqldb.Row) error {
							var v string
							if err := r.Scan(&v); err != nil || v != "x" {
								return fmt.Errorf("%q, %w", v, err)
							}
							return refused
						}, `SELECT value FROM settings WHERE key = 'taken'`)
					case 3: // no answer, dropped by the closure, which goes on
						_ = tx.LaterRow(ctx, func(r sqldb.Row) error {
							var v string
							return r.Scan(&v)
						}, `SELECT value FROM settings WHERE key = 'nowhere'`)
						return tx.Later(ctx, `UPDATE settings SET value = value WHERE key = 'taken'`)
					}
					return nil
				})
				switch i % 4 {
				case 0:
					if err != nil {
						t.Errorf("%d: a neighbour's failure: %v", i, err)
					}
				case 1:
					if !sqldb.IsUnique(err) {
						t.Errorf("%d: %v", i, err)
					}
				case 2:
					if !errors.Is(err, refused) {
						t.Errorf("%d: %v", i, err)
					}
				case 3:
					if err == nil || errors.Is(err, sql.ErrNoRows) {
						t.Errorf("%d: %v", i, err)
					}
				}
			})
		}
		wg.Wait()
		if n := count(t, db); n != 61 {
			t.Errorf("%d rows, want 61", n)
		}
	})
}

// A row that cannot be read into what it is read into is its own closure's
// error, and the connection goes on: alone, among others, with rows behind it.
func TestALateRowThatCannotBeRead(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		misread := func(tx *sqldb.Tx) error {
			err := tx.LaterRow(ctx, func(row sqldb.Row) error {
				var when int64
				return row.Scan(&when)
			}, `SELECT value FROM (SELECT 'no number' AS value UNION ALL SELECT 'another') AS v`)
			return errors.Join(err, later(ctx, tx, "lost", "1"))
		}
		if err := db.Write(ctx, "test.misread", misread); err == nil {
			t.Error("told of success")
		}
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				if i%4 == 0 {
					if err := db.Write(ctx, "test.misread", misread); err == nil {
						t.Errorf("%d: told of success", i)
					}
				} else if err := db.Write(ctx, "test.fine", func(tx *sqldb.Tx) error { return later(ctx, tx, fmt.Sprint("k", i), "1") }); err != nil {
					t.Errorf("%d: %v", i, err)
				}
			})
		}
		all.Wait()
		if n := count(t, db); n != 30 {
			t.Errorf("%d rows are kept, want 30", n)
		}
	})
}
