package pgserver_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/engine/postgres/pgserver"
	"fairlead/internal/fault"
)

// folder gives a directory that an unprivileged account can reach; t.TempDir's
// parents are closed to it.
func folder(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fl-pg-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pgserver.Remove(context.Background(), filepath.Join(dir, "postgres")); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	return filepath.Join(dir, "postgres")
}

func query(t *testing.T, s *pgserver.Server, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres").Reveal())
		if err == nil {
			defer func() { _ = conn.Close(ctx) }()
			var v string
			if err := conn.QueryRow(ctx, sql).Scan(&v); err != nil {
				t.Fatal(err)
			}
			return v
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := folder(t, 0o711)
	s, err := pgserver.Start(ctx, pgserver.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for setting, want := range map[string]string{
		"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "data_checksums": "on",
		"password_encryption": "scram-sha-256", "listen_addresses": "127.0.0.1", "server_encoding": "UTF8",
	} {
		if got := query(t, s, "SELECT current_setting('"+setting+"')"); got != want {
			t.Errorf("%s = %q, want %q", setting, got, want)
		}
	}
	for file, want := range map[string]os.FileMode{"password": 0o600, "server.json": 0o600} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", file, info, err)
		}
	}
	if left, _ := filepath.Glob(s.DataDir() + "*.pass"); len(left) > 0 {
		t.Errorf("the password file is left: %v", left)
	}
	if hba, err := os.ReadFile(filepath.Join(s.DataDir(), "pg_hba.conf")); err != nil || strings.Contains(string(hba), " trust") {
		t.Errorf("pg_hba.conf trusts someone: %v", err)
	}
	if os.Geteuid() == 0 {
		info, err := os.Stat(s.DataDir())
		if err != nil || info.Sys().(*syscall.Stat_t).Uid == 0 {
			t.Errorf("the server's data belongs to root: %v", err)
		}
	}

	// A crash of Fairlead: the server lives on and is adopted.
	started := query(t, s, "SELECT pg_postmaster_start_time()::text")
	s.Detach()
	again, err := pgserver.Start(ctx, pgserver.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if !again.Adopted() || query(t, again, "SELECT pg_postmaster_start_time()::text") != started {
		t.Error("the running server was not adopted")
	}

	// A crash of the server: it is started again, on the same port.
	pid := strings.Split(readFile(t, filepath.Join(again.DataDir(), "postmaster.pid")), "\n")[0]
	kill(t, pid, syscall.SIGQUIT)
	deadline := time.Now().Add(20 * time.Second)
	for query(t, again, "SELECT pg_postmaster_start_time()::text") == started {
		if time.Now().After(deadline) {
			t.Fatal("not started again")
		}
	}

	// Stop, and start on the same data and port.
	query(t, again, "SELECT pg_catalog.set_config('a.b','c',false)")
	if err := again.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(again.DataDir(), "postmaster.pid")); !os.IsNotExist(err) {
		t.Error("still running after Stop")
	}
	third, err := pgserver.Start(ctx, pgserver.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if third.Port() != s.Port() || third.Adopted() {
		t.Errorf("port %d, was %d; adopted %v", third.Port(), s.Port(), third.Adopted())
	}
	if err := third.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestFolderThatTheAccountCannotReach(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		return // an ordinary user's server runs as that user, who reaches it
	}
	dir := folder(t, 0o700) // like /root
	s, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	home := filepath.Dir(s.DataDir())
	if !strings.HasPrefix(home, "/var/lib/fairlead-") {
		t.Errorf("data in %s", s.DataDir())
	}
	query(t, s, "SELECT 'in'")
	s.Detach()
	if err := pgserver.Remove(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{home, dir} {
		if _, err := os.Stat(p); !os.IsNotExist(err) {
			t.Errorf("%s is left", p)
		}
	}
}

func TestHalfMadeDirectoryIsMadeAnew(t *testing.T) {
	t.Parallel()
	dir := folder(t, 0o711)
	for _, d := range []string{"data.new/base"} { // killed in initdb
		if err := os.MkdirAll(filepath.Join(dir, d), 0o711); err != nil {
			t.Fatal(err)
		}
	}
	s, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	query(t, s, "SELECT 'in'")
	s.Detach()
}

func TestForeignDataIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := folder(t, 0o711)
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o711); err != nil {
		t.Fatal(err)
	}
	precious := filepath.Join(dir, "data", "thesis.txt")
	if err := os.WriteFile(precious, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	// The account cannot matter here: the place below dir is reachable.
	_, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
	if !errors.Is(err, fault.New(fault.Unavailable, "postgres_init_failed", "")) {
		t.Fatalf("got %v", err)
	}
	if readFile(t, precious) != "x" {
		t.Fatal("the file is gone")
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func kill(t *testing.T, pid string, sig syscall.Signal) {
	t.Helper()
	n := 0
	for _, c := range strings.TrimSpace(pid) {
		n = n*10 + int(c-'0')
	}
	if n <= 1 {
		t.Fatalf("pid %q", pid)
	}
	if err := syscall.Kill(n, sig); err != nil {
		t.Fatal(err)
	}
}

// Not parallel: the umask is the whole process's, and parallel tests wait
// until this one is over.
func TestUmaskDoesNotShutTheServerOut(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	for _, row := range []struct {
		why  string
		mode os.FileMode // of the folder above
	}{
		{"the account passes through to the data directory", 0o711},
		{"it cannot, so the fallback is used", 0o700},
	} {
		dir := filepath.Join(folder(t, row.mode), "deeper") // two folders to make
		s, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
		if err != nil {
			t.Fatalf("%s: %v", row.why, err)
		}
		query(t, s, "SELECT 'in'")
		if inside := strings.HasPrefix(s.DataDir(), dir); os.Geteuid() == 0 && inside != (row.mode == 0o711) {
			t.Errorf("%s: data in %s", row.why, s.DataDir())
		}
		for _, closed := range []string{"password", "server.json"} {
			if info, err := os.Stat(filepath.Join(dir, closed)); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %s: %v %v", row.why, closed, info, err)
			}
		}
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		home := filepath.Dir(s.DataDir())
		if os.Geteuid() == 0 && row.mode == 0o700 { // as a version before this one left it
			if err := os.Chmod(home, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		again, err := pgserver.Start(t.Context(), pgserver.Options{Dir: dir})
		if err != nil {
			t.Fatalf("%s: again: %v", row.why, err)
		}
		again.Detach()
		if err := pgserver.Remove(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
}
