package drift

import (
	"context"
	"time"

	"fairlead/internal/sqldb"
)

// Repeats says when repairs of one resource do not hold: after so many by
// themselves within the window the next one waits for a person.
type Repeats struct {
	Times  int
	Window time.Duration
}

// DoesNotHold is the code of a resource whose repairs do not hold.
const DoesNotHold = "repair_does_not_hold"

// DefaultRepeats is what a server does that says nothing of it.
var DefaultRepeats = Repeats{Times: 3, Window: time.Hour}

// repeats turns repairs that do not hold into questions. It counts within the
// transaction that would open the next one: two replicas that see the same
// resource both count, and only one finds it as it was looked at.
func (s *Service) repeats(ctx context.Context, tx *sqldb.Tx, sights []Sight, verdicts []Verdict) error {
	var ids []string
	for i, v := range verdicts {
		if v.heals {
			ids = append(ids, sights[i].ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	repairs, err := s.store.repairsOf(ctx, tx, ids, s.Repeats.Window)
	if err != nil {
		return err
	}
	for i := range verdicts {
		if n := repairs[sights[i].ID]; verdicts[i].heals && n >= s.Repeats.Times {
			verdicts[i].ask(n)
		}
	}
	return nil
}

// ask has a person decide, after so many repairs that did not hold.
func (v *Verdict) ask(repairs int) {
	v.Answer, v.Repairs = Ask, repairs
	v.level()
	v.alert()
}

// repairsOf counts the repairs that resources had by themselves within the
// window: before now, or before a question that is open, which time alone does
// not answer. What somebody asked of a resource begins the count anew.
func (s store) repairsOf(ctx context.Context, tx *sqldb.Tx, ids []string, window time.Duration) (map[string]int, error) {
	type row struct {
		id string
		n  int
	}
	list, err := sqldb.Collect(ctx, tx, func(r sqldb.Row) (v row, err error) { return v, r.Scan(&v.id, &v.n) },
		`SELECT d.resource_id, count(DISTINCT d.run_id) FROM drifts d
		WHERE d.repair_at IS NOT NULL AND d.run_id <> '' AND `+s.db.InArray("d.resource_id", "$1")+`
			AND d.repair_at > coalesce((SELECT min(o.detected_at) FROM drifts o WHERE o.resource_id = d.resource_id AND o.resolved_at IS NULL AND o.answer = 'ask'),
				CAST($2 AS BIGINT)) - CAST($3 AS BIGINT)
			AND d.repair_at > coalesce((SELECT max(u.created_at) FROM runs u WHERE u.resource_id = d.resource_id AND u.kind = 'apply'), 0)
		GROUP BY d.resource_id`, sqldb.Strings(ids), tx.Now().UnixMicro(), window.Microseconds())
	out := map[string]int{}
	for _, v := range list {
		out[v.id] = v.n
	}
	return out, err
}
