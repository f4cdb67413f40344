package sqldb_test

import (
	"database/sql"
	"errors"
	"reflect"
	"testing"

	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// TestARowIsReadAsDatabaseSQLDoes holds the ways to read a row against each
// other: SQLite's reads and transactions do without database/sql.
func TestARowIsReadAsDatabaseSQLDoes(t *testing.T) {
	t.Parallel()
	type text string
	type number int32
	values := []string{`'a'`, `''`, `'12'`, `1`, `0`, `-7`, `3000000000`, `1.5`, `NULL`, `'true'`, `CAST('b' AS BLOB)`}
	dests := []func() any{
		func() any { return new(string) }, func() any { return new(text) }, func() any { return new(int64) }, func() any { return new(int) },
		func() any { return new(number) }, func() any { return new(bool) }, func() any { return new(float64) }, func() any { return new([]byte) },
		func() any { return new(any) }, func() any { return new(*int64) }, func() any { return new(*string) }, func() any { return new(sql.NullInt64) },
		func() any { return new(sql.NullString) }, func() any { return new(struct{}) },
	}
	db := sqldbtest.SQLite(t)
	plain, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for _, v := range values {
		for _, dest := range dests {
			want, got, read := dest(), dest(), dest()
			wantErr := plain.QueryRowContext(t.Context(), `SELECT `+v).Scan(want)
			readErr := db.Read().QueryRowContext(t.Context(), `SELECT `+v).Scan(read)
			if (wantErr == nil) != (readErr == nil) || readErr == nil && !reflect.DeepEqual(read, want) {
				t.Errorf("%s into a %T: %v, %v, want %v, %v", v, want, read, readErr, want, wantErr)
			}
			var gotErr error
			err := db.Write(t.Context(), "test.row", func(tx *sqldb.Tx) error {
				gotErr = tx.QueryRowContext(t.Context(), `SELECT `+v).Scan(got)
				return nil
			})
			if (wantErr == nil) != (gotErr == nil) || (gotErr == nil) != (err == nil) || gotErr == nil && !reflect.DeepEqual(got, want) {
				t.Errorf("%s into a %T: %v, %v, want %v, %v", v, want, got, gotErr, want, wantErr)
			}
		}
	}
}

func TestAStatementThatIsPreparedSeesWhatChanged(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	write := func(fn func(tx *sqldb.Tx) error) {
		t.Helper()
		if err := db.Write(t.Context(), "test.write", fn); err != nil {
			t.Fatal(err)
		}
	}
	one := func(tx *sqldb.Tx) (n int64, err error) {
		return n, tx.QueryRowContext(t.Context(), `SELECT n FROM seen WHERE id = $1`, "a").Scan(&n)
	}
	exec := func(query string, args ...any) {
		t.Helper()
		write(func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), query, args...)
			return err
		})
	}
	exec(`CREATE TABLE seen (id TEXT PRIMARY KEY, n BIGINT)`)
	for i := range int64(3) {
		exec(`INSERT INTO seen (id, n) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = excluded.n`, "a", i)
		write(func(tx *sqldb.Tx) error {
			n, err := one(tx)
			if n != i {
				t.Errorf("%d, want %d", n, i)
			}
			return err
		})
	}
	exec(`ALTER TABLE seen RENAME COLUMN n TO m`)
	exec(`ALTER TABLE seen ADD COLUMN n BIGINT NOT NULL DEFAULT 42`)
	write(func(tx *sqldb.Tx) error {
		n, err := one(tx)
		if n != 42 {
			t.Errorf("after a change of the table: %d", n)
		}
		return err
	})
	exec(`DELETE FROM seen`)
	write(func(tx *sqldb.Tx) error {
		if _, err := one(tx); !errors.Is(err, sql.ErrNoRows) {
			t.Errorf("of nothing: %v", err)
		}
		return nil
	})
}
