package postgres_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"fairlead/internal/engine"
	"fairlead/internal/engine/postgres"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// elsewhere is res's URL with another database in it.
func elsewhere(t *testing.T, res engine.Result, database string) redact.Secret {
	t.Helper()
	cfg, err := pgx.ParseConfig(res.Outputs["url"].Secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	return redact.New(fmt.Sprintf("postgres://%s:%s@%s:%d/%s?sslmode=disable", cfg.User, cfg.Password, cfg.Host, cfg.Port, database))
}

func denied(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == "42501"
}

func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	a, b := apply(t, e, request("alpha")), apply(t, e, request("beta"))
	ctx := t.Context()

	if err := as(ctx, elsewhere(t, a, text(b, "database"))); !denied(err) {
		t.Errorf("alpha's log-in into beta's database: %v", err)
	}
	for _, d := range []string{"postgres", "template1"} {
		if err := as(ctx, elsewhere(t, a, d)); !denied(err) {
			t.Errorf("a tenant in the maintenance database %s: %v", d, err)
		}
	}
	for why, sql := range map[string]string{
		"become the neighbour":   `SET ROLE ` + quote(text(b, "database")),
		"make a role":            `CREATE ROLE intruder`,
		"make a database":        `CREATE DATABASE intruder`,
		"read files":             `SELECT pg_read_file('/etc/passwd')`,
		"run a program":          `COPY (SELECT 1) TO PROGRAM 'id'`,
		"read the verifiers":     `SELECT rolpassword FROM pg_authid`,
		"rename the database":    `ALTER DATABASE ` + quote(text(a, "database")) + ` RENAME TO stolen`,
		"forge a role's marker":  `COMMENT ON ROLE ` + quote(text(a, "username")) + ` IS 'x'`,
		"end others' sessions":   `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'fairlead'`,
		"lend the owner role":    `GRANT ` + quote(text(a, "database")) + ` TO ` + quote(text(b, "username")),
		"drop the neighbour":     `DROP DATABASE ` + quote(text(b, "database")),
		"drop its own, and flee": `DROP ROLE ` + quote(text(a, "username")),
	} {
		if err := as(ctx, a.Outputs["url"].Secret, sql); err == nil && why != "end others' sessions" {
			t.Errorf("a tenant may %s", why)
		}
	}
	acl := rows(t, shared.URL("postgres"), `SELECT DISTINCT x.grantee::regrole::text FROM pg_database d, aclexplode(d.datacl) x WHERE d.datname = $1`, text(a, "database"))
	if len(acl) != 1 || acl[0] != text(a, "database") {
		t.Errorf("grants for %v", acl)
	}
	schema := rows(t, elsewhereAdmin(text(a, "database")), `SELECT has_schema_privilege('pg_monitor', 'public', 'CREATE')::text`)
	if schema[0] != "false" {
		t.Error("others may create in the schema public")
	}
}

func elsewhereAdmin(database string) redact.Secret { return shared.URL(database) }

func TestWhatEitherLoginMakesBelongsToTheOwner(t *testing.T) {
	t.Parallel()
	e, req := newEngine(t), request("own")
	old := apply(t, e, req)
	if err := as(t.Context(), old.Outputs["url"].Secret, `CREATE TABLE one (n int)`, `SET ROLE NONE`, `CREATE TABLE two (n int)`); err != nil {
		t.Fatal(err)
	}
	req.Previous = &old
	next, err := e.Rotate(t.Context(), req, "r1", engine.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if text(next, "username") == text(old, "username") || next.Outputs["password"].Secret.Equal(old.Outputs["password"].Secret) {
		t.Fatal("nothing was rotated")
	}
	req.Previous = &next
	if err := e.Retire(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if err := as(t.Context(), next.Outputs["url"].Secret, `ALTER TABLE one ADD m int`, `ALTER TABLE two ADD m int`, `CREATE TABLE three (n int)`); err != nil {
		t.Fatal(err)
	}
	owners := rows(t, shared.URL(text(next, "database")), `SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'public'`)
	if len(owners) != 1 || owners[0] != text(next, "database") {
		t.Fatalf("owners %v", owners)
	}
}

func TestRetireEndsSessions(t *testing.T) {
	t.Parallel()
	e, req := newEngine(t), request("sessions")
	old := apply(t, e, req)
	conn, err := pgx.Connect(t.Context(), old.Outputs["url"].Secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	req.Previous = &old
	next, err := e.Rotate(t.Context(), req, "r1", engine.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `SELECT 1`); err != nil {
		t.Fatalf("the session ended within the overlap: %v", err)
	}
	req.Previous = &next
	if err := e.Retire(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), `SELECT 1`); err == nil {
		t.Fatal("the session goes on after the retirement")
	}
}

func TestHostileNames(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	good := regexp.MustCompile(`^[a-z][a-z0-9_]{0,60}$`)
	for why, name := range map[string]string{
		"SQL":              `x"; DROP DATABASE postgres; --`,
		"a quote":          `o'neil`,
		"reserved by PG":   "pg-main",
		"the pool's":       "fl-pool-1",
		"empty":            "",
		"digits first":     "1st",
		"long":             strings.Repeat("long", 50),
		"a NUL":            "a\x00b",
		"invalid UTF-8":    "a\xff\xfe",
		"not ASCII":        "größe",
		"a backslash":      `a\'; DROP ROLE x`,
		"a dollar quote":   "$$",
		"connection trick": "host=evil dbname=x",
	} {
		req := request(name)
		req.Ref.Project, req.Ref.Environment = name, name // they go into the marker
		res := apply(t, e, req)
		if !good.MatchString(text(res, "database")) || !good.MatchString(text(res, "username")) || len(text(res, "username")) > 63 {
			t.Errorf("%s: %s", why, text(res, "database"))
		}
		if err := use(t.Context(), res); err != nil {
			t.Errorf("%s: %v", why, err)
		}
		req.Previous = &res
		if o, err := e.Observe(t.Context(), []engine.Request{req}); err != nil || o[0].Presence != engine.Present || len(o[0].Drift) > 0 {
			t.Errorf("%s: %+v %v", why, o, err)
		}
	}
}

// TestThePasswordNeverReachesTheServersLog logs every statement and searches.
func TestThePasswordNeverReachesTheServersLog(t *testing.T) {
	t.Parallel()
	admin(t, `CREATE ROLE talker LOGIN SUPERUSER PASSWORD 'talker-pw'; ALTER ROLE talker SET log_statement = 'all'`)
	e := newEngine(t, func(o *postgres.Options) {
		o.Servers[0].URL = redact.New(fmt.Sprintf("postgres://talker:talker-pw@127.0.0.1:%d/postgres", shared.Port()))
	})
	req := request("quiet")
	res := apply(t, e, req)
	req.Previous = &res
	next, err := e.Rotate(t.Context(), req, "r", engine.Discard)
	if err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(shared.DataDir(), "log", "*"))
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, l := range logs {
		raw, err := os.ReadFile(l)
		if err != nil {
			t.Fatal(err)
		}
		all += string(raw)
	}
	if !strings.Contains(all, text(res, "username")) {
		t.Fatal("the log does not show the statements; the test proves nothing")
	}
	for _, r := range []engine.Result{res, next} {
		if strings.Contains(all, r.Outputs["password"].Secret.Reveal()) {
			t.Fatal("the password is in the server's log")
		}
	}
}

func TestExtensions(t *testing.T) {
	t.Parallel()
	e, req := newEngine(t), request("ext")
	req.Inputs = map[string]any{"extensions": []any{"pg_trgm", "uuid-ossp", "isn"}}
	res := apply(t, e, req)
	got := rows(t, shared.URL(text(res, "database")), `SELECT extname::text FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1`)
	if strings.Join(got, " ") != "isn pg_trgm uuid-ossp" {
		t.Fatalf("%v", got)
	}
	if err := as(t.Context(), res.Outputs["url"].Secret, `SELECT similarity('a', 'b')`); err != nil {
		t.Fatal(err)
	}
}

func TestSnapshotOnDestroy(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dumps")
	e := newEngine(t, func(o *postgres.Options) { o.SnapshotDir = dir })
	req := request("last")
	res := apply(t, e, req)
	if err := as(t.Context(), res.Outputs["url"].Secret, `CREATE TABLE precious (t text); INSERT INTO precious VALUES ('ring')`); err != nil {
		t.Fatal(err)
	}
	req.Previous, req.LifeCycle.SnapshotOnDestroy = &res, true

	broken := newEngine(t, func(o *postgres.Options) { o.SnapshotDir, o.DumpProgram = dir, "/bin/false" })
	if err := broken.Destroy(t.Context(), req, engine.Discard); !errors.Is(err, fault.New(fault.Unavailable, "snapshot_failed", "")) {
		t.Fatalf("want snapshot_failed, got %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Fatalf("a half-written dump is left: %v", left)
	}
	healed, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard) // the destroy was given up
	if err != nil {
		t.Fatal(err)
	}
	if err := use(t.Context(), healed); err != nil {
		t.Fatalf("nothing was to be dropped without a dump: %v", err)
	}
	if err := e.Destroy(t.Context(), req, engine.Discard); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, text(res, "database")+".dump")
	raw, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(raw), "PGDMP") || !strings.Contains(string(raw), "precious") {
		t.Fatalf("dump of %d bytes: %v", len(raw), err)
	}
	if info, _ := os.Stat(file); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	none := newEngine(t)
	if err := none.Destroy(t.Context(), req, engine.Discard); err == nil {
		t.Error("destroyed without a place for the dump")
	}
}

func TestDestroyOfRolesThatGotRightsElsewhere(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	other := apply(t, e, request("lender"))
	req := request("borrower")
	res, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := as(t.Context(), shared.URL(text(other, "database")),
		`CREATE TABLE lent (n int)`, `GRANT SELECT ON lent TO `+quote(text(res, "username")), `ALTER TABLE lent OWNER TO `+quote(text(res, "database"))); err != nil {
		t.Fatal(err)
	}
	if err := e.Destroy(t.Context(), req, engine.Discard); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, shared.URL(text(other, "database")), `SELECT tableowner::text FROM pg_tables WHERE tablename = 'lent'`); len(n) != 1 || n[0] != "fairlead" {
		t.Fatalf("the neighbour's table: %v", n)
	}
}
