package template_test

import (
	"os"
	"os/exec"
	"testing"

	"fairlead/internal/sqldb/sqldbtest"
	"fairlead/internal/template/templatetest"
)

// A service may be started from a directory that is gone since; templates need
// none. The working directory is the process's, so it is another process's.
func TestTemplatesNeedNoWorkingDirectory(t *testing.T) {
	const variable = "FAIRLEAD_TEST_GONE"
	gone := os.Getenv(variable)
	if gone == "" {
		t.Parallel()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), variable+"="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	db := sqldbtest.SQLite(t)
	if err := os.Chdir(gone); err != nil { //nolint:usetesting // it is to be gone
		t.Fatal(err)
	}
	if err := os.Remove(gone); err != nil {
		t.Fatal(err)
	}
	files := templatetest.Files{"template.yaml": templatetest.Manifest("homeless", "1.0.0")}
	if _, _, err := service(db).Push(admin(), files.Tar(t)); err != nil {
		t.Fatal(err)
	}
}
