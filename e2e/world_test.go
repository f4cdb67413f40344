package e2e

import (
	"bytes"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is what there is on an engine's server that is not a store: object ->
// its comment.
func world(b *box) (map[string]string, error) {
	db, err := sql.Open("pgx", b.url("postgres"))
	if err != nil {
		return nil, err
	}
	defer db.Close()
	found, err := tryColumn(db, `
		SELECT 'database ' || datname || ' ' || coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database
			WHERE datname NOT IN ('postgres', 'template0', 'template1') AND datname NOT LIKE 'store\_%'
		UNION ALL SELECT 'role ' || rolname || ' ' || coalesce(shobj_description(oid, 'pg_authid'), '') FROM pg_roles
			WHERE rolname <> 'postgres' AND rolname NOT LIKE 'pg\_%'`)
	out := map[string]string{}
	for _, f := range found {
		p := strings.SplitN(f, " ", 3)
		out[p[0]+" "+p[1]] = p[2]
	}
	return out, err
}

// recorded is what the store says there is: object -> resource's id, or "pool".
func recorded(db *sql.DB) (map[string]string, error) {
	out := map[string]string{}
	live, err := tryColumn(db, `SELECT id || ' ' || objects FROM resources WHERE engine = 'postgres' AND destroyed_at IS NULL`)
	if err != nil {
		return nil, err
	}
	for _, l := range live {
		id, text, _ := strings.Cut(l, " ")
		var objects []struct{ Kind, Name string }
		if err := json.Unmarshal([]byte(text), &objects); err != nil {
			return nil, err
		}
		for _, o := range objects {
			if out[o.Kind+" "+o.Name] != "" {
				return nil, fmt.Errorf("%s has two records", o.Name)
			}
			out[o.Kind+" "+o.Name] = id
		}
	}
	pool, err := tryColumn(db, `SELECT name FROM pg_pool`)
	for _, p := range pool {
		for _, o := range []string{"database ", "role "} {
			out[o+p] = "pool"
		}
		out["role "+p+"_a"] = "pool"
	}
	suspects, err2 := tryColumn(db, `SELECT kind || ' ' || name FROM suspects WHERE resolved_at IS NULL`)
	for _, s := range suspects {
		if out[s] == "" {
			out[s] = "suspect"
		}
	}
	if err == nil {
		err = err2
	}
	return out, err
}

// compare is I1: every object has one record, every record its objects.
func compare(b *box, db *sql.DB) string {
	there, err := world(b)
	if err != nil {
		return err.Error()
	}
	want, err := recorded(db)
	if err != nil {
		return err.Error()
	}
	installation, err := tryColumn(db, `SELECT value FROM settings WHERE key = 'installation'`)
	if err != nil || len(installation) != 1 {
		return fmt.Sprintf("installation: %v %v", installation, err)
	}
	var wrong []string
	for o, comment := range there {
		owner := want[o]
		switch {
		case owner == "":
			wrong = append(wrong, o+" has no record")
		case owner == "suspect":
		case owner == "pool" && comment == "": // its making was cut off: it has its record, and the next sweep drops it
		case !strings.Contains(comment, `"`+installation[0]+`"`):
			wrong = append(wrong, o+" has no marker: "+comment)
		case owner != "pool" && !strings.Contains(comment, `"`+owner+`"`):
			wrong = append(wrong, o+" is marked as another's: "+comment)
		}
	}
	for o, owner := range want {
		if _, ok := there[o]; !ok && owner != "pool" && owner != "suspect" {
			wrong = append(wrong, o+" of "+owner+" is not there")
		}
	}
	slices.Sort(wrong)
	return strings.Join(wrong, "; ")
}

// clear removes what a scenario leaves, for the next on the same server.
func (b *box) clear(t testing.TB) {
	t.Helper()
	there, err := world(b)
	if err != nil {
		t.Fatal(err)
	}
	var drop []string
	for o := range there {
		kind, name, _ := strings.Cut(o, " ")
		if kind == "database" {
			drop = append([]string{`DROP DATABASE IF EXISTS "` + name + `" WITH (FORCE)`}, drop...)
		} else {
			drop = append(drop, `DROP ROLE IF EXISTS "`+name+`"`)
		}
	}
	b.exec(t, drop...)
}

// exactly is what one job leaves in the audit log, however often it was cut
// off: once is once. What may be asked for again is in atLeast.
var exactly = map[string]int{
	"team:create shop": 1, "project:create web": 1, "environment:create dev": 1, "user:create mallory": 1,
	"template:push pg-tiny": 1, "template:push app": 1,
	"resource:create orders": 1, "resource:create app": 1, "resource:create keep": 1, "resource:create slow": 1, "resource:create bad": 1,
	"resource:update orders": 2, "resource:update slow": 1, "resource:rotate orders": 1, "resource:rotate app": 1, "resource:retry bad": 1,
	"resource:destroy orders": 1, "resource:destroy app": 1, "resource:destroy slow": 1, "resource:destroy bad": 1,
	"resource:destroyed orders": 1, "resource:destroyed app": 1, "resource:destroyed slow": 1, "resource:destroyed bad": 1,
	"run:cancel slow": 1, "system:rotate-master-key master-key": 1, "token:revoke ci": 1, "user:create administrator": 1,
}

var atLeast = map[string]int{
	"token:create e2e": 2, "token:create ci": 1, "user:update mallory": 1, "user:update administrator": 1, "system:backup backup": 1,
	"resource:reveal orders": 4, "run:succeed orders": 3, "run:succeed app": 1, "run:succeed keep": 1, "run:succeed slow": 1,
	"access:update policies": 1,
}

// invariants holds what there is against what the job was told.
func (j *job) invariants(s *server) {
	t := j.t
	t.Helper()
	db := s.db(t)
	eventually(t, 20*time.Second, func() string { return compare(s.engine, db) }) // I1, I6
	eventually(t, 10*time.Second, func() string {
		if open := column(t, db, `SELECT id || ' ' || kind || ' ' || phase FROM runs WHERE finished_at IS NULL`); len(open) > 0 {
			return fmt.Sprintf("runs that never end: %v", open)
		}
		return ""
	})
	equal(t, "I2, I5: one resource a request, and the one that was answered", wantResources(j), column(t, db, `SELECT id || ' ' || name FROM resources ORDER BY name`))
	equal(t, "I2: revisions of orders", []string{"1", "2", "3"}, column(t, db, `SELECT number FROM revisions WHERE resource_id = $1 ORDER BY number`, j.orders))
	equal(t, "I6: what lives is ready", []string{"keep ready"}, column(t, db, `SELECT name || ' ' || phase FROM resources WHERE destroyed_at IS NULL`))
	equal(t, "secrets of what is gone", nil, column(t, db, `SELECT r.name || ' ' || s.name FROM secrets s JOIN resources r ON r.id = s.owner WHERE r.destroyed_at IS NOT NULL`))
	if n := column(t, db, `SELECT count(*) FROM resources WHERE name = 'stolen'`); n[0] != "0" {
		t.Error("I7: what was denied was done")
	}
	j.audited(db)
	j.verified()
}

func wantResources(j *job) []string {
	acked := slices.Clone(j.acked)
	slices.SortFunc(acked, func(a, b ack) int { return strings.Compare(a.name, b.name) })
	var out []string
	for _, a := range acked {
		out = append(out, a.id+" "+a.name)
	}
	return out
}

func (j *job) audited(db *sql.DB) {
	count := map[string]int{}
	for _, v := range column(j.t, db, `SELECT action || ' ' || target_name FROM audit_log WHERE decision = 'allowed'`) {
		count[v]++
	}
	for what, n := range exactly {
		if count[what] != n {
			j.t.Errorf("I2, I3: %q is in the audit log %d times, not %d", what, count[what], n)
		}
	}
	for what, n := range atLeast {
		if count[what] < n {
			j.t.Errorf("I3: %q is in the audit log %d times, not at least %d", what, count[what], n)
		}
	}
	for what := range count {
		if strings.HasSuffix(what, " stolen") {
			j.t.Errorf("I7: %q was allowed", what)
		}
	}
}

// verified is I3: the export verifies offline.
func (j *job) verified() {
	j.t.Helper()
	r := j.c.must(j.t, "GET", "/api/v1/audit/export", nil, "", 200)
	file := filepath.Join(j.t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(file, r.body, 0o600); err != nil {
		j.t.Fatal(err)
	}
	if out, err := cli(j.t, nil, "", "audit", "verify", file); err != nil {
		j.t.Errorf("I3: the audit chain does not verify: %v\n%s", err, out)
	}
	j.leaks("the audit export", r.body)
}

// leaks is I4 for one text.
func (j *job) leaks(where string, text []byte) {
	for secret, what := range j.canaries {
		if len(secret) < 8 {
			continue
		}
		if bytes.Contains(text, []byte(secret)) || bytes.Contains(text, []byte(hex.EncodeToString([]byte(secret)))) {
			j.t.Errorf("I4: %s is in %s", what, where)
		}
	}
}

// secrecy is I4: no canary in logs, in the data directory, in the store, in
// the log of the engine's server.
func (j *job) secrecy(s *server, boxLogFrom int64) {
	t := j.t
	t.Helper()
	log, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	j.leaks("the server's log", log)
	if f, err := os.Open(filepath.Join(s.engine.dir, "log")); err == nil {
		defer f.Close()
		var b bytes.Buffer
		_, _ = f.Seek(boxLogFrom, 0)
		_, _ = b.ReadFrom(f)
		j.leaks("the log of the engine's server", b.Bytes())
	}
	_ = filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if b, err := os.ReadFile(path); err == nil && filepath.Base(path) != "first-sign-in-link" {
			j.leaks("the file "+d.Name(), b)
		}
		return nil
	})
	if s.store == "sqlite" {
		return
	}
	db := s.db(t)
	for _, table := range column(t, db, `SELECT tablename FROM pg_tables WHERE schemaname = 'public'`) {
		j.leaks("table "+table, []byte(strings.Join(column(t, db, `SELECT x::text FROM "`+table+`" x`), "\n")))
	}
}

func (b *box) logSize() int64 {
	st, err := os.Stat(filepath.Join(b.dir, "log"))
	if err != nil {
		return 0
	}
	return st.Size()
}

func equal(t testing.TB, what string, want, got []string) {
	t.Helper()
	if !slices.Equal(want, got) {
		t.Errorf("%s: want %v, got %v", what, want, got)
	}
}
