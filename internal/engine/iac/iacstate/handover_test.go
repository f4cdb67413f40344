package iacstate_test

import (
	"testing"

	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

const foreign = `{"version":4,"serial":3,"lineage":"of-somebody","outputs":{},"resources":[{"mode":"managed","type":"x","name":"y","instances":[{"attributes":{"id":"1"}}]}]}`

func write(t *testing.T, s *iacstate.Store, state string) error {
	t.Helper()
	c, err := s.Claim(t.Context(), state, "adopt", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Lock(t.Context(), iacstate.Lock{ID: "l"}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.End(t.Context()) }()
	return c.Write(t.Context(), "l", []byte(foreign))
}

// Two resources never have one lineage, whoever is first; what is let go of
// may be had again.
func TestALineageIsOneStates(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		s, ctx := open(t, db), t.Context()
		if err := write(t, s, "first"); err != nil {
			t.Fatal(err)
		}
		if who, err := s.OfLineage(ctx, "of-somebody", "second"); who != "first" || err != nil {
			t.Errorf("it is %q's, %v", who, err)
		}
		if err := write(t, s, "second"); fault.From(err).Code != "object_not_ours" {
			t.Errorf("a second has it: %v", err)
		}
		stale, err := s.Claim(ctx, "first", "stale", nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.Claim(ctx, "first", "release", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := stale.LetGo(ctx); fault.From(err).Code != "state_fenced" {
			t.Errorf("a worker without a claim lets go: %v", err)
		}
		for range 2 {
			if err := c.LetGo(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if body, m, err := s.Read(ctx, "first"); body != nil || m.Version != 0 || err != nil {
			t.Errorf("it is there still: %d, %v", m.Version, err)
		}
		if err := write(t, s, "second"); err != nil {
			t.Errorf("nobody may have it again: %v", err)
		}
	})
}

func TestAGivenStateIsReadAndNothingMore(t *testing.T) {
	t.Parallel()
	s, ctx := open(t, sqldbtest.SQLite(t)), t.Context()
	c, err := s.OpenGiven("r", "adopt", []byte(foreign))
	if err != nil {
		t.Fatal(err)
	}
	if body, m, err := c.Read(ctx); string(body) != foreign || m.Objects != 1 || m.Lineage != "of-somebody" || err != nil {
		t.Errorf("%s %+v %v", body, m, err)
	}
	if err := c.Lock(ctx, iacstate.Lock{ID: "l"}); fault.From(err).Code != "state_read_only" {
		t.Errorf("it is locked: %v", err)
	}
	if err := c.LetGo(ctx); fault.From(err).Code != "state_read_only" {
		t.Errorf("it lets go: %v", err)
	}
	for _, bad := range []string{"", "no JSON", `{"version":3,"lineage":"x"}`, `{"version":4,"serial":1}`} {
		if _, err := s.OpenGiven("r", "adopt", []byte(bad)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
