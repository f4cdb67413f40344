package sqldbtest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

var server struct {
	once sync.Once
	url  string
	err  error
}

// PostgresServer gives the superuser URL of the test binary's own PostgreSQL
// server. The server dies with the binary, whatever ends it: it is started
// with a parent-death signal, and its directory is removed by the next run's
// sweep if this one was killed.
func PostgresServer(t testing.TB) string {
	t.Helper()
	server.once.Do(func() { server.url, server.err = startServer() })
	if server.err != nil {
		t.Fatalf("PostgreSQL for tests: %v (Debian: apt-get install postgresql)", server.err)
	}
	return server.url
}

func startServer() (string, error) {
	bin, err := Binaries()
	if err != nil {
		return "", err
	}
	sweep()
	dir, err := os.MkdirTemp("", "fairlead-test-pg-"+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return "", err
	}
	attr := &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT, Setpgid: true} // SIGINT: fast shutdown
	if os.Getuid() == 0 {
		cred, err := Account()
		if err != nil {
			return "", err
		}
		attr.Credential = cred
		if err := os.Chown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
			return "", err
		}
	}
	data := filepath.Join(dir, "data")
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-N")
	initdb.SysProcAttr = attr
	initdb.Dir = dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()

	started := make(chan error, 1)
	go func() { started <- launch(bin, data, dir, port, attr) }()
	if err := <-started; err != nil {
		return "", err
	}
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port), nil
}

// launch starts the server from a goroutine that never ends: the
// parent-death signal follows the thread that forked, so the goroutine keeps
// its thread for itself.
func launch(bin, data, dir string, port int, attr *syscall.SysProcAttr) error {
	ready := make(chan error, 1)
	go func() {
		lockThread()
		cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-p", strconv.Itoa(port), "-k", dir,
			"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=300", "-c", "shared_buffers=64MB",
			"-c", "log_min_messages=panic")
		cmd.SysProcAttr = attr
		cmd.Dir = dir
		if err := cmd.Start(); err != nil {
			ready <- err
			return
		}
		ready <- waitReady(port)
		_ = cmd.Wait()
	}()
	return <-ready
}

func waitReady(port int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		conn, err := pgx.Connect(ctx, fmt.Sprintf("postgres://postgres@127.0.0.1:%d/postgres?sslmode=disable", port))
		if err == nil {
			return conn.Close(ctx)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("not ready: %w", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Binaries is the folder of initdb and postgres on this machine.
func Binaries() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			if _, err := os.Stat(filepath.Join(filepath.Dir(p), "postgres")); err == nil {
				return filepath.Dir(p), nil
			}
		}
	}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return "", fmt.Errorf("initdb is neither on PATH nor in /usr/lib/postgresql")
	}
	return filepath.Dir(found[len(found)-1]), nil
}

// Account is one that PostgreSQL runs as where the tests run as root, which it
// refuses to.
func Account() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, fmt.Errorf("PostgreSQL does not run as root, and there is no account postgres or nobody")
}

// sweep removes what earlier test binaries left that were killed.
func sweep() {
	left, _ := filepath.Glob(filepath.Join(os.TempDir(), "fairlead-test-pg-*"))
	for _, dir := range left {
		var pid int
		if _, err := fmt.Sscanf(filepath.Base(dir), "fairlead-test-pg-%d-", &pid); err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.RemoveAll(dir)
		}
	}
}
