package e2e

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "fairlead/internal/sqldb" // both drivers
)

// server is a fairlead process over its lives: same data, same address.
type server struct {
	t      testing.TB
	dir    string // data directory
	addr   string
	store  string // "sqlite" or a URL
	engine *box
	own    bool // it runs its own PostgreSQL
	pool   int
	lease  time.Duration
	env    []string
	config string // more lines of its configuration
	log    string // file with all that it ever printed

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
}

type serverOption func(*server)

func onPostgres(url string) serverOption { return func(s *server) { s.store = url } }
func withBox(b *box) serverOption        { return func(s *server) { s.engine = b } }
func withPool(n int) serverOption        { return func(s *server) { s.pool = n } }
func withEnv(env ...string) serverOption { return func(s *server) { s.env = append(s.env, env...) } }
func withConfig(y string) serverOption   { return func(s *server) { s.config = y } }
func withData(dir string) serverOption   { return func(s *server) { s.dir = dir } }
func withOwnPostgres() serverOption      { return func(s *server) { s.own = true } }
func (s *server) url() string            { return "http://" + s.addr }
func (s *server) sqliteFile() string     { return filepath.Join(s.dir, "fairlead.db") }
func (s *server) link() string           { return readLink(filepath.Join(s.dir, "first-sign-in-link")) }

// masterKey is the same for replicas of one store.
var masterKey = "FAIRLEAD_MASTER_KEY=" + base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))

// newServer prepares a server; start starts it. It is killed with the test.
func newServer(t testing.TB, options ...serverOption) *server {
	t.Helper()
	dir, err := os.MkdirTemp(root, "srv-")
	if err != nil {
		t.Fatal(err)
	}
	_ = os.Chmod(dir, 0o711)
	s := &server{t: t, dir: filepath.Join(dir, "data"), store: "sqlite", lease: 2 * time.Second, log: filepath.Join(dir, "log")}
	for _, o := range options {
		o(s)
	}
	if s.engine == nil && !s.own {
		s.engine = sharedBox(t)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	s.addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	t.Cleanup(func() {
		s.signal(syscall.SIGCONT)
		s.signal(syscall.SIGKILL)
		s.await(10 * time.Second)
		if t.Failed() {
			t.Logf("log of the server:\n%s", tail(s.log, 3000))
		}
		_ = os.RemoveAll(dir)
	})
	return s
}

// freePort is one of those that the system gives to nobody who connects
// somewhere: who was killed finds it free when it comes back.
func freePort() (port int, err error) {
	for range 100 {
		port = 16000 + rand.IntN(16000)
		l, lerr := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err = lerr; err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}

func tail(file string, n int) string {
	b, _ := os.ReadFile(file)
	if len(b) > n {
		b = b[len(b)-n:]
	}
	return string(b)
}

// launch starts the process and does not wait for it to be ready.
func (s *server) launch(env ...string) {
	s.t.Helper()
	config := filepath.Join(filepath.Dir(s.log), "fairlead.yaml")
	text := fmt.Sprintf("engines:\n  postgres:\n    pool: %d\n", s.pool) + s.config
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	out, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	printed, err := os.OpenFile(s.log+".out", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer printed.Close()
	cmd := exec.Command(binary, "up", "--config", config, "--data", s.dir, "--listen", s.addr, "--store", s.store, "--log-level", "debug")
	// Standard output is for the person who starts it: the first link is there.
	cmd.Stdout, cmd.Stderr = printed, out
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Dir(s.log), "TMPDIR=" + os.TempDir(),
		"FAIRLEAD_LEASE=" + s.lease.String(), "FAIRLEAD_OBSERVE_EVERY=5s"}
	if !s.own {
		cmd.Env = append(cmd.Env, "FAIRLEAD_POSTGRES_URL="+s.engine.url("postgres"))
	}
	cmd.Env = append(append(cmd.Env, s.env...), env...)
	if err := spawn(cmd); err != nil {
		s.t.Fatal(err)
	}
	exited := make(chan struct{})
	s.mu.Lock()
	s.cmd, s.exited = cmd, exited
	s.mu.Unlock()
	go func() { _ = cmd.Wait(); close(exited) }()
}

// start starts the process and waits until it serves, or has died.
func (s *server) start(env ...string) {
	s.t.Helper()
	s.launch(env...)
	if !s.ready(30 * time.Second) {
		s.t.Fatalf("the server does not come up:\n%s", tail(s.log, 3000))
	}
}

var probe = &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// ready waits until the server answers that it is; false when it died.
func (s *server) ready(limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) {
		if resp, err := probe.Get(s.url() + "/readyz"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
		select {
		case <-s.gone():
			return false
		case <-time.After(15 * time.Millisecond):
		}
	}
	return false
}

var over = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// gone is closed when the process has ended.
func (s *server) gone() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exited == nil {
		return over
	}
	return s.exited
}

func (s *server) signal(sig syscall.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	select {
	case <-s.exited:
	default:
		_ = s.cmd.Process.Signal(sig)
	}
}

func (s *server) await(limit time.Duration) bool {
	select {
	case <-s.gone():
		return true
	case <-time.After(limit):
		return false
	}
}

// status tells how the process ended: a signal, or an exit code.
func (s *server) status() (syscall.Signal, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ws := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() {
		return ws.Signal(), -1
	}
	return 0, ws.ExitStatus()
}

// stop asks the server to end and requires that it does so cleanly.
func (s *server) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	if !s.await(20 * time.Second) {
		s.signal(syscall.SIGQUIT)
		s.await(5 * time.Second)
		s.t.Fatalf("the server does not stop:\n%s", tail(s.log, 8000))
	}
	if sig, code := s.status(); sig != 0 || code != 0 {
		s.t.Fatalf("the server ended with signal %v, code %d:\n%s", sig, code, tail(s.log, 3000))
	}
}

// db opens the store for looking into it.
func (s *server) db(t testing.TB) *sql.DB {
	t.Helper()
	driver, dsn := "pgx", s.store
	if s.store == "sqlite" {
		driver, dsn = "sqlite", "file:"+s.sqliteFile()+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(2)
	t.Cleanup(func() { db.Close() })
	return db
}

// column gives the first column of a query as text.
func column(t testing.TB, db *sql.DB, query string, args ...any) []string {
	t.Helper()
	out, err := tryColumn(db, query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

func tryColumn(db *sql.DB, query string, args ...any) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var v sql.NullString
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		out = append(out, v.String)
	}
	return out, rows.Err()
}

func readLink(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	_, v, _ := strings.Cut(strings.TrimSpace(string(b)), "link=")
	if u, err := url.QueryUnescape(v); err == nil {
		return u
	}
	return v
}

// cli runs the binary as a person would, without a server's environment.
func cli(t testing.TB, env []string, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// countIn tells how often a text is in a file.
func countIn(file, text string) int {
	b, _ := os.ReadFile(file)
	return strings.Count(string(b), text)
}
