package app

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fairlead/internal/clikit"
)

// A server that cannot start says why, in one line, with what to do next.
func TestUpSaysWhyItCannotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, unknown := filepath.Join(dir, "file"), filepath.Join(dir, "unknown.yaml")
	for path, text := range map[string]string{file: "", unknown: "lissten: 127.0.0.1:1\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	held := filepath.Join(dir, "held")
	unlock, err := lockData(held)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()

	for _, c := range []struct {
		name, says string
		code       int
		args       []string
	}{
		{"the data directory is a file", file, clikit.ExitInvalid, []string{"--data", file}},
		{"another server has the data directory", held, clikit.ExitConflict, []string{"--data", held}},
		{"the configuration has an unknown field", "line 1: there is no field lissten", clikit.ExitInvalid, []string{"--config", unknown}},
		{"the configuration is not there", "nowhere.yaml", clikit.ExitInvalid, []string{"--config", filepath.Join(dir, "nowhere.yaml")}},
		{"the address is none", "nonsense", clikit.ExitInvalid, []string{"--listen", "nonsense"}},
		{"the store is of an unknown kind", "sqlite", clikit.ExitInvalid, []string{"--store", "mysql://x"}},
		{"the store is down", "store", clikit.ExitUnavailable, []string{"--store", "postgres://u:hunter2@" + nobody + "/x"}},
		{"the log level is unknown", "loud", clikit.ExitInvalid, []string{"--log-level", "loud"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			args := append([]string{"up", "--data", filepath.Join(t.TempDir(), "data")}, c.args...)
			code := Main(args, strings.NewReader(""), &out, &errOut)
			lines := strings.Split(strings.TrimSpace(errOut.String()), "\n")
			if code != c.code || len(lines) != 2 || !strings.Contains(lines[0], c.says) || !strings.Contains(lines[1], "hint:") {
				t.Errorf("exit code %d, want %d\n%s", code, c.code, errOut.String())
			}
			if strings.Contains(errOut.String(), "hunter2") {
				t.Error("the store's password is shown")
			}
		})
	}
}
