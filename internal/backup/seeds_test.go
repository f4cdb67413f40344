package backup_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fairlead/internal/backup"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// restoredNothing checks that the store is as the migrations left it.
func restoredNothing(t *testing.T, u string) {
	t.Helper()
	fresh := rows(t, sqldbtest.Open(t, sqldb.Options{URL: "sqlite:" + filepath.Join(t.TempDir(), "fresh.db")}))
	if d := cmp.Diff(fresh, rows(t, sqldbtest.Open(t, sqldb.Options{URL: u}))); d != "" {
		t.Errorf("%s was half restored: %s", u, d)
	}
}

// TestAStoreWithSeedsAloneIsEmpty: what migrations put into a store makes way
// for a backup; the same row, changed by somebody, does not.
func TestAStoreWithSeedsAloneIsEmpty(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, from, to sqldb.Dialect) {
		p, kp := newPlane(t, from), newKeyPair(t)
		p.fill(t, 1)
		sealed := p.backup(t, kp.to)
		for _, row := range []struct{ why, sql, code string }{
			{"opened and not used", ``, ""},
			{"a seed is gone, nothing is lost by restoring", `DELETE FROM guardrail_state`, ""},
			{"a seed was changed", `UPDATE guardrail_state SET version = 1`, "store_not_empty"},
			{"somebody's row in a table without seeds", `INSERT INTO settings (key, value) VALUES ('a', 'b')`, "store_not_empty"},
		} {
			u := storeURL(t, to)
			if path, ok := strings.CutPrefix(u, "sqlite:"); ok {
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			db := sqldbtest.Open(t, sqldb.Options{URL: u})
			if row.sql != "" {
				if err := db.Write(t.Context(), "test.do", func(tx *sqldb.Tx) error {
					_, err := tx.ExecContext(t.Context(), row.sql)
					return err
				}); err != nil {
					t.Fatal(err)
				}
			}
			before := rows(t, db)["guardrail_state"]
			db.Close()
			_, err := backup.Restore(t.Context(), bytes.NewReader(sealed), backup.RestoreOptions{URL: u, KeyDir: filepath.Join(t.TempDir(), "keys"), Open: kp.from})
			if row.code == "" && err != nil || row.code != "" && fault.From(err).Code != row.code {
				t.Errorf("%s: %v", row.why, err)
			}
			after := rows(t, sqldbtest.Open(t, sqldb.Options{URL: u}))["guardrail_state"]
			if want := map[bool][]string{true: rows(t, p.db)["guardrail_state"], false: before}[row.code == ""]; len(after) != len(want) || len(want) > 0 && after[0] != want[0] {
				t.Errorf("%s: the table holds %v, want %v", row.why, after, want)
			}
		}
	})
}
