package postgres_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/engine"
	"fairlead/internal/engine/postgres"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// silent listens and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		var open []net.Conn // never read, and held: the collector would close them
		for {
			c, err := l.Accept()
			if err != nil {
				for _, c := range open {
					_ = c.Close()
				}
				return
			}
			open = append(open, c)
		}
	}()
	return l.Addr().String()
}

// closed is an address where nobody listens, held so that nobody will: a port
// that is only free may be another test's a moment later.
func closed(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", at.(*syscall.SockaddrInet4).Port)
}

func TestServersThatFail(t *testing.T) {
	t.Parallel()
	const canary = "canary-password"
	admin(t,
		`CREATE ROLE weak LOGIN PASSWORD 'weak-pw'; GRANT CONNECT ON DATABASE postgres TO weak`,
		`CREATE ROLE reader LOGIN SUPERUSER PASSWORD 'reader-pw'; ALTER ROLE reader SET default_transaction_read_only = on`,
		`CREATE ROLE few LOGIN SUPERUSER PASSWORD 'few-pw'; CREATE ROLE one LOGIN CREATEDB CREATEROLE CONNECTION LIMIT 1 PASSWORD 'one-pw'; GRANT CONNECT ON DATABASE postgres TO one`)
	at := func(user, host, db string) string {
		return fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", user, host, db)
	}
	real := fmt.Sprintf("127.0.0.1:%d", shared.Port())
	for _, c := range []struct{ why, url, code string }{
		{"nobody listens", at("u:"+canary, closed(t), "postgres"), "postgres_unreachable"},
		{"hangs", at("u:"+canary, silent(t), "postgres"), "postgres_timeout"},
		{"wrong password", at("fairlead:"+canary, real, "postgres"), "postgres_login_refused"},
		{"no such database", at("weak:weak-pw", real, "nowhere"), "postgres_database_missing"},
		{"lacks privileges", at("weak:weak-pw", real, "postgres"), "postgres_missing_privilege"},
		{"read-only", at("reader:reader-pw", real, "postgres"), "postgres_read_only"},
	} {
		t.Run(strings.ReplaceAll(c.why, " ", "_"), func(t *testing.T) {
			e := newEngine(t, func(o *postgres.Options) {
				o.Servers[0].URL = redact.New(c.url)
				o.ConnectTimeout = 500 * time.Millisecond
			})
			began := time.Now()
			req := request("faulty")
			_, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
			f := fault.From(err)
			if f.Code != c.code || f.Kind != fault.Unavailable || f.Hint == "" {
				t.Fatalf("want %s, got %s (%v): %v", c.code, f.Code, f.Kind, err)
			}
			if d := time.Since(began); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
			if strings.Contains(fmt.Sprintf("%v %+v %#v", err, err, f), canary) {
				t.Error("the password shows in the error")
			}
			if c.code == "postgres_missing_privilege" || c.code == "postgres_read_only" {
				return // they observe well
			}
			o, err := e.Observe(t.Context(), []engine.Request{req})
			if err != nil || len(o) != 1 || fault.From(o[0].Err).Code != c.code {
				t.Errorf("observe: %+v, %v", o, err)
			}
		})
	}
	t.Run("no_connection_left", func(t *testing.T) {
		url := redact.New(at("one:one-pw", real, "postgres"))
		conn, err := pgx.Connect(t.Context(), url.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		e := newEngine(t, func(o *postgres.Options) { o.Servers[0].URL = url })
		if _, err := e.Plan(t.Context(), request("full")); fault.From(err).Code != "postgres_too_many_connections" {
			t.Fatalf("%v", err)
		}
	})
}

func TestOneDeadServerDoesNotSpoilAnother(t *testing.T) {
	t.Parallel()
	e := newEngine(t, func(o *postgres.Options) {
		o.Servers = append(o.Servers, postgres.Server{Name: "dead", URL: redact.New("postgres://u:p@" + closed(t) + "/postgres")})
	})
	req, dead, unknown := request("alive"), request("dead"), request("unknown")
	dead.Template.Spec = []byte(`{"server":"dead"}`)
	unknown.Template.Spec = []byte(`{"server":"nowhere"}`)
	res := apply(t, e, req)
	req.Previous = &res
	o, err := e.Observe(t.Context(), []engine.Request{dead, req, unknown})
	if err != nil || o[0].Err == nil || o[1].Err != nil || o[1].Presence != engine.Present || o[2].Err == nil {
		t.Fatalf("%+v, %v", o, err)
	}
}

func TestCancelIsPromptOnAServerThatHangs(t *testing.T) {
	t.Parallel()
	e := newEngine(t, func(o *postgres.Options) {
		o.Servers[0].URL = redact.New("postgres://u:p@" + silent(t) + "/postgres?sslmode=disable")
		o.ConnectTimeout = time.Minute
	})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := e.Apply(ctx, request("hung"), engine.Plan{}, engine.Discard); fault.From(err).Code != "interrupted" {
		t.Fatalf("%v", err)
	}
	if d := time.Since(began); d > 3*time.Second {
		t.Fatalf("took %v", d)
	}
}

// TestAStaleWorkerIsSetAside holds a resource's work in the middle, as a
// stopped process does, and lets another worker take over.
func TestAStaleWorkerIsSetAside(t *testing.T) {
	t.Parallel()
	asleep, wake := make(chan struct{}), make(chan struct{})
	var once sync.Once
	stale := newEngine(t, func(o *postgres.Options) {
		o.OnCall = func(point string) {
			if point == "postgres.create_database.after" {
				once.Do(func() { close(asleep); <-wake })
			}
		}
	})
	req := request("fenced")
	done := make(chan error, 1)
	go func() {
		_, err := stale.Apply(context.Background(), req, engine.Plan{}, engine.Discard)
		done <- err
	}()
	<-asleep
	fresh := newEngine(t, func(o *postgres.Options) { o.LockWait = 300 * time.Millisecond })
	if err := fresh.Destroy(t.Context(), req, engine.Discard); err != nil {
		t.Fatal(err)
	}
	close(wake)
	if err := <-done; !fault.Is(err, fault.Unavailable) {
		t.Fatalf("the stale worker went on: %v", err)
	}
	o, err := fresh.Observe(t.Context(), []engine.Request{req})
	if err != nil || o[0].Presence != engine.Absent {
		t.Fatalf("the stale worker left something: %+v %v", o, err)
	}
}
