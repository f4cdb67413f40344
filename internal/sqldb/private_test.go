package sqldb_test

import (
	"os"
	"path/filepath"
	"testing"

	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// TestNobodyElseReadsTheStore: the folder lets the account pass that the
// PostgreSQL server runs under, so the files must keep everybody out.
func TestNobodyElseReadsTheStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "fairlead.db")
	for _, was := range []string{"new", "made by a version that did not take care"} {
		db := sqldbtest.Open(t, sqldb.Options{URL: "sqlite:" + path})
		files, err := filepath.Glob(path + "*")
		if err != nil || len(files) < 3 {
			t.Fatal(files, err)
		}
		for _, f := range files {
			if st, err := os.Stat(f); err != nil || st.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %s: %v %v", was, f, st.Mode(), err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
