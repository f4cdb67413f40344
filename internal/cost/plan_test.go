package cost

import (
	"strings"
	"testing"

	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// TestSumsAreReadFromIndexesAlone: without it a report reads every span that
// there ever was. PostgreSQL decides by what there is, so only that it takes
// the statement is held there.
func TestSumsAreReadFromIndexesAlone(t *testing.T) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) {
		explain, detail := "EXPLAIN ", func(r sqldb.Row) (s string, err error) { return s, r.Scan(&s) }
		if db.Dialect() == sqldb.SQLite {
			explain, detail = "EXPLAIN QUERY PLAN ", func(r sqldb.Row) (s string, err error) {
				var a, b, c int64
				return s, r.Scan(&a, &b, &c, &s)
			}
		}
		for _, by := range []string{"team", "template", "currency"} {
			lines, err := sqldb.Collect(t.Context(), db.Read(), detail, explain+sums(by, groups[by].id, groups[by].label, " WHERE s.started_at < $1"), int64(2), int64(1))
			if err != nil {
				t.Fatal(err)
			}
			plan := strings.Join(lines, "\n")
			for _, index := range []string{"s USING COVERING INDEX cost_spans_now", "s USING COVERING INDEX cost_spans_past"} {
				if db.Dialect() == sqldb.SQLite && !strings.Contains(plan, index) {
					t.Errorf("by %s, not %s:\n%s", by, index, plan)
				}
			}
		}
	})
}
