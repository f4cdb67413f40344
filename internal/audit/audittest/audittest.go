package audittest

import (
	"context"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// New opens an audit log on db whose authorizer allows everything. Call it
// before the first Write of a test that looks at records.
func New(t testing.TB, db *sqldb.DB) *audit.Log {
	t.Helper()
	l, err := audit.NewLog(t.Context(), audit.Options{DB: db, KeyDir: t.TempDir(), Authorizer: accesstest.AllowAll{}})
	if err != nil {
		t.Fatalf("open audit log: %v", err)
	}
	return l
}

// Records gives every record of an action (or its beginning), oldest first.
func Records(t testing.TB, l *audit.Log, action string) []audit.Record {
	t.Helper()
	ctx := principal.With(context.WithoutCancel(t.Context()), principal.System)
	var out []audit.Record
	page := sqldb.Page{Limit: 200}
	for {
		records, next, err := l.Search(ctx, audit.Filter{Action: action}, page)
		if err != nil {
			t.Fatalf("search audit log: %v", err)
		}
		for _, r := range records {
			out = append([]audit.Record{r}, out...)
		}
		if page.After = next; next == "" {
			return out
		}
	}
}
