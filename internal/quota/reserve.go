package quota

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

// wanted is what a resource would hold, by metric. What is zero is not held.
func wanted(f gate.Facts) (map[string]Amount, error) {
	out := map[string]Amount{Count: unit}
	put := func(metric string, v float64) error {
		if v < 0 && metric != MonthlyCost { // as template.Version.Gate says that it is not known
			return fault.New(fault.Invalid, "invalid_amount", "the template's unit %s is not known, or below zero", metric).
				WithHint("give the input that it is made of as a number, not as a reference to another resource")
		}
		a, err := ToAmount(v)
		if err != nil {
			return fault.New(fault.Invalid, "invalid_amount", "the template's unit %s comes to an amount that cannot be counted", metric).
				WithHint("amounts are from 0 to a million millions; ask whoever owns the template %s", f.Template.Name)
		}
		if a > 0 {
			out[metric] = a
		}
		return nil
	}
	for _, metric := range slices.Sorted(maps.Keys(f.Template.Units)) {
		if metric == Count || metric == MonthlyCost {
			continue // not a template's to say
		}
		if err := put(metric, f.Template.Units[metric]); err != nil {
			return nil, err
		}
	}
	return out, put(MonthlyCost, f.Cost.Monthly)
}

// What a limit and a holding have to do with each other. The difference that a
// change makes counts what is held now where the limit's class is the class
// now, less what was held where it was the class then.
const (
	matches = `l.metric = h.metric AND l.place IN ('', h.team_id, h.project_id, h.environment_id)
		AND l.class IN ('', h.class, h.prev_class) AND l.template IN ('', h.template)`
	difference = `(CASE WHEN l.class IN ('', h.class) THEN h.amount ELSE 0 END - CASE WHEN l.class IN ('', h.prev_class) THEN h.prev ELSE 0 END)`

	// Rows are locked in one order, whoever does it.
	lockLimits = `SELECT l.id FROM quota_holdings h JOIN quota_limits l ON ` + matches + ` WHERE h.resource_id = $1 ORDER BY l.id FOR UPDATE OF l`
	moveLimits = `UPDATE quota_limits AS l SET used = l.used + ` + difference + ` FROM quota_holdings AS h
		WHERE h.resource_id = $1 AND ` + matches + ` AND ` + difference + ` <> 0`
	// One row always: nothing but zeros when no limit is passed.
	passedLimit = `SELECT count(v.id), COALESCE(max(v.scope), ''), COALESCE(max(v.class), ''), COALESCE(max(v.template), ''), COALESCE(max(v.metric), ''),
		COALESCE(max(v.max), 0), COALESCE(max(v.used), 0), COALESCE(max(v.d), 0)
		FROM (SELECT l.id, l.scope, l.class, l.template, l.metric, l.max, l.used, ` + difference + ` AS d
			FROM quota_holdings h JOIN quota_limits l ON ` + matches + `
			WHERE h.resource_id = $1 AND ` + difference + ` > 0 AND (l.used > l.max AND l.enforce = 1 OR l.used > $2)
			ORDER BY l.id LIMIT 1) v`
)

// Reserve implements gate.Limits. What it finds may come up only when the
// closure ends (sqldb.Tx.LaterRow); then the closure fails with it, and
// nothing of it is kept.
//
// Holdings are written before limits are looked at: whoever sets a limit holds
// off all who write holdings, so none is left out of the limit's sum.
func (s *Service) Reserve(ctx context.Context, tx *sqldb.Tx, f gate.Facts) error {
	want, err := wanted(f)
	if err != nil {
		return err
	}
	if f.RunID != "" && f.Stage == gate.Plan { // a worker, who holds no lock on the environment yet
		if f.Environment.Class, err = classOf(ctx, tx, f.Environment); err != nil {
			return err
		}
	}
	if err := hold(ctx, tx, f, want); err != nil {
		return err
	}
	if free, err := unlimited(ctx, tx, f.Environment); err != nil || free {
		return err
	}
	if err := move(ctx, tx, f.ResourceID); err != nil {
		return err
	}
	return s.refuse(ctx, tx, f.Environment, f.Cost.Currency, passedLimit, f.ResourceID, int64(mostUsed))
}

// refuse fails the closure with the limit that a query finds to be passed.
func (s *Service) refuse(ctx context.Context, tx *sqldb.Tx, e gate.Environment, currency, query string, args ...any) error {
	return tx.LaterRow(ctx, func(r sqldb.Row) error {
		var n int
		var l Limit
		var d Amount
		if err := r.Scan(&n, &l.Scope, &l.Class, &l.Template, &l.Metric, &l.Max, &l.Used, &d); err != nil || n == 0 {
			return err
		}
		l.Team, l.Project, l.Environment = e.Team, e.Project, e.Name
		return exceeded(l, d, currency)
	}, query, args...)
}

func exceeded(l Limit, d Amount, currency string) error {
	const hint = "free something, ask for less, or ask whoever keeps the limits for more: fairlead quota ls"
	if l.Metric == MonthlyCost {
		return fault.New(fault.Denied, "budget_exceeded", "the budget of the %s does not allow %s more: %s of %s %s are spoken for",
			l.Place(), d, l.Used-d, l.Max, strings.TrimSpace(currency+" a month")).WithHint(hint)
	}
	return fault.New(fault.Denied, "quota_exceeded", "the quota of the %s does not allow %s more: %s of %s %s are in use",
		l.Place(), d, l.Used-d, l.Max, l.Metric).WithHint(hint)
}

// hold writes what a resource holds from now on, beside what it held.
func hold(ctx context.Context, tx *sqldb.Tx, f gate.Facts, want map[string]Amount) error {
	metrics := slices.Sorted(maps.Keys(want))
	e := f.Environment
	args := []any{f.ResourceID, e.Class, e.TeamID, e.ProjectID, e.ID, f.Template.Name}
	var rows []string
	for _, m := range metrics {
		n := len(args)
		args = append(args, m, int64(want[m]))
		rows = append(rows, "($1, $"+strconv.Itoa(n+1)+", $"+strconv.Itoa(n+2)+", 0, $2, $2, $3, $4, $5, $6)")
	}
	if f.Action != gate.Create || f.Revision > 1 { // what it held and does not want any more
		err := tx.Later(ctx, `UPDATE quota_holdings SET prev = amount, amount = 0, prev_class = class, class = $2 WHERE resource_id = $1`, f.ResourceID, e.Class)
		if err != nil {
			return err
		}
		err = tx.Later(ctx, `INSERT INTO quota_holdings (resource_id, metric, amount, prev, class, prev_class, team_id, project_id, environment_id, template)
			VALUES `+strings.Join(rows, ", ")+` ON CONFLICT (resource_id, metric) DO UPDATE SET amount = excluded.amount`, args...)
		return err
	}
	return tx.Later(ctx, `INSERT INTO quota_holdings (resource_id, metric, amount, prev, class, prev_class, team_id, project_id, environment_id, template)
		VALUES `+strings.Join(rows, ", ")+` ON CONFLICT (resource_id, metric) DO UPDATE
		SET prev = quota_holdings.amount, amount = excluded.amount, prev_class = quota_holdings.class, class = excluded.class`, args...)
}

// unlimited tells whether there is no limit that could matter. Where the answer
// is a way there and back, and nobody to share it with, the question costs more
// than it saves.
func unlimited(ctx context.Context, tx *sqldb.Tx, e gate.Environment) (bool, error) {
	if tx.DB().Dialect() == sqldb.Postgres && !tx.Shares() {
		return false, nil
	}
	var some bool
	err := tx.SharedRow(ctx, `SELECT EXISTS (SELECT 1 FROM quota_limits WHERE place IN ('', $1, $2, $3))`, e.TeamID, e.ProjectID, e.ID).Scan(&some)
	return !some, err
}

// move brings the limits up with what hold wrote.
func move(ctx context.Context, tx *sqldb.Tx, resourceID string) error {
	if tx.DB().Dialect() == sqldb.Postgres { // SQLite has one writer
		if err := tx.Later(ctx, lockLimits, resourceID); err != nil {
			return err
		}
	}
	return tx.Later(ctx, moveLimits, resourceID)
}

// Release implements gate.Limits.
func (s *Service) Release(ctx context.Context, tx *sqldb.Tx, resourceID string) error {
	err := tx.Later(ctx, `UPDATE quota_holdings SET prev = amount, prev_class = class, amount = 0 WHERE resource_id = $1`, resourceID)
	if err != nil {
		return err
	}
	if err := move(ctx, tx, resourceID); err != nil {
		return err
	}
	return tx.Later(ctx, `DELETE FROM quota_holdings WHERE resource_id = $1`, resourceID)
}

// Usage implements gate.Limits. That there are no limits at all may be known
// from some moments ago: Reserve looks again.
func (s *Service) Usage(ctx context.Context, f gate.Facts) ([]gate.Use, error) {
	if none, err := s.none.holds(ctx, s.store); err != nil || none {
		return nil, err
	}
	e := f.Environment
	found, err := sqldb.Collect(ctx, s.db.Read(), func(r sqldb.Row) (use, error) {
		var u use
		err := r.Scan(&u.ID, &u.Scope, &u.Class, &u.Template, &u.Metric, &u.Max, &u.Used, &u.warn, &u.Enforce, &u.held)
		return u, err
	}, `SELECT l.id, l.scope, l.class, l.template, l.metric, l.max, l.used, l.warn, l.enforce,
			COALESCE(CASE WHEN l.class IN ('', h.class) THEN h.amount ELSE 0 END, 0)
		FROM quota_limits l LEFT JOIN quota_holdings h ON h.resource_id = $1 AND h.metric = l.metric
		WHERE l.place IN ('', $2, $3, $4) AND l.class IN ('', $5) AND l.template IN ('', $6) ORDER BY l.id`,
		f.ResourceID, e.TeamID, e.ProjectID, e.ID, e.Class, f.Template.Name)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	want, err := wanted(f)
	if err != nil {
		return nil, err
	}
	out := make([]gate.Use, len(found))
	for i, u := range found {
		u.Team, u.Project, u.Environment = e.Team, e.Project, e.Name
		scope, name := u.named()
		out[i] = gate.Use{Limit: u.ID, Scope: scope, Name: name, Metric: u.Metric, Max: u.Max.Float(), Used: (u.Used - u.held).Float(),
			Held: u.held.Float(), Wanted: want[u.Metric].Float(), WarnAt: float64(u.warn) / unit, Enforce: u.Enforce}
	}
	return out, nil
}

type use struct {
	Limit
	warn int64
	held Amount
}
