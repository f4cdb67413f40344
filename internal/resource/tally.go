package resource

import (
	"context"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/sqldb"
)

// Topic is what is notified when a resource or one of its runs changes.
func Topic(resourceID string) string { return topic(resourceID) }

// attention is the phases in which a resource may need somebody, written out
// so that the index for just these is used.
const attention = `r.phase IN ('failed', 'lost', 'waiting', 'retrying', 'canceled')`

// Tally is how the resources of an environment are.
type Tally struct {
	Phases  map[Phase]int // of those that are not destroyed
	Total   int
	Changed time.Time // when the last of them changed
}

// maxTallied bounds the environments of one Tallies.
const maxTallied = 200

// Tallies counts the resources of environments that the caller may see, by
// phase. An environment without any is left out.
func (s *Service) Tallies(ctx context.Context, environmentIDs []string) (map[string]Tally, error) {
	if err := signedIn(ctx); err != nil {
		return nil, err
	}
	out := map[string]Tally{}
	if len(environmentIDs) == 0 {
		return out, nil
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return nil, err
	}
	var w sqldb.Where
	w.And(`r.destroyed_at IS NULL`)
	among(&w, "r.environment_id", environmentIDs[:min(len(environmentIDs), maxTallied)])
	scope.Narrow(&w, s.DB, access.Columns{Team: "r.team_id", Project: "r.project_id", Environment: "r.environment_id"})
	where, args := w.SQL()
	type row struct {
		env, phase string
		n          int
		at         int64
	}
	rows, err := sqldb.Collect(ctx, s.DB.Read(), func(r sqldb.Row) (v row, err error) {
		return v, r.Scan(&v.env, &v.phase, &v.n, &v.at)
	}, `SELECT r.environment_id, r.phase, count(*), max(r.updated_at) FROM resources r`+where+` GROUP BY r.environment_id, r.phase`, args...)
	for _, v := range rows {
		t, ok := out[v.env]
		if !ok {
			t.Phases = map[Phase]int{}
		}
		t.Phases[Phase(v.phase)] = v.n
		t.Total += v.n
		if at := sqldb.Time(v.at); at.After(t.Changed) {
			t.Changed = at
		}
		out[v.env] = t
	}
	return out, err
}

// among adds that a column is one of some values.
func among[T ~string](w *sqldb.Where, column string, values []T) {
	cond, args := column+` IN (`, make([]any, len(values))
	for i, v := range values {
		if i > 0 {
			cond += ", "
		}
		cond += "?"
		args[i] = string(v)
	}
	w.And(cond+`)`, args...)
}
