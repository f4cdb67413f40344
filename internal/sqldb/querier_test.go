package sqldb_test

import (
	"context"
	"errors"
	"testing"

	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// TestBrief: what has ended stays so, and PostgreSQL can always be left.
func TestBrief(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if stoppable := db.Brief(ctx).Done() != nil; stoppable != (db.Dialect() == sqldb.Postgres) {
			t.Error("can be stopped:", stoppable)
		}
		var one int
		if err := db.Read().QueryRowContext(db.Brief(ctx), `SELECT 1`).Scan(&one); err != nil || one != 1 {
			t.Error(one, err)
		}
		cancel()
		if err := db.Read().QueryRowContext(db.Brief(ctx), `SELECT 1`).Scan(&one); !errors.Is(err, context.Canceled) {
			t.Error("after its end:", err)
		}
	})
}
