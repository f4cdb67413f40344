package drift

import (
	"context"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/sqldb"
	"fairlead/internal/yamlx"
)

// maxReason bounds what people say, in characters.
const maxReason = 1000

// CheckReason refuses what is no reason.
func CheckReason(reason string) error {
	reason = strings.TrimSpace(reason)
	if reason == "" || utf8.RuneCountInString(reason) > maxReason {
		return fault.New(fault.Invalid, "reason_missing", "a reason of 1 to %d characters is needed", maxReason).
			WithField("/reason").WithHint("say it with --reason: whoever comes next will ask")
	}
	return nil
}

// Accept says in tx that what is open of a resource is fine until it changes
// again; the caller has asked access. It gives what was accepted: none is a
// fault of the kind Conflict, and so is data that is gone.
func (s *Service) Accept(ctx context.Context, tx *sqldb.Tx, r Subject, by, reason string) ([]engine.Drift, error) {
	open, err := s.store.open(ctx, tx, []string{r.ID})
	if err != nil {
		return nil, err
	}
	var out []engine.Drift
	for _, e := range open[r.ID] {
		switch e.Answer {
		case Ignore:
			continue
		case Lost:
			return nil, fault.New(fault.Conflict, "drift_not_acceptable", "the data of %s is gone, which nobody can accept", r.Name).
				WithHint("restore it from a backup, or destroy the resource and request a new one")
		}
		for _, d := range e.Differences {
			if err := tx.Later(ctx, `INSERT INTO drift_acceptances (resource_id, address, field, print, reason, accepted_at, accepted_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
				ON CONFLICT (resource_id, address, field) DO UPDATE SET print = excluded.print, reason = excluded.reason, accepted_at = excluded.accepted_at, accepted_by = excluded.accepted_by`,
				r.ID, d.Address, d.Field, printOf(d), reason, tx.Now().UnixMicro(), by); err != nil {
				return nil, err
			}
			d.Severity = engine.Ignore
			out = append(out, d)
		}
		if err := s.resolve(ctx, tx, r, e, Accepted, by, reason); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, NoDrift(r)
	}
	return out, nil
}

// NoDrift says that there is nothing to heal or to accept.
func NoDrift(r Subject) error {
	return fault.New(fault.Conflict, "no_drift", "nothing of %s is seen to be other than wanted", r.Name).
		WithHint("look now: fairlead drift check %s", r.Where())
}

// accepted gives what was accepted of resources: address and field to print.
func (s store) accepted(ctx context.Context, q sqldb.Querier, ids []string) (map[string]map[[2]string]string, error) {
	type row struct{ id, address, field, print string }
	list, err := sqldb.Collect(ctx, q, func(r sqldb.Row) (v row, err error) {
		return v, r.Scan(&v.id, &v.address, &v.field, &v.print)
	}, `SELECT resource_id, address, field, print FROM drift_acceptances WHERE `+s.db.InArray("resource_id", "$1"), sqldb.Strings(ids))
	out := map[string]map[[2]string]string{}
	for _, v := range list {
		if out[v.id] == nil {
			out[v.id] = map[[2]string]string{}
		}
		out[v.id][[2]string{v.address, v.field}] = v.print
	}
	return out, err
}

// readDifferences reads what toJSON wrote; no number loses a digit.
func readDifferences(text string) ([]engine.Drift, error) {
	out := []engine.Drift{}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		return nil, err
	}
	for i := range out {
		out[i].Want, out[i].Got = yamlx.Numbers(out[i].Want), yamlx.Numbers(out[i].Got)
	}
	return out, nil
}
