package pgserver

import (
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"fairlead/internal/fault"
)

// usualFolders are where distributions keep PostgreSQL's server programs,
// which most of them do not put on PATH.
var usualFolders = []string{
	"/usr/lib/postgresql/*/bin",         // Debian, Ubuntu
	"/usr/pgsql-*/bin",                  // Red Hat, PGDG
	"/usr/local/pgsql/bin",              // built from source
	"/usr/libexec/postgresql*",          // Alpine
	"/opt/homebrew/opt/postgresql*/bin", // macOS
	"/usr/local/opt/postgresql*/bin",
	"/usr/local/bin",
	"/usr/bin",
}

// Binaries gives the folder that holds the program (such as "initdb" or
// "pg_dump"): the one on PATH, or the newest version in the usual folders. The
// fault is Unavailable, code "postgres_binaries_missing".
func Binaries(program string) (string, error) {
	return find(program, os.Getenv("PATH"), usualFolders)
}

func find(program, path string, folders []string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		if executable(filepath.Join(dir, program)) && filepath.IsAbs(dir) {
			return resolve(dir, program), nil
		}
	}
	var found []string
	for _, pattern := range folders {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			if executable(filepath.Join(dir, program)) {
				found = append(found, dir)
			}
		}
	}
	if len(found) == 0 {
		return "", fault.New(fault.Unavailable, "postgres_binaries_missing", "PostgreSQL's program %q is not on this machine", program).
			WithHint("install it (Debian, Ubuntu: apt-get install -y postgresql), put its folder on PATH, or give Fairlead the URL of a server that runs elsewhere")
	}
	sort.SliceStable(found, func(i, j int) bool { return version(found[i]) > version(found[j]) })
	return found[0], nil
}

// resolve follows a link such as /usr/local/bin/initdb to the folder that
// holds its siblings; Debian's pg_wrapper links lead to a script, and are left.
func resolve(dir, program string) string {
	if real, err := filepath.EvalSymlinks(filepath.Join(dir, program)); err == nil && filepath.Base(real) == program {
		return filepath.Dir(real)
	}
	return dir
}

func executable(file string) bool {
	info, err := exec.LookPath(file)
	return err == nil && info != ""
}

// version reads the major version out of a folder's path: its last number, 0
// when it has none.
func version(dir string) int {
	last := 0
	for _, part := range strings.FieldsFunc(dir, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(part); err == nil {
			last = n
		}
	}
	return last
}
