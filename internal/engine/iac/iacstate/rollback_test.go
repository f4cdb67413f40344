package iacstate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func TestGoingBackToAnOlderState(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s, ctx := open(t, db), t.Context()
		c := claim(t, s, "res_a")
		for i := 1; i <= 3; i++ {
			must(t, c, state(i, "lin", "secret", i))
		}
		called := 0
		then := func(*sqldb.Tx, iacstate.Meta) error { called++; return nil }

		// While somebody holds the lock it is refused, and says who.
		if err := c.Lock(ctx, iacstate.Lock{ID: "l", Who: "a-run", Operation: "apply"}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Rollback(ctx, "res_a", 1, then); code(err) != "state_locked" || !bytes.Contains([]byte(err.Error()), []byte("a-run")) {
			t.Fatalf("while it is locked: %v", err)
		}
		if err := c.Unlock(ctx, "l"); err != nil {
			t.Fatal(err)
		}

		// What is not recorded does not happen.
		if _, err := s.Rollback(ctx, "res_a", 1, func(*sqldb.Tx, iacstate.Meta) error { return errors.New("no record") }); err == nil {
			t.Fatal("went back without its record")
		}
		if m, err := s.Meta(ctx, "res_a"); err != nil || m.Version != 3 {
			t.Fatalf("%+v %v", m, err)
		}

		for range 2 { // the second time nothing is to be done
			m, err := s.Rollback(ctx, "res_a", 1, then)
			if err != nil || m.Version != 4 || m.Serial != 4 || m.Objects != 1 || m.Lineage != "lin" {
				t.Fatalf("%+v %v", m, err)
			}
		}
		if called != 1 {
			t.Fatalf("recorded %d times", called)
		}
		body, _, err := s.Read(ctx, "res_a")
		if err != nil {
			t.Fatal(err)
		}
		var got, want map[string]any
		if err := errors.Join(json.Unmarshal(body, &got), json.Unmarshal(state(4, "lin", "secret", 1), &want)); err != nil {
			t.Fatal(err)
		}
		if !equalJSON(got, want) {
			t.Fatalf("%s", body)
		}

		// Whoever had claimed the state has no part in it any more.
		if err := c.Lock(ctx, iacstate.Lock{ID: "l"}); code(err) != "state_fenced" {
			t.Fatalf("a run from before: %v", err)
		}
		must(t, claim(t, s, "res_a"), state(5, "lin", "secret", 2))

		if _, err := s.Rollback(ctx, "res_a", 9, then); !fault.Is(err, fault.NotFound) {
			t.Fatalf("a version that is not there: %v", err)
		}
		if _, err := s.Rollback(ctx, "res_b", 1, then); !fault.Is(err, fault.NotFound) {
			t.Fatalf("a state that is not there: %v", err)
		}
	})
}

func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
