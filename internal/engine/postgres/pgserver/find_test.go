package pgserver

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"fairlead/internal/fault"
)

func TestFindTakesPathThenTheNewest(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, v := range []string{"9", "13", "17"} {
		program(t, filepath.Join(root, "pg", v, "bin"))
	}
	program(t, filepath.Join(root, "onpath"))
	usual := []string{filepath.Join(root, "pg", "*", "bin")}
	for _, c := range []struct{ why, path, want string }{
		{"PATH is the operator's choice", filepath.Join(root, "onpath"), filepath.Join(root, "onpath")},
		{"13 is newer than 9, and 17 the newest", "", filepath.Join(root, "pg", "17", "bin")},
		{"a relative folder on PATH is somebody's trick", "onpath", filepath.Join(root, "pg", "17", "bin")},
	} {
		got, err := find("initdb", c.path, usual)
		if err != nil || filepath.Base(filepath.Dir(got)) != filepath.Base(filepath.Dir(c.want)) || filepath.Base(got) != filepath.Base(c.want) {
			t.Errorf("%s: %q, %v", c.why, got, err)
		}
	}
	if _, err := find("initdb", "", nil); !errors.Is(err, fault.New(fault.Unavailable, "postgres_binaries_missing", "")) || fault.From(err).Hint == "" {
		t.Errorf("none: %v", err)
	}
}

func program(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "initdb"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}
