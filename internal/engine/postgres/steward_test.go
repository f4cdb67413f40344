package postgres_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"fairlead/internal/engine"
	"fairlead/internal/engine/enginetest"
	"fairlead/internal/engine/postgres"
	"fairlead/internal/fault"
	"fairlead/internal/redact"
)

// steward makes an account that may make databases and roles, and nothing
// else: the least of what a managed server gives.
func steward(t *testing.T) (name string, change func(*postgres.Options)) {
	t.Helper()
	name = strings.ReplaceAll(unique("steward"), "-", "_")
	admin(t, `CREATE ROLE `+name+` LOGIN CREATEDB CREATEROLE PASSWORD 'steward-pw'; GRANT CONNECT ON DATABASE postgres TO `+name)
	return name, func(o *postgres.Options) {
		o.Servers[0].URL = redact.New(fmt.Sprintf("postgres://%s:steward-pw@127.0.0.1:%d/postgres?sslmode=disable", name, shared.Port()))
	}
}

func TestConformanceWithoutSuperuser(t *testing.T) {
	t.Parallel()
	name, change := steward(t)
	h := harness(change)
	h.Tampers = nil // see TestHealingWithoutSuperuser
	adoptable := h.Adoptable
	h.Adoptable = func(t *testing.T, of string) (engine.Request, engine.Adoption) {
		req, a := adoptable(t, of)
		owner := strings.TrimPrefix(a.Object, "database/")
		admin(t, `GRANT `+quote(owner)+` TO `+name+` WITH ADMIN OPTION`)
		return req, a
	}
	enginetest.Run(t, h)
}

// TestHealingWithoutSuperuser: what somebody else changed is put right, or is
// refused in so many words; never is it taken for done while it is not.
func TestHealingWithoutSuperuser(t *testing.T) {
	t.Parallel()
	_, change := steward(t)
	e := newEngine(t, change)
	var refused []string
	for _, tamper := range harness(change).Tampers {
		req := request("heal")
		res, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
		if err != nil {
			t.Fatal(err)
		}
		tamper.Do(t, res)
		req.Previous = &res
		if tamper.Name == "Password" {
			if o, err := e.Observe(t.Context(), []engine.Request{req}); err != nil || len(o[0].Drift) > 0 {
				t.Errorf("without a look at the verifiers it sees %+v, %v", o, err)
			}
			continue
		}
		healed, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
		if err != nil {
			if f := fault.From(err); f.Code != "postgres_missing_privilege" || f.Hint == "" {
				t.Errorf("%s: %v", tamper.Name, err)
			}
			refused = append(refused, tamper.Name)
			continue
		}
		req.Previous = &healed
		o, err := e.Observe(t.Context(), []engine.Request{req})
		if err != nil || o[0].Presence != engine.Present || len(o[0].Drift) > 0 {
			t.Errorf("%s: said to be healed, and is not: %+v, %v", tamper.Name, o, err)
		}
		if err := use(t.Context(), healed); err != nil {
			t.Errorf("%s: said to be healed, and cannot be used: %v", tamper.Name, err)
		}
		if err := e.Destroy(t.Context(), req, engine.Discard); err != nil {
			t.Errorf("%s: %v", tamper.Name, err)
		}
	}
	t.Logf("an account that is no superuser cannot heal %v", refused)
	for _, name := range refused { // a superuser's doing, or from 16 on another account's
		if !slices.Contains([]string{"Superuser", "Owner", "OwnerDropped", "MemberOfMore"}, name) {
			t.Errorf("%s cannot be healed", name)
		}
	}
}

// TestLifeWithoutSuperuser goes through the rest: a prepared database, two
// rotations, a session that is retired, a dump, rights elsewhere.
func TestLifeWithoutSuperuser(t *testing.T) {
	t.Parallel()
	_, change := steward(t)
	ledger := &postgres.MemoryLedger{}
	e, installation := pooled(t, 1, ledger, change, func(o *postgres.Options) { o.SnapshotDir = filepath.Join(t.TempDir(), "dumps") })
	if err := e.FillOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	other, err := e.Apply(t.Context(), of(installation, "other"), engine.Plan{}, engine.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.FillOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	req := of(installation, "life")
	req.Inputs = map[string]any{"extensions": []any{"pg_trgm"}}
	first, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if n := poolOf(t, installation); len(n) != 0 {
		t.Fatalf("the prepared databases %v were not taken", n)
	}
	if err := as(t.Context(), first.Outputs["url"].Secret, `CREATE TABLE one (n int)`, `SET ROLE NONE`); err != nil {
		t.Fatal(err)
	}
	open, err := pgx.Connect(t.Context(), first.Outputs["url"].Secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = open.Close(t.Context()) }()
	req.Previous = &first
	var last engine.Result
	for _, rotation := range []string{"r1", "r2"} {
		if last, err = e.Rotate(t.Context(), req, rotation, engine.Discard); err != nil {
			t.Fatal(err)
		}
		req.Previous = &last
		if err := e.Retire(t.Context(), req); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := open.Exec(t.Context(), `SELECT 1`); err == nil {
		t.Error("a session goes on after its credentials were retired")
	}
	if err := as(t.Context(), last.Outputs["url"].Secret, `ALTER TABLE one ADD m int`); err != nil {
		t.Fatal(err)
	}
	if err := as(t.Context(), shared.URL(text(other, "database")), `CREATE TABLE lent (n int)`, `ALTER TABLE lent OWNER TO `+quote(text(last, "database"))); err != nil {
		t.Fatal(err)
	}
	if err := e.Destroy(t.Context(), req, engine.Discard); err != nil {
		t.Fatal(err)
	}
	if o, err := e.Observe(t.Context(), []engine.Request{{Ref: req.Ref, Template: req.Template, Inputs: req.Inputs}}); err != nil || o[0].Presence != engine.Absent {
		t.Fatalf("%+v, %v", o, err)
	}
}

// TestASuperusersSessionIsInTheWay: what our account may not end is told, and
// when it is gone the database goes.
func TestASuperusersSessionIsInTheWay(t *testing.T) {
	t.Parallel()
	_, change := steward(t)
	e, req := newEngine(t, change), request("watched")
	res, err := e.Apply(t.Context(), req, engine.Plan{}, engine.Discard)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), shared.URL(text(res, "database")).Reveal())
	if err != nil {
		t.Fatal(err)
	}
	req.Previous = &res
	if err := e.Destroy(t.Context(), req, engine.Discard); fault.From(err).Code != "postgres_object_in_use" {
		t.Errorf("want postgres_object_in_use, got %v", err)
	}
	if err := conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := e.Destroy(t.Context(), req, engine.Discard); err != nil {
		t.Fatal(err)
	}
}

// TestWhatBelongsToOthersIsNotAdopted, and nothing of it is changed.
func TestWhatBelongsToOthersIsNotAdopted(t *testing.T) {
	t.Parallel()
	_, change := steward(t)
	h := harness(change)
	req, a := h.Adoptable(t, "others")
	before := h.World(t)
	err := newEngine(t, change).Adopt(t.Context(), req, a, engine.Discard)
	if f := fault.From(err); f.Code != "postgres_missing_privilege" || f.Hint == "" {
		t.Errorf("want postgres_missing_privilege, got %v", err)
	}
	if after := h.World(t); after != before {
		t.Errorf("a refusal changed something:\n%s\n%s", before, after)
	}
}
