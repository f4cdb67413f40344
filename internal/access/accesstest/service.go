package accesstest

import (
	"context"
	"testing"

	"fairlead/internal/access"
	"fairlead/internal/sqldb"
)

// Service is the real thing with the default policies, for tests that want the
// real decisions. Its audit goes nowhere.
func Service(t testing.TB, db *sqldb.DB) *access.Service {
	t.Helper()
	s, err := access.New(t.Context(), access.Options{
		DB:    db,
		Audit: func(context.Context, *sqldb.Tx, access.Action, access.Target, access.Decision, map[string]any) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
