package app

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/backup"
	"fairlead/internal/conf"
	"fairlead/internal/engine"
	"fairlead/internal/engine/postgres"
	"fairlead/internal/engine/postgres/pgserver"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
	"fairlead/internal/secret/embedded"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// dumpKey is the key pair of the installation in a data directory, as a server
// has it.
func dumpKey(t *testing.T, data string) *backup.Dumps {
	t.Helper()
	c := conf.Default()
	c.Data = data
	db := sqldbtest.Open(t, sqldb.Options{URL: c.StoreURL()})
	secrets, err := embedded.New(t.Context(), embedded.Options{DB: db, KeyDir: filepath.Join(data, "keys"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	d, err := backup.NewDumps(t.Context(), db, secrets)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ask(t *testing.T, url redact.Secret, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	res, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if last := res[len(res)-1]; len(last.Rows) == 1 {
		return string(last.Rows[0][0])
	}
	return ""
}

// A destroyed database's last dump cannot be read from the disk, and goes into
// another database with what the server's host has.
func TestALastDumpIsSealedAndGoesBackIn(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	dumps := filepath.Join(data, "dumps")
	e, err := postgres.New(postgres.Options{
		Installation: "inst-dump", SnapshotDir: dumps, Seal: dumpKey(t, data).Seal,
		Servers: []postgres.Server{{URL: redact.New(sqldbtest.PostgresServer(t))}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	database := func(id string) (engine.Request, engine.Result) {
		req := engine.Request{
			Ref:      engine.Ref{Installation: "inst-dump", ID: id, Name: "orders", Team: "t", Project: "p", Environment: "dev"},
			Revision: 1, Template: engine.Template{Name: "postgres", Version: "1.0.0"}, LifeCycle: engine.LifeCycle{Stateful: true},
		}
		res, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
		if err != nil {
			t.Fatal(err)
		}
		return req, res
	}
	req, res := database("res_first")
	ask(t, res.Outputs["url"].Secret, `CREATE TABLE precious (t text); INSERT INTO precious VALUES ('canary ring')`)
	req.Previous, req.LifeCycle.SnapshotOnDestroy = &res, true
	if err := e.Destroy(t.Context(), req, engine.Discard); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(dumps + "/*")
	if err != nil || len(kept) != 1 || !strings.HasSuffix(kept[0], ".dump.age") {
		t.Fatalf("%v, %v", kept, err)
	}
	raw, err := os.ReadFile(kept[0])
	if err != nil || !bytes.HasPrefix(raw, []byte("age-encryption.org/v1")) || bytes.Contains(raw, []byte("PGDMP")) || bytes.Contains(raw, []byte("precious")) {
		t.Fatalf("not sealed: %d bytes, %v", len(raw), err)
	}

	opened := filepath.Join(t.TempDir(), "opened.dump")
	here := dumpFlags{data: data, store: "sqlite"}
	to := here
	to.to = opened
	if err := to.open(t.Context(), kept[0], nil); err != nil {
		t.Fatal(err)
	}
	bin, err := pgserver.Binaries("pg_dump")
	if err != nil {
		t.Fatal(err)
	}
	_, second := database("res_second")
	restore := exec.CommandContext(t.Context(), filepath.Join(bin, "pg_restore"), "--exit-on-error", "--no-owner", "--no-privileges", "-d", second.Outputs["url"].Secret.Reveal(), opened)
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := ask(t, second.Outputs["url"].Secret, `SELECT t FROM precious`); got != "canary ring" {
		t.Errorf("restored %q", got)
	}

	foreign := t.TempDir()
	dumpKey(t, foreign)
	cut := filepath.Join(t.TempDir(), "cut.dump.age")
	if err := os.WriteFile(cut, raw[:len(raw)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why  string
		f    dumpFlags
		file string
		code string // "": any error
	}{
		{"another installation has another key", dumpFlags{data: foreign, store: "sqlite"}, kept[0], "dump_wrong_key"},
		{"no installation has none, and makes none", dumpFlags{data: t.TempDir(), store: "sqlite"}, kept[0], "no_master_key"},
		{"an opened dump is no sealed one", here, opened, "dump_damaged"},
		{"a dump that was cut short", here, cut, ""},
		{"nothing is written over", to, kept[0], "file_not_written"},
		{"no dump", here, kept[0] + ".not", "no_such_file"},
	} {
		err := c.f.open(t.Context(), c.file, &bytes.Buffer{})
		if f, _ := errors.AsType[*fault.Error](err); err == nil || c.code != "" && (f == nil || f.Code != c.code) {
			t.Errorf("%s: %v", c.why, err)
		}
	}
}

// A replica, or the next start, has the key of the first.
func TestASecondStartSealsForTheSameKey(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	a, b := dumpKey(t, data), dumpKey(t, data)
	var sealed bytes.Buffer
	w, err := a.Seal(&sealed)
	if err == nil {
		_, err = w.Write([]byte("x"))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Open(t.Context(), &sealed); err != nil {
		t.Fatal(err)
	}
}
