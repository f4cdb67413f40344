package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

var inSettings = sqldb.NewRows("settings", "key text", "value text")

func add(ctx context.Context, tx *sqldb.Tx, key, value string) error {
	return tx.Add(ctx, inSettings, nil, key, value)
}

// together runs writes in one group, in this order, and gives their errors.
func together(t *testing.T, db *sqldb.DB, writes ...func(tx *sqldb.Tx) error) []error {
	t.Helper()
	held, let := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := db.Write(t.Context(), "test.hold", func(*sqldb.Tx) error { close(held); <-let; return nil }); err != nil {
			t.Error(err)
		}
	})
	<-held
	errs := make([]error, len(writes))
	for i, fn := range writes {
		wg.Go(func() { errs[i] = db.Write(t.Context(), "test.together", fn) })
		for db.Waiting() != i+1 {
			runtime.Gosched()
		}
	}
	before, _, _ := db.Stats()
	close(let)
	wg.Wait()
	if after, _, _ := db.Stats(); after > before+2 {
		t.Errorf("%d groups, want the one that holds and one", after-before)
	}
	return errs
}

func kept(t *testing.T, db *sqldb.DB) string {
	t.Helper()
	list, err := sqldb.Collect(t.Context(), db.Read(), sqldb.Text, `SELECT key || '=' || value FROM settings ORDER BY key`)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(slices.DeleteFunc(list, func(s string) bool { return strings.HasPrefix(s, "clock") }), " ")
}

func TestRowsOfAGroupAreSeenByWhoeverNamesTheirTable(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		var seen, own []string
		all := func(tx *sqldb.Tx) ([]string, error) {
			return sqldb.Collect(ctx, tx, sqldb.Text, `SELECT key FROM settings WHERE key LIKE 'r%' ORDER BY key`)
		}
		errs := together(t, db,
			func(tx *sqldb.Tx) error { return errors.Join(add(ctx, tx, "r1", "1"), add(ctx, tx, "r2", "2")) },
			func(tx *sqldb.Tx) error { return add(ctx, tx, "r3", "3") },
			func(tx *sqldb.Tx) (err error) { // sees those of its neighbours
				seen, err = all(tx)
				return errors.Join(err, add(ctx, tx, "r4", "4"))
			},
			func(tx *sqldb.Tx) error { // changes one that was added before it
				return tx.Later(ctx, `UPDATE settings SET value = value || '+' WHERE key = $1`, "r4")
			},
			func(tx *sqldb.Tx) (err error) { // and sees its own
				if err = add(ctx, tx, "r5", "5"); err == nil {
					own, err = all(tx)
				}
				return err
			},
			func(tx *sqldb.Tx) error { return add(ctx, tx, "r6", "6") },
		)
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(seen, own) != "[r1 r2 r3] [r1 r2 r3 r4 r5]" {
			t.Errorf("seen %v, own %v", seen, own)
		}
		if got := kept(t, db); got != "r1=1 r2=2 r3=3 r4=4+ r5=5 r6=6" {
			t.Errorf("kept: %s", got)
		}
	})
}

func TestAMemberThatFailsTakesItsRowsAlongAndNoOthers(t *testing.T) {
	t.Parallel()
	refused, taken := errors.New("refused"), errors.New("taken")
	ways := map[string]struct {
		fail func(ctx context.Context, tx *sqldb.Tx) error
		told error
	}{
		"its closure says so": {func(context.Context, *sqldb.Tx) error { return refused }, refused},
		"it panics":           {func(context.Context, *sqldb.Tx) error { panic("on purpose") }, nil},
		"a row is there already": {func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.Add(ctx, inSettings, func(err error) error {
				if sqldb.IsUnique(err) {
					return taken
				}
				return err
			}, "there", "again")
		}, taken},
		"a row is there twice, and it has no words for it": {func(ctx context.Context, tx *sqldb.Tx) error {
			return errors.Join(add(ctx, tx, "twice", "1"), add(ctx, tx, "twice", "2"))
		}, nil},
		"a value is of another kind": {func(ctx context.Context, tx *sqldb.Tx) error { return tx.Add(ctx, inSettings, nil, "n", 1) }, nil},
		"a statement of it fails":    {func(ctx context.Context, tx *sqldb.Tx) error { return later(ctx, tx, "there", "again") }, nil},
		"an answer is not the right one": {func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.SharedLaterRow(ctx, func(sqldb.Row) error { return refused }, `SELECT value FROM settings WHERE key = 'there'`)
		}, refused},
	}
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		if err := db.Write(ctx, "test.first", func(tx *sqldb.Tx) error { return add(ctx, tx, "there", "x") }); err != nil {
			t.Fatal(err)
		}
		for what, way := range ways {
			for at := range 4 { // the beginning, the middle, the end, and all by itself
				var writes []func(*sqldb.Tx) error
				want := "there=x"
				for i := range 3 {
					if at == 3 && i > 0 {
						break
					}
					key := fmt.Sprint("k", i)
					fails := i == at || at == 3
					if !fails {
						want = key + "=v " + want
					}
					writes = append(writes, func(tx *sqldb.Tx) error {
						if err := add(ctx, tx, key, "v"); err != nil || !fails {
							return err
						}
						return way.fail(ctx, tx)
					})
				}
				for i, err := range together(t, db, writes...) {
					if fails := i == at || at == 3; (err != nil) != fails || fails && way.told != nil && !errors.Is(err, way.told) {
						t.Errorf("%s, at %d: write %d: %v", what, at, i, err)
					}
				}
				words := strings.Fields(want)
				slices.Sort(words)
				if got := kept(t, db); got != strings.Join(words, " ") {
					t.Errorf("%s, at %d: kept %q, want %q", what, at, got, words)
				}
				if err := db.Write(ctx, "test.clear", func(tx *sqldb.Tx) error { return tx.Later(ctx, `DELETE FROM settings WHERE key LIKE 'k%'`) }); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

func TestManyRowsAreWrittenWhateverTheirNumber(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, total := t.Context(), 0
		for _, n := range []int{1, 2, 3, 63, 64, 65, 127, 300} {
			err := db.Write(ctx, "test.many", func(tx *sqldb.Tx) error {
				for i := range n {
					if err := add(ctx, tx, fmt.Sprintf("%d/%d", n, i), "ä\n'\\"); err != nil {
						return err
					}
				}
				return nil
			})
			if total += n; err != nil {
				t.Fatal(err)
			}
		}
		var n int
		if err := db.Read().QueryRowContext(ctx, `SELECT count(*) FROM settings WHERE value = $1`, "ä\n'\\").Scan(&n); err != nil || n != total {
			t.Errorf("%d rows, want %d: %v", n, total, err)
		}
		large := strings.Repeat("x", 400<<10) // three of them are too many for one statement
		err := db.Write(ctx, "test.large", func(tx *sqldb.Tx) error {
			return errors.Join(add(ctx, tx, "l1", large), add(ctx, tx, "l2", large), add(ctx, tx, "l3", large), add(ctx, tx, "l4", "small"), add(ctx, tx, "l5", large+large+large))
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Read().QueryRowContext(ctx, `SELECT sum(length(value)) FROM settings WHERE key LIKE 'l%'`).Scan(&n); err != nil || n != 6*len(large)+5 {
			t.Errorf("%d characters are kept, want %d: %v", n, 6*len(large)+5, err)
		}
	})
}

func TestWhatRowsReferToIsAddedBeforeThem(t *testing.T) {
	t.Parallel()
	parents := sqldb.NewRows("parents", "id text", "n bigint", "raw bytea")
	children := sqldb.NewRows("children", "id text", "parent text")
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		err := db.Write(ctx, "test.tables", func(tx *sqldb.Tx) error {
			bytes := map[sqldb.Dialect]string{sqldb.SQLite: "BLOB", sqldb.Postgres: "BYTEA"}[db.Dialect()]
			_, err := tx.ExecContext(ctx, `CREATE TABLE parents (id TEXT PRIMARY KEY, n BIGINT NOT NULL, raw `+bytes+` NOT NULL)`)
			if err == nil {
				_, err = tx.ExecContext(ctx, `CREATE TABLE children (id TEXT PRIMARY KEY, parent TEXT NOT NULL REFERENCES parents (id))`)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		family := func(name string) func(tx *sqldb.Tx) error {
			return func(tx *sqldb.Tx) error {
				return errors.Join(tx.Add(ctx, parents, nil, name, int64(7), []byte{0, 255}), tx.Add(ctx, children, nil, name+"-child", name))
			}
		}
		orphan := func(tx *sqldb.Tx) error { return tx.Add(ctx, children, nil, "orphan", "nobody") }
		errs := together(t, db, family("a"), family("b"), orphan, family("c"))
		if errs[0] != nil || errs[1] != nil || errs[2] == nil || errs[3] != nil {
			t.Errorf("got %v", errs)
		}
		var n int
		if err := db.Read().QueryRowContext(ctx, `SELECT count(*) FROM children c JOIN parents p ON p.id = c.parent WHERE p.n = 7 AND length(p.raw) = 2`).Scan(&n); err != nil || n != 3 {
			t.Errorf("%d children, want 3: %v", n, err)
		}
	})
}

func TestAnAnswerIsSharedUntilSomethingMayHaveChangedIt(t *testing.T) {
	t.Parallel()
	const ask = `SELECT value FROM settings WHERE key = $1`
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx := t.Context()
		if err := db.Write(ctx, "test.first", func(tx *sqldb.Tx) error { return add(ctx, tx, "k", "1") }); err != nil {
			t.Fatal(err)
		}
		heard := make([]string, 9)
		listen := func(i int) func(tx *sqldb.Tx) error {
			return func(tx *sqldb.Tx) error {
				if i%2 == 0 {
					return tx.SharedRow(ctx, ask, "k").Scan(&heard[i])
				}
				return tx.SharedLaterRow(ctx, func(r sqldb.Row) error { return r.Scan(&heard[i]) }, ask, "k")
			}
		}
		change := func(query string, args ...any) func(tx *sqldb.Tx) error {
			return func(tx *sqldb.Tx) error { return tx.Later(ctx, query, args...) }
		}
		errs := together(t, db, listen(1), listen(3), listen(0), change(`UPDATE settings SET value = '2' WHERE key = 'k'`),
			listen(2), listen(5), change(`UPDATE teams SET name = name`), listen(4),
			change(`WITH w AS (SELECT 'k' AS key) DELETE FROM settings WHERE key IN (SELECT key FROM w)`),
			func(tx *sqldb.Tx) error { return add(ctx, tx, "k", "3") }, listen(6), listen(7),
			func(tx *sqldb.Tx) error { return tx.SharedRow(ctx, ask, "other").Scan(&heard[8]) })
		if err := errors.Join(errs[:12]...); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(heard, " "); got != "1 1 2 1 2 2 3 3 " {
			t.Errorf("heard %q", got)
		}
		if !errors.Is(errs[12], sql.ErrNoRows) {
			t.Errorf("a row that is not there: %v", errs[12])
		}
		nobody := func(tx *sqldb.Tx) error {
			return tx.SharedLaterRow(ctx, func(r sqldb.Row) error {
				var v string
				if err := r.Scan(&v); !errors.Is(err, sql.ErrNoRows) {
					return fmt.Errorf("read %q: %w", v, err)
				}
				return nil
			}, ask, "nobody")
		}
		if err := errors.Join(together(t, db, nobody, nobody, listen(1))...); err != nil {
			t.Error(err)
		}
	})
}
