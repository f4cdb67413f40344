package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/sqldb/sqldbtest"
)

// box is a PostgreSQL server with passwords, which tests may stop, hang and
// break.
type box struct {
	dir, bin string
	tables   string // its data directory
	port     int
	cred     *syscall.Credential
	options  []string

	mu  sync.Mutex
	cmd *exec.Cmd
}

const boxPassword = "box-superuser-password"

var (
	boxes   []*box
	boxesMu sync.Mutex
	shared  = sync.OnceValues(func() (*box, error) { return startBox(root, "shared") })
)

// sharedBox is the server of all tests that do not break theirs: stores and
// tenants' databases alike.
func sharedBox(t testing.TB) *box {
	t.Helper()
	b, err := shared()
	if err != nil {
		t.Fatalf("PostgreSQL for tests: %v (Debian: apt-get install postgresql)", err)
	}
	return b
}

// newBox starts a server for this test alone.
func newBox(t testing.TB, options ...string) *box {
	t.Helper()
	return newBoxIn(t, root, options...)
}

// newBoxIn starts one whose tables live in a folder, and whose log of writes
// does not: where there is no room for that either, PostgreSQL gives up.
func newBoxIn(t testing.TB, tables string, options ...string) *box {
	t.Helper()
	b, err := startBox(tables, "own", options...) // a short name, for a socket's path is bounded
	if err != nil {
		t.Fatalf("PostgreSQL for tests: %v (Debian: apt-get install postgresql)", err)
	}
	t.Cleanup(func() { b.stop(syscall.SIGQUIT); _ = os.RemoveAll(b.dir) })
	return b
}

func stopBoxes() {
	for _, b := range boxes {
		b.stop(syscall.SIGQUIT)
	}
}

func startBox(tables, name string, options ...string) (*box, error) {
	bin, err := sqldbtest.Binaries()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(root, "pg-"+name+"-")
	if err != nil {
		return nil, err
	}
	b := &box{dir: dir, tables: filepath.Join(tables, filepath.Base(dir), "data"), bin: bin, options: options}
	if os.Getuid() == 0 {
		if b.cred, err = sqldbtest.Account(); err != nil {
			return nil, err
		}
		if err := os.Chown(dir, int(b.cred.Uid), int(b.cred.Gid)); err != nil {
			return nil, err
		}
	}
	args := []string{"-D", b.data(), "-U", "postgres", "-A", "scram-sha-256", "--pwfile", filepath.Join(dir, "password"), "-E", "UTF8", "--locale=C", "--no-sync", "-N"}
	if tables != root {
		args = append(args, "--waldir", filepath.Join(dir, "wal"))
		if err := os.Mkdir(filepath.Dir(b.data()), 0o700); err != nil {
			return nil, err
		}
		if b.cred != nil {
			if err := os.Chown(filepath.Dir(b.data()), int(b.cred.Uid), int(b.cred.Gid)); err != nil {
				return nil, err
			}
		}
	}
	pass := filepath.Join(dir, "password")
	if err := os.WriteFile(pass, []byte(boxPassword), 0o644); err != nil {
		return nil, err
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), args...)
	initdb.Dir, initdb.SysProcAttr = dir, &syscall.SysProcAttr{Credential: b.cred}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	boxesMu.Lock()
	boxes = append(boxes, b)
	boxesMu.Unlock()
	for attempt := 0; ; attempt++ { // somebody else may take the port in between
		var err error
		if b.port, err = freePort(); err != nil {
			return nil, err
		}
		if err = b.start(); err == nil || attempt == 3 {
			return b, err
		}
		b.stop(syscall.SIGQUIT)
	}
}

func (b *box) data() string { return b.tables }

func (b *box) start() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	log, err := os.OpenFile(filepath.Join(b.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-D", b.data(), "-p", strconv.Itoa(b.port), "-k", b.dir, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
		"-c", "max_connections=300", "-c", "shared_buffers=64MB", "-c", "log_statement=all"}
	for _, o := range b.options {
		args = append(args, "-c", o)
	}
	b.cmd = exec.Command(filepath.Join(b.bin, "postgres"), args...)
	b.cmd.Dir, b.cmd.Stdout, b.cmd.Stderr = b.dir, log, log
	b.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: b.cred, Pdeathsig: syscall.SIGQUIT}
	if err := spawn(b.cmd); err != nil {
		return err
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		conn, err := pgx.Connect(context.Background(), b.url("postgres"))
		if err == nil {
			return conn.Close(context.Background())
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stop ends the server: SIGQUIT is "immediate", as a crash is; SIGINT "fast".
func (b *box) stop(sig syscall.Signal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cmd == nil {
		return
	}
	_ = syscall.Kill(-b.cmd.Process.Pid, syscall.SIGCONT)
	_ = b.cmd.Process.Signal(sig)
	_ = b.cmd.Wait()
	b.cmd = nil
}

// hang stops the server and its sessions, as a machine that swaps; resume ends it.
func (b *box) hang()   { b.each(syscall.SIGSTOP) }
func (b *box) resume() { b.each(syscall.SIGCONT) }

// each signals the server and its children, which have groups of their own.
func (b *box) each(sig syscall.Signal) {
	b.mu.Lock()
	defer b.mu.Unlock()
	parent := b.cmd.Process.Pid
	pids := []int{parent}
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		after := string(stat[strings.LastIndexByte(string(stat), ')')+1:])
		if f := strings.Fields(after); len(f) > 1 && f[1] == strconv.Itoa(parent) {
			pids = append(pids, pid)
		}
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, sig)
	}
}

func (b *box) url(database string) string {
	return fmt.Sprintf("postgres://postgres:%s@127.0.0.1:%d/%s?sslmode=disable", boxPassword, b.port, database)
}

// exec runs statements as the superuser.
func (b *box) exec(t testing.TB, sql ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, b.url("postgres"))
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer conn.Close(ctx)
	for _, s := range sql {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// value is what a query of one value gives, as text.
func (b *box) value(t testing.TB, query string, args ...any) (text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, b.url("postgres"))
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer conn.Close(ctx)
	if err := conn.QueryRow(ctx, query, args...).Scan(&text); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return text
}

var stores atomic.Int64

// newStore makes an empty database for a store and gives its URL. World checks
// know stores by the prefix.
func (b *box) newStore(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("store_%d", stores.Add(1))
	b.exec(t, `CREATE DATABASE `+name)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if conn, err := pgx.Connect(ctx, b.url("postgres")); err == nil {
			_, _ = conn.Exec(ctx, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
			_ = conn.Close(ctx)
		}
	})
	return b.url(name)
}

func (b *box) address() string { return fmt.Sprintf("127.0.0.1:%d", b.port) }
