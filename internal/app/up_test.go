package app

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fairlead/internal/clikit"
	"fairlead/internal/conf"
	"fairlead/internal/sqldb/sqldbtest"
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

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })

	for _, c := range []struct {
		name, says string
		code       int
		args       []string
	}{
		{"the data directory is a file", file + " cannot be used: not a directory", clikit.ExitInvalid, []string{"--data", file}},
		{"another server has the data directory", held, clikit.ExitConflict, []string{"--data", held}},
		{"the configuration has an unknown field", "line 1: there is no field lissten", clikit.ExitInvalid, []string{"--config", unknown}},
		{"the configuration is not there", "nowhere.yaml", clikit.ExitInvalid, []string{"--config", filepath.Join(dir, "nowhere.yaml")}},
		{"the address is none", "nonsense", clikit.ExitInvalid, []string{"--listen", "nonsense"}},
		{"the address is taken", taken.Addr().String() + ": address already in use", clikit.ExitConflict, []string{"--listen", taken.Addr().String()}},
		{"the address is no machine's", "cannot listen on 127.0.0.1:99999: address 99999: invalid port", clikit.ExitConflict, []string{"--listen", "127.0.0.1:99999"}},
		{"the store is of an unknown kind", "sqlite", clikit.ExitInvalid, []string{"--store", "mysql://x"}},
		{"the store is down", nobody, clikit.ExitUnavailable, []string{"--store", "postgres://u:hunter2@" + nobody + "/x"}},
		{"the log level is unknown", "loud", clikit.ExitInvalid, []string{"--log-level", "loud"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			data := filepath.Join(t.TempDir(), "data")
			args := append([]string{"up", "--listen", "127.0.0.1:0", "--data", data}, c.args...)
			code := Main(args, strings.NewReader(""), &out, &errOut)
			lines := strings.Split(strings.TrimSpace(errOut.String()), "\n")
			if code != c.code || len(lines) != 2 || !strings.Contains(lines[0], c.says) || !strings.Contains(lines[1], "hint:") {
				t.Errorf("exit code %d, want %d\n%s", code, c.code, errOut.String())
			}
			for _, made := range []string{"fairlead.db", "keys", "postgres"} {
				if _, err := os.Stat(filepath.Join(data, made)); err == nil {
					t.Errorf("%s was made", made)
				}
			}
			if strings.Contains(errOut.String(), "hunter2") {
				t.Error("the store's password is shown")
			}
		})
	}
}

// With port 0 the system chooses, and what is printed leads there.
func TestUpPrintsThePortThatItGot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := conf.Default()
	c.Listen, c.Data = "127.0.0.1:0", filepath.Join(dir, "data")
	file := filepath.Join(dir, "fairlead.yaml")
	text := fmt.Sprintf("listen: 127.0.0.1:0\ndata: %s\nengines: {postgres: {url: %q, pool: 0}}\n", c.Data, sqldbtest.PostgresServer(t))
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := conf.Load(file, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := up(ctx, c, in, io.Discard)
		in.Close()
		ended <- err
	}()
	var link, listens string
	lines := bufio.NewScanner(out)
	for listens == "" && lines.Scan() {
		if s := strings.TrimSpace(lines.Text()); strings.HasPrefix(s, "http") {
			link = s
		} else if _, at, ok := strings.Cut(s, "listens on "); ok {
			listens = at
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	if !strings.HasPrefix(link, listens+"/sign-in?") || listens == "" {
		t.Errorf("link %q, listens on %q", link, listens)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(req); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("the link leads nowhere: %v", err)
	} else {
		resp.Body.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A start waits a moment for what the process before it is about to let go.
func TestAStartWaitsForItsPredecessor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := lockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(50*time.Millisecond, first)
	second, err := lockData(dir)
	if err != nil {
		t.Fatal(err)
	}
	second()
}
