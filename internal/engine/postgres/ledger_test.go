package postgres_test

import (
	"slices"
	"testing"

	"fairlead/internal/engine/postgres"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

func TestLedgers(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) { testLedger(t, &postgres.MemoryLedger{}) })
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { testLedger(t, postgres.SQLLedger{DB: db}) })
}

func testLedger(t *testing.T, l postgres.Ledger) {
	a, b := postgres.Prepared{Server: "s", Name: "a"}, postgres.Prepared{Server: "s", Name: "b"}
	for _, p := range []postgres.Prepared{a, b, a} { // twice is once
		if err := l.Put(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := l.Delete(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := l.List(t.Context()); err != nil || !slices.Equal(got, []postgres.Prepared{b}) {
		t.Fatalf("%v %v", got, err)
	}
}
