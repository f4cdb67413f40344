package sqldb_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// An older program put in place of a newer one leaves the store alone: it
// would write past what the newer one means by its columns.
func TestAStoreOfANewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"sqlite:" + filepath.Join(t.TempDir(), "fairlead.db"), sqldbtest.PostgresURL(t)} {
		db, err := sqldb.Open(t.Context(), sqldb.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Write(t.Context(), "test.newer", func(tx *sqldb.Tx) error {
			is := "1"
			if db.Dialect() == sqldb.Postgres {
				is = "true"
			}
			_, err := tx.ExecContext(context.Background(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, `+is+`)`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := sqldb.Open(t.Context(), sqldb.Options{URL: url})
		if err == nil {
			again.Close()
		}
		if !errors.Is(err, fault.New(fault.Conflict, "store_newer", "")) || !strings.Contains(err.Error(), "9999") {
			t.Errorf("%s: %v", url[:8], err)
		}
	}
}

// A file that is no store is told from a server that does not answer.
func TestADamagedStoreSaysSo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "fairlead.db")
	if err := os.WriteFile(file, []byte(strings.Repeat("no database at all\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sqldb.Open(t.Context(), sqldb.Options{URL: "sqlite:" + file}); !errors.Is(err, fault.New(fault.Unavailable, "store_corrupt", "")) {
		t.Errorf("got %v", err)
	}
}
