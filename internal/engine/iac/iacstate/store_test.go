package iacstate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/fault"
	"fairlead/internal/secret/embedded"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func state(serial int, lineage, secret string, objects int) []byte {
	var list []string
	for i := range objects {
		list = append(list, fmt.Sprintf(`{"mode":"managed","type":"x","name":"n%d","instances":[{}]}`, i))
	}
	list = append(list, `{"mode":"data","type":"d","name":"d","instances":[{}]}`)
	return fmt.Appendf(nil, `{"version":4,"serial":%d,"lineage":%q,"outputs":{"p":{"value":%q}},"resources":[%s]}`, serial, lineage, secret, strings.Join(list, ","))
}

func open(t *testing.T, db *sqldb.DB) *iacstate.Store {
	t.Helper()
	secrets, err := embedded.New(t.Context(), embedded.Options{DB: db, KeyDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return iacstate.New(iacstate.Options{DB: db, Secrets: secrets})
}

func claim(t *testing.T, s *iacstate.Store, id string) *iacstate.Session {
	t.Helper()
	c, err := s.Claim(t.Context(), id, "run_1", nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// must locks, writes and unlocks.
func must(t *testing.T, c *iacstate.Session, body []byte) {
	t.Helper()
	if err := errors.Join(c.Lock(t.Context(), iacstate.Lock{ID: "l"}), c.Write(t.Context(), "l", body), c.Unlock(t.Context(), "l")); err != nil {
		t.Fatal(err)
	}
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return fault.From(err).Code
}

func TestAStateIsKeptAndSealed(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s := open(t, db)
		if body, m, err := s.Read(t.Context(), "res_a"); body != nil || m.Version != 0 || err != nil {
			t.Fatalf("a state that never was: %s %+v %v", body, m, err)
		}
		c := claim(t, s, "res_a")
		const secret = "canary-of-a-state-5e1f"
		for i := 1; i <= iacstate.Kept+3; i++ {
			must(t, c, state(i, "lin", secret, 2))
		}
		body, m, err := s.Read(t.Context(), "res_a")
		if err != nil || !bytes.Equal(body, state(iacstate.Kept+3, "lin", secret, 2)) || m.Objects != 2 || m.Serial != iacstate.Kept+3 || m.Lock != nil {
			t.Fatalf("%s %+v %v", body, m, err)
		}
		kept, _, err := s.Versions(t.Context(), "res_a", sqldb.Page{Limit: 100})
		if err != nil || len(kept) != iacstate.Kept || kept[0].Version != iacstate.Kept+3 {
			t.Fatalf("%d versions, %v", len(kept), err)
		}
		if old, err := s.ReadVersion(t.Context(), "res_a", 10); err != nil || !bytes.Equal(old, state(10, "lin", secret, 2)) {
			t.Fatalf("%s %v", old, err)
		}
		if _, err := s.ReadVersion(t.Context(), "res_a", 2); !fault.Is(err, fault.NotFound) {
			t.Fatalf("a version that went: %v", err)
		}
		var raw []byte
		if err := db.Read().QueryRowContext(t.Context(), `SELECT body FROM iac_state_versions WHERE version = 50`).Scan(&raw); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte(secret)) || bytes.Contains(raw, []byte("lineage")) {
			t.Fatal("the state lies open in the store")
		}
	})
}

func TestAStateIsNotUsedWhenItWasChangedAtRest(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	s := open(t, db)
	for _, id := range []string{"res_a", "res_b"} {
		must(t, claim(t, s, id), state(1, "lin-"+id, id, 1)) // a lineage is one state's
	}
	for why, change := range map[string]string{
		"another state's":     `UPDATE iac_state_versions SET body = (SELECT body FROM iac_state_versions WHERE state = 'res_b') WHERE state = 'res_a'`,
		"another serial":      `UPDATE iac_state_versions SET serial = 7 WHERE state = 'res_b'`,
		"cut short":           `UPDATE iac_state_versions SET body = substr(body, 1, 20) WHERE state = 'res_a'`,
		"nothing but the row": `UPDATE iac_state_versions SET body = x'' WHERE state = 'res_a'`,
	} {
		if err := db.Write(t.Context(), "test", func(tx *sqldb.Tx) error { _, err := tx.ExecContext(t.Context(), change); return err }); err != nil {
			t.Fatal(err)
		}
		id := "res_a"
		if strings.Contains(why, "serial") {
			id = "res_b"
		}
		if body, _, err := s.Read(t.Context(), id); code(err) != "state_damaged" || body != nil {
			t.Errorf("%s: %v", why, err)
		}
	}
}

func TestOnlyTheNewestClaimWithItsLockWrites(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s, ctx := open(t, db), t.Context()
		first := claim(t, s, "res_a")
		must(t, first, state(1, "lin", "", 1))
		for _, row := range []struct {
			why, code string
			do        func() error
		}{
			{"without a lock", "state_not_locked", func() error { return first.Write(ctx, "", state(2, "lin", "", 1)) }},
			{"with a lock that nobody took", "state_not_locked", func() error { return first.Write(ctx, "x", state(2, "lin", "", 1)) }},
			{"by a run that may read", "state_read_only", func() error { return s.Open("res_a", "r").Write(ctx, "", state(2, "lin", "", 1)) }},
			{"a lock by a run that may read", "state_read_only", func() error { return s.Open("res_a", "r").Lock(ctx, iacstate.Lock{ID: "r"}) }},
			{"a lock without an id", "state_lock_invalid", func() error { return first.Lock(ctx, iacstate.Lock{}) }},
		} {
			if err := row.do(); code(err) != row.code {
				t.Errorf("%s: %v", row.why, err)
			}
		}
		if err := first.Lock(ctx, iacstate.Lock{ID: "one", Who: "first"}); err != nil {
			t.Fatal(err)
		}
		if err := first.Lock(ctx, iacstate.Lock{ID: "one"}); err != nil {
			t.Fatalf("the same lock again: %v", err)
		}
		var busy iacstate.Busy
		if err := first.Lock(ctx, iacstate.Lock{ID: "two"}); !errors.As(err, &busy) || busy.Holder.ID != "one" {
			t.Fatalf("want busy, got %v", err)
		}
		if err := first.Unlock(ctx, "two"); !errors.As(err, &busy) {
			t.Fatalf("another's unlock: %v", err)
		}
		for _, row := range []struct {
			why, code string
			body      []byte
		}{
			{"another lineage", "state_lineage", state(2, "other", "", 1)},
			{"a lower serial", "state_serial", state(0, "lin", "", 1)},
			{"the same serial and another state", "state_serial", state(1, "lin", "new", 1)},
			{"the same state again", "", state(1, "lin", "", 1)},
			{"no state", "state_invalid", []byte("hello")},
			{"no lineage", "state_invalid", []byte(`{"version":4,"serial":9}`)},
			{"another format", "state_invalid", []byte(`{"version":3,"serial":9,"lineage":"lin"}`)},
			{"too large", "state_too_large", make([]byte, iacstate.MaxSize+1)},
		} {
			if err := first.Write(ctx, "one", row.body); code(err) != row.code {
				t.Errorf("%s: %v", row.why, err)
			}
		}

		lost := errors.New("the claim is lost")
		if _, err := s.Claim(ctx, "res_a", "run_x", func(context.Context) error { return lost }); !errors.Is(err, lost) {
			t.Fatalf("a claim by who may not: %v", err)
		}
		if m, _ := s.Meta(ctx, "res_a"); m.Lock == nil || m.Lock.Who != "first" {
			t.Fatalf("the lock went without its successor: %+v", m)
		}
		second := claim(t, s, "res_a")
		if m, _ := s.Meta(ctx, "res_a"); m.Lock != nil {
			t.Fatalf("the dead run's lock stayed: %+v", m)
		}
		for why, err := range map[string]error{
			"write": first.Write(ctx, "one", state(2, "lin", "", 1)), "lock": first.Lock(ctx, iacstate.Lock{ID: "one"}),
			"unlock": first.Unlock(ctx, "one"), "forget": first.Forget(ctx),
		} {
			if code(err) != "state_fenced" {
				t.Errorf("%s of a run that was replaced: %v", why, err)
			}
		}
		must(t, second, state(2, "lin", "", 0))
	})
}

func TestRecoverTakesOnlyWhatIsNewer(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, sqldbtest.SQLite(t)), t.Context()
	c := claim(t, s, "res_a")
	must(t, c, state(3, "lin", "", 1))
	next := claim(t, s, "res_a")
	if how, err := next.Recover(ctx, state(2, "lin", "", 5), c.Epoch()); how != iacstate.Older || err != nil {
		t.Fatalf("older: %v %v", how, err)
	}
	if how, err := next.Recover(ctx, state(5, "else", "", 5), c.Epoch()); code(err) != "state_lineage" {
		t.Fatalf("another state: %v %v", how, err)
	}
	if how, err := next.Recover(ctx, state(4, "lin", "", 5), c.Epoch()); how != iacstate.Recovered || err != nil {
		t.Fatalf("newer: %v %v", how, err)
	}
	if m, _ := s.Meta(ctx, "res_a"); m.Objects != 5 || m.Serial != 4 {
		t.Fatalf("%+v", m)
	}
}

// TestWhatAnOvertakenRunLeftIsPutAside: a later run has written since, so
// whatever its serial and lineage, it does not come over that; and it is not
// lost.
func TestWhatAnOvertakenRunLeftIsPutAside(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s, ctx := open(t, db), t.Context()
		slept := claim(t, s, "res_a")
		peer := claim(t, s, "res_a")
		must(t, peer, state(2, "lin", "", 4))
		next := claim(t, s, "res_a")
		for _, lineage := range []string{"lin", "else"} {
			if how, err := next.Recover(ctx, state(9, lineage, "", 2), slept.Epoch()); how != iacstate.Aside || err != nil {
				t.Fatalf("of lineage %s: %v %v", lineage, how, err)
			}
		}
		body, m, err := next.Read(ctx)
		if err != nil || m.Objects != 4 || m.Serial != 2 || m.Lineage != "lin" || m.Version != 5 || !bytes.Equal(body, state(2, "lin", "", 4)) {
			t.Fatalf("%+v %v", m, err)
		}
		list, _, err := s.Versions(ctx, "res_a", sqldb.Page{})
		if err != nil || len(list) != 5 || list[1].Run != "left-behind" || list[1].Serial != 9 {
			t.Fatalf("%+v %v", list, err)
		}
		if left, err := s.ReadVersion(ctx, "res_a", list[1].Version); err != nil || !bytes.Equal(left, state(9, "else", "", 2)) {
			t.Errorf("%s %v", left, err)
		}
		must(t, next, state(3, "lin", "", 4))
		// A rollback counts as a later writer, too.
		writer := claim(t, s, "res_a")
		if _, err := s.Rollback(ctx, "res_a", 1, func(*sqldb.Tx, iacstate.Meta) error { return nil }); err != nil {
			t.Fatal(err)
		}
		after := claim(t, s, "res_a")
		if how, err := after.Recover(ctx, state(20, "lin", "", 1), writer.Epoch()); how != iacstate.Aside || err != nil {
			t.Errorf("over a rollback: %v %v", how, err)
		}
	})
}

func TestForgetRemovesStateAndKey(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s, ctx := open(t, db), t.Context()
		c := claim(t, s, "res_a")
		must(t, c, state(1, "lin", "", 1))
		if err := c.Forget(ctx); code(err) != "state_not_empty" {
			t.Fatalf("a state with objects: %v", err)
		}
		must(t, c, state(2, "lin", "", 0))
		if err := c.Forget(ctx); err != nil {
			t.Fatal(err)
		}
		if kept, _, err := s.Versions(ctx, "res_a", sqldb.Page{}); len(kept) > 0 || err != nil {
			t.Fatalf("%v %v", kept, err)
		}
		again := claim(t, s, "res_a")
		if again.Epoch() <= c.Epoch() {
			t.Fatal("epochs began anew: a stale run could write")
		}
		must(t, again, state(1, "new", "", 1))
	})
}

func TestOneLockFileCounts(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, sqldbtest.SQLite(t)), t.Context()
	if c, err := s.LockFile(ctx, "d"); c != "" || err != nil {
		t.Fatal(c, err)
	}
	for _, row := range []string{"first", "second"} {
		if kept, err := s.KeepLockFile(ctx, "d", row); kept != "first" || err != nil {
			t.Fatalf("%q %v", kept, err)
		}
	}
	a, err := s.PlanKey(ctx)
	if err != nil || a.Empty() {
		t.Fatal(err)
	}
	if b, err := s.PlanKey(ctx); err != nil || !a.Equal(b) {
		t.Fatal("the key of plans changed", err)
	}
}
