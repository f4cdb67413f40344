package drift

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"fairlead/internal/access"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Filter narrows the history; the zero value is all that counts.
type Filter struct {
	Search                         string // part of the resource's, project's, environment's or template's name
	Project, Environment, Resource string // names or ids
	Template                       string // its name
	Cause                          engine.Cause
	Answer                         Answer
	Open                           bool // only what is not over
	Noise                          bool // also what is ignored
}

var episodes = sqldb.List[Episode]{
	Select: `SELECT d.id, d.resource_id, r.name, d.engine, d.template, e.id, e.name, p.id, p.name, t.id, t.name,
		d.cause, d.presence, d.differences, d.answer, d.run_id, d.detected_at, d.changed_at, d.resolved_at, d.resolution, d.resolved_by, coalesce(c.name, d.resolved_by), d.reason
		FROM drifts d JOIN resources r ON r.id = d.resource_id JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = r.project_id JOIN teams t ON t.id = p.team_id
		LEFT JOIN principals c ON c.id = d.resolved_by`,
	Scan: scanEpisode, Default: "-detected",
	Orders: map[string]sqldb.Order[Episode]{
		"detected": {Columns: []string{"d.id"}, Key: func(e Episode) []any { return []any{e.ID} }},
	},
}

// List gives the history of the resources that the caller may see, the newest
// first.
func (s *Service) List(ctx context.Context, f Filter, page sqldb.Page) ([]Episode, string, error) {
	if p := principal.From(ctx); p.Kind == principal.Anonymous || p.ID == "" {
		return nil, "", fault.New(fault.Unauthenticated, "unauthenticated", "sign in first").WithHint("use fairlead login, or send a token")
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	scope.Narrow(&w, s.DB, access.Columns{Team: "t.id", Project: "p.id", Environment: "e.id"})
	for _, part := range []struct{ cond, ref string }{{`(p.id = ? OR p.name = ?)`, f.Project}, {`(e.id = ? OR e.name = ?)`, f.Environment}, {`(r.id = ? OR r.name = ?)`, f.Resource}} {
		switch {
		case part.ref == "":
		case !ident.IsRef(part.ref):
			w.And(`1 = 0`)
		default:
			w.And(part.cond, part.ref)
		}
	}
	if f.Template != "" {
		w.And(`d.template = ?`, f.Template)
	}
	if f.Search != "" {
		w.And(`(r.name LIKE ? ESCAPE '\' OR p.name LIKE ? ESCAPE '\' OR e.name LIKE ? ESCAPE '\' OR d.template LIKE ? ESCAPE '\')`, sqldb.Contains(f.Search))
	}
	if f.Cause != "" {
		w.And(`d.cause = ?`, string(f.Cause))
	}
	if f.Answer != "" {
		w.And(`d.answer = ?`, string(f.Answer))
	}
	if f.Open {
		w.And(`d.resolved_at IS NULL`)
	}
	if !f.Noise && f.Cause != engine.CauseNoise && f.Answer != Ignore {
		w.And(`d.answer <> 'ignore'`)
	}
	return episodes.Page(ctx, s.DB.Read(), w, "", page)
}

// Counts is how much is open and held, for metrics.
type Counts struct {
	Open map[[2]string]int // by cause and answer
	Held int               // scopes
}

// Count counts.
func Count(ctx context.Context, db *sqldb.DB) (c Counts, err error) {
	c.Open = map[[2]string]int{}
	type row struct {
		cause, answer string
		n             int
	}
	list, err := sqldb.Collect(ctx, db.Read(), func(r sqldb.Row) (v row, err error) { return v, r.Scan(&v.cause, &v.answer, &v.n) },
		`SELECT cause, answer, count(*) FROM drifts WHERE resolved_at IS NULL GROUP BY cause, answer`)
	if err != nil {
		return c, err
	}
	for _, v := range list {
		c.Open[[2]string{v.cause, v.answer}] = v.n
	}
	return c, db.Read().QueryRowContext(ctx, `SELECT count(*) FROM drift_brakes WHERE held_at IS NOT NULL`).Scan(&c.Held)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
