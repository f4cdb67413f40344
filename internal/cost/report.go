package cost

import (
	"context"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/sqldb"
)

// Filter says what a report is about; the zero value is all, as far as it was
// measured.
type Filter struct {
	Team, Project, Environment, Template string // names; the first three may be ids
	From, To                             time.Time
	By                                   string // resource, environment, project, team, template, or currency: the sum of all
	Sort                                 string // name, cost or monthly; with - before it the other way round
}

// Spent is one line of a report.
type Spent struct {
	ID, Name  string // of what the report is by
	Currency  string
	Spent     float64 // within the time of the report
	Monthly   float64 // what it costs a month now
	Resources int64   // that it is the sum of
	All       *Sum    // what this is a part of, except for a resource

	micros, monthly int64
}

// Sum is all of a report's lines of one currency, those of other pages too.
type Sum struct {
	Spent, Monthly float64
	Resources      int64
	Only           bool // there is no other currency
}

// groups are the ways to sum: what a line is of, what is said of it in the sum,
// and where its name is looked up afterwards: once a line, not once a span.
var groups = map[string]struct{ id, label, name, names string }{
	"resource":    {"s.resource_id", "max(s.resource)", "i.label", ""},
	"environment": {"s.environment_id", "''", "COALESCE(p.name, '') || ' ' || COALESCE(e.name, '')", " LEFT JOIN environments e ON e.id = i.id LEFT JOIN projects p ON p.id = e.project_id"},
	"project":     {"s.project_id", "''", "COALESCE(p.name, '')", " LEFT JOIN projects p ON p.id = i.id"},
	"team":        {"s.team_id", "''", "COALESCE(t.name, '')", " LEFT JOIN teams t ON t.id = i.id"},
	"template":    {"s.template", "''", "i.id", ""},
	"currency":    {"s.currency", "''", "i.id", ""},
}

// Report sums what was spent. To is now at the latest; From is the beginning
// when it is zero. Lines of another currency stand apart.
func (s *Service) Report(ctx context.Context, f Filter, page sqldb.Page) (items []Spent, next string, err error) {
	if err := known(ctx); err != nil {
		return nil, "", err
	}
	scope, err := s.access.Scope(ctx, access.QuotaView)
	if err != nil {
		return nil, "", err
	}
	if f.By == "" {
		f.By = "resource"
	}
	by, ok := groups[f.By]
	if !ok {
		return nil, "", fault.New(fault.Invalid, "unknown_grouping", "costs cannot be summed that way").WithField("query:by").
			WithHint("sum by resource, environment, project, team, template or currency")
	}
	now, err := s.db.Now(ctx)
	if err != nil {
		return nil, "", err
	}
	if f.To.IsZero() || f.To.After(now) {
		f.To = now
	}
	from := f.From.UnixMicro()
	if f.From.IsZero() {
		from = 0
	}
	var w sqldb.Where // $1 and $2 are the time; what is summed asks for $2
	w.And("s.started_at < ?", f.To.UnixMicro(), from)
	scope.Narrow(&w, s.db, access.Columns{Team: "s.team_id", Project: "s.project_id", Environment: "s.environment_id"})
	for _, part := range []struct{ table, column, ref string }{{"teams", "s.team_id", f.Team}, {"projects", "s.project_id", f.Project}, {"environments", "s.environment_id", f.Environment}} {
		switch {
		case part.ref == "":
		case !ident.IsRef(part.ref):
			w.And("1 = 0")
		default:
			w.And(part.column+" IN (SELECT id FROM "+part.table+" WHERE id = ? OR name = ?)", part.ref)
		}
	}
	if f.Template != "" {
		if !ident.IsRef(f.Template) {
			w.And("1 = 0")
		} else {
			w.And("s.template = ?", f.Template)
		}
	}
	inner, args := w.SQL()
	list := spent
	all := `, sum(i.spent) OVER c AS all_spent, sum(i.monthly) OVER c AS all_monthly, sum(i.resources) OVER c AS all_resources,
		min(i.currency) OVER () = max(i.currency) OVER () AS only_currency`
	window := " WINDOW c AS (PARTITION BY i.currency)"
	if f.By == "resource" { // too many lines
		all, window = `, CAST(NULL AS BIGINT) AS all_spent, 0 AS all_monthly, 0 AS all_resources, 1 = 0 AS only_currency`, ""
	}
	list.Select = `SELECT g.id, g.name, g.currency, g.spent, g.monthly, g.resources, g.all_spent, g.all_monthly, g.all_resources, g.only_currency FROM (SELECT i.id AS id, ` + by.name + ` AS name, i.currency AS currency,
		i.spent AS spent, i.monthly AS monthly, i.resources AS resources` + all + ` FROM (` + sums(f.By, by.id, by.label, inner) + `) i` + by.names + window + `) g`
	var outer sqldb.Where
	outer.And("1 = 1", args...)
	return list.Page(ctx, s.db.Read(), outer, f.Sort, page)
}

// sums is the sum of spans by a column. Resources have a line each, as many as
// there are spans. All else is summed by environment first, apart what goes on
// and what ended within the time: each from an index that holds all that is
// asked for, so that what ended earlier costs nothing.
func sums(by, id, label, where string) string {
	if by == "resource" {
		return `SELECT ` + id + ` AS id, ` + label + ` AS label, s.currency AS currency, CAST(COALESCE(sum(` + spentMicros + `), 0) AS BIGINT) AS spent,
			CAST(COALESCE(sum(CASE WHEN s.ended_at IS NULL THEN s.monthly ELSE 0 END), 0) AS BIGINT) AS monthly, count(DISTINCT s.resource_id) AS resources
			FROM cost_spans s` + where + ` AND (s.ended_at IS NULL OR s.ended_at > $2) GROUP BY ` + id + `, s.currency`
	}
	const (
		columns = `s.team_id, s.project_id, s.environment_id, s.currency, s.template`
		// A resource counts once: where it goes on at the same place, there. The
		// plus has SQLite look for its one open span, not among all of its spans.
		gone = `count(DISTINCT CASE WHEN NOT EXISTS (SELECT 1 FROM cost_spans o WHERE o.resource_id = s.resource_id AND o.ended_at IS NULL AND +o.started_at < $1
			AND o.team_id = s.team_id AND o.currency = s.currency) THEN s.resource_id END)`
	)
	return `SELECT ` + id + ` AS id, ` + label + ` AS label, s.currency AS currency, CAST(sum(s.spent) AS BIGINT) AS spent, CAST(sum(s.monthly) AS BIGINT) AS monthly,
		CAST(sum(s.resources) AS BIGINT) AS resources FROM (
		SELECT ` + columns + `, sum(` + spentMicros + `) AS spent, sum(s.monthly) AS monthly, count(*) AS resources
			FROM cost_spans s` + where + ` AND s.ended_at IS NULL GROUP BY ` + columns + `
		UNION ALL SELECT ` + columns + `, sum(` + spentMicros + `), 0, ` + gone + `
			FROM cost_spans s` + where + ` AND s.ended_at > $2 GROUP BY ` + columns + `) s GROUP BY ` + id + `, s.currency`
}

// spentMicros is what a span cost within the time of the report, $2 to $1, in
// millionths, as a number with fractions.
const spentMicros = `CAST(s.monthly AS DOUBLE PRECISION)
	* (CASE WHEN s.ended_at IS NULL OR s.ended_at > $1 THEN $1 ELSE s.ended_at END - CASE WHEN s.started_at < $2 THEN $2 ELSE s.started_at END)
	/ 2628000000000` // microseconds of HoursPerMonth

// CostSoFar is what a resource, or all of an environment, has cost until now,
// in the currency that it costs in now. It is for other parts of the server,
// which have asked access about the thing itself.
func (s *Service) CostSoFar(ctx context.Context, id string) (amount float64, currency string, err error) {
	now, err := s.db.Now(ctx)
	if err != nil {
		return 0, "", err
	}
	found, err := sqldb.Collect(ctx, s.db.Read(), func(r sqldb.Row) (sp Spent, err error) {
		return sp, r.Scan(&sp.Currency, &sp.Spent)
	}, `SELECT s.currency, COALESCE(sum(`+spentMicros+`), 0) FROM cost_spans s WHERE s.started_at < $1 AND (s.resource_id = $3 OR s.environment_id = $3)
		GROUP BY s.currency ORDER BY max(s.started_at) DESC LIMIT 1`, now.UnixMicro(), int64(0), id)
	if err != nil || len(found) == 0 {
		return 0, "", err
	}
	return found[0].Spent / 1e6, found[0].Currency, nil
}
