package postgres_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/engine"
	"fairlead/internal/engine/postgres"
	"fairlead/internal/engine/postgres/pgserver"
	"fairlead/internal/redact"
)

var shared *pgserver.Server

func TestMain(m *testing.M) { os.Exit(run(m)) }

// run gives the tests one real server, and takes it away.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fl-engine-")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o711); err != nil {
		panic(err)
	}
	home := filepath.Join(dir, "postgres")
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if shared != nil {
			_ = shared.Stop(ctx)
		}
		_ = pgserver.Remove(ctx, home)
	}()
	if shared, err = pgserver.Start(context.Background(), pgserver.Options{Dir: home}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// These tests crash no machine, and DROP DATABASE waits for a checkpoint.
	for _, sql := range []string{`ALTER SYSTEM SET fsync = off`, `ALTER SYSTEM SET full_page_writes = off`, `SELECT pg_reload_conf()`} {
		if err := as(context.Background(), shared.URL("postgres"), sql); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return m.Run()
}

var counter atomic.Int64

func unique(prefix string) string {
	return fmt.Sprintf("%s-%d-%d", prefix, time.Now().UnixNano(), counter.Add(1))
}

func options() postgres.Options {
	return postgres.Options{
		Installation: "inst-test", SnapshotDir: "",
		Servers:  []postgres.Server{{URL: shared.URL("postgres")}},
		LockWait: 2 * time.Second,
	}
}

func newEngine(t *testing.T, change ...func(*postgres.Options)) *postgres.Engine {
	t.Helper()
	opt := options()
	for _, c := range change {
		c(&opt)
	}
	e, err := postgres.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

func request(name string) engine.Request {
	return engine.Request{
		Ref:      engine.Ref{Installation: "inst-test", ID: unique("res"), Name: name, Team: "t", Project: "p", Environment: "dev"},
		Revision: 1, Template: engine.Template{Name: "postgres", Version: "1.0.0"},
		Inputs:    map[string]any{"connectionLimit": 7},
		LifeCycle: engine.LifeCycle{Stateful: true},
	}
}

func apply(t *testing.T, e *postgres.Engine, req engine.Request) engine.Result {
	t.Helper()
	res, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
	if err != nil {
		t.Fatalf("apply: %v", err)
	}
	t.Cleanup(func() {
		req.LifeCycle.SnapshotOnDestroy = false
		if err := e.Destroy(context.Background(), req, engine.Discard); err != nil {
			t.Errorf("destroy: %v", err)
		}
	})
	return res
}

func text(res engine.Result, name string) string {
	s, _ := res.Outputs[name].Value.(string)
	return s
}

// use logs in as a developer does, and writes and reads.
func use(ctx context.Context, res engine.Result) error {
	return as(ctx, res.Outputs["url"].Secret, `CREATE TABLE IF NOT EXISTS notes (t text); INSERT INTO notes VALUES ('x')`)
}

func as(ctx context.Context, url redact.Secret, sql ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url.Reveal())
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, s := range sql {
		if _, err := conn.PgConn().Exec(ctx, s).ReadAll(); err != nil {
			return err
		}
	}
	return nil
}

// admin runs statements as the server's superuser.
func admin(t *testing.T, sql ...string) {
	t.Helper()
	if err := as(context.Background(), shared.URL("postgres"), sql...); err != nil {
		t.Fatal(err)
	}
}

// rows gives a query's first column.
func rows(t *testing.T, url redact.Secret, sql string, args ...any) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	r, err := conn.Query(ctx, sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(r, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func picture(t *testing.T, like string) string {
	return strings.Join(rows(t, shared.URL("postgres"), `
		SELECT 'db ' || datname || ' ' || pg_get_userbyid(datdba) || ' ' || datconnlimit || ' ' || datallowconn || ' ' || coalesce(datacl::text, '') || ' ' || coalesce(shobj_description(oid, 'pg_database'), '')
		FROM pg_database WHERE datname LIKE $1 UNION ALL
		SELECT 'role ' || rolname || ' ' || rolcanlogin || ' ' || rolsuper || ' ' || coalesce(rolpassword, '') || ' ' || coalesce(shobj_description(oid, 'pg_authid'), '')
		FROM pg_authid WHERE rolname LIKE $1 ORDER BY 1`, like), "\n")
}
