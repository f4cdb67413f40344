package lease

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"fairlead/internal/sqldb"
)

// store is this feature's SQL, on the read pool or in a transaction.
type store struct{ db *sqldb.DB }

const (
	leaseColumns = `l.id, l.kind, l.subject_id, COALESCE(r.name, e.name), e.id, e.name, e.class, p.id, p.name, t.id, t.name, l.template, l.owner_id, COALESCE(o.name, l.owner_id),
		l.begins_at, l.ends_at, l.extensions, l.warn_at, l.warned, l.state, l.reason, l.problem, l.attempts, l.ending_at, l.ended_at, l.version, l.max_length`
	leaseTables = ` FROM leases l JOIN environments e ON e.id = l.environment_id JOIN projects p ON p.id = e.project_id JOIN teams t ON t.id = p.team_id
		LEFT JOIN resources r ON l.kind = 'resource' AND r.id = l.subject_id LEFT JOIN principals o ON o.id = l.owner_id`
)

func scanLease(row sqldb.Row) (Lease, error) {
	var l Lease
	var begins, ends, most int64
	var warnAt, warned string
	var ending, ended sql.NullInt64
	err := row.Scan(&l.ID, &l.Kind, &l.SubjectID, &l.Subject, &l.EnvironmentID, &l.Environment, &l.Class, &l.ProjectID, &l.Project, &l.TeamID, &l.Team, &l.Template,
		&l.OwnerID, &l.Owner, &begins, &ends, &l.Extensions, &warnAt, &warned, &l.State, &l.Reason, &l.Problem, &l.Attempts, &ending, &ended, &l.Version, &most)
	if err != nil {
		return l, err
	}
	l.BeginsAt, l.EndsAt, l.EndingAt, l.EndedAt = sqldb.Time(begins), sqldb.Time(ends), sqldb.TimeOrZero(ending), sqldb.TimeOrZero(ended)
	l.Max = length(most)
	var errs [2]error
	l.WarnAt, errs[0] = moments(warnAt)
	l.Warned, errs[1] = moments(warned)
	return l, errors.Join(errs[:]...)
}

func moments(s string) ([]time.Time, error) {
	var us []int64
	err := json.Unmarshal([]byte(s), &us)
	out := make([]time.Time, len(us))
	for i, v := range us {
		out[i] = sqldb.Time(v)
	}
	return out, err
}

func micros(list []time.Time) string {
	us := make([]int64, len(list))
	for i, t := range list {
		us[i] = t.UnixMicro()
	}
	return toJSON(us)
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "null" // numbers and texts always marshal
	}
	return string(b)
}

func orNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

var leases = sqldb.List[Lease]{
	Select: `SELECT ` + leaseColumns + leaseTables, Scan: scanLease, Default: "ends",
	Orders: map[string]sqldb.Order[Lease]{
		"ends":    {Columns: []string{"l.ends_at", "l.id"}, Key: func(l Lease) []any { return []any{l.EndsAt.UnixMicro(), l.ID} }},
		"created": {Columns: []string{"l.id"}, Key: func(l Lease) []any { return []any{l.ID} }},
	},
}

func (s store) insert(ctx context.Context, tx *sqldb.Tx, l Lease) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO leases (id, kind, subject_id, environment_id, template, owner_id, begins_at, ends_at, warn_at, state, due_at, created_at, updated_at, max_length)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $7, $7, $12)`,
		l.ID, string(l.Kind), l.SubjectID, l.EnvironmentID, l.Template, l.OwnerID, l.BeginsAt.UnixMicro(), l.EndsAt.UnixMicro(), micros(l.WarnAt), string(l.State), l.due().UnixMicro(), l.Max.Microseconds())
	return err
}

// update writes l, whose row the transaction holds. An active one is due at
// its next warning or its end, an ending one at once.
func (s store) update(ctx context.Context, tx *sqldb.Tx, l *Lease) error {
	var due any
	switch l.State {
	case Active:
		due = l.due().UnixMicro()
	case Ending:
		due = tx.Now().UnixMicro()
	}
	l.Version++
	_, err := tx.ExecContext(ctx, `UPDATE leases SET owner_id = $2, ends_at = $3, extensions = $4, warn_at = $5, warned = $6, state = $7, reason = $8, problem = $9, attempts = $10,
		due_at = $11, ending_at = $12, ended_at = $13, updated_at = $14, version = $15 WHERE id = $1`,
		l.ID, l.OwnerID, l.EndsAt.UnixMicro(), l.Extensions, micros(l.WarnAt), micros(l.Warned), string(l.State), l.Reason, l.Problem, l.Attempts,
		due, orNull(l.EndingAt), orNull(l.EndedAt), tx.Now().UnixMicro(), l.Version)
	return err
}

// again has the loop look at an ending lease later, and says what holds it up.
func (s store) again(ctx context.Context, tx *sqldb.Tx, id, problem string, attempts int64, at time.Time) error {
	_, err := tx.ExecContext(ctx, `UPDATE leases SET problem = $2, attempts = $3, due_at = $4 WHERE id = $1 AND state = 'ending'`, id, problem, attempts, at.UnixMicro())
	return err
}

func (s store) byID(ctx context.Context, q sqldb.Querier, id string) (Lease, error) {
	return scanLease(q.QueryRowContext(ctx, `SELECT `+leaseColumns+leaseTables+` WHERE l.id = $1`, id))
}

func (s store) forUpdate() string {
	if s.db.Dialect() == sqldb.Postgres {
		return ` FOR UPDATE OF l`
	}
	return ""
}

// lock gives a lease for a change; others wait until the commit.
func (s store) lock(ctx context.Context, tx *sqldb.Tx, id string) (Lease, error) {
	return scanLease(tx.QueryRowContext(ctx, `SELECT `+leaseColumns+leaseTables+` WHERE l.id = $1`+s.forUpdate(), id))
}

// lockOpen is lock for the lease of something.
func (s store) lockOpen(ctx context.Context, tx *sqldb.Tx, subjectID string) (Lease, error) {
	return scanLease(tx.QueryRowContext(ctx, `SELECT `+leaseColumns+leaseTables+` WHERE l.subject_id = $1 AND l.state <> 'ended'`+s.forUpdate(), subjectID))
}

// openOf gives the leases of a resource and of its environment, nil where
// there is none.
func (s store) openOf(ctx context.Context, q sqldb.Querier, resourceID, environmentID string) (own, env *Lease, err error) {
	list, err := sqldb.Collect(ctx, q, scanLease, `SELECT `+leaseColumns+leaseTables+` WHERE l.subject_id IN ($1, $2) AND l.state <> 'ended'`, resourceID, environmentID)
	for i := range list {
		if list[i].Kind == Environment {
			env = &list[i]
		} else {
			own = &list[i]
		}
	}
	return own, env, err
}

func (s store) environmentLease(ctx context.Context, q sqldb.Querier, id string) (*Lease, error) {
	_, env, err := s.openOf(ctx, q, "", id)
	return env, err
}

// notEnding fails the closure with ended when an environment's lease is ending.
func (s store) notEnding(ctx context.Context, tx *sqldb.Tx, environmentID string, ended error) error {
	return tx.SharedLaterRow(ctx, func(row sqldb.Row) error {
		var ending bool
		err := row.Scan(&ending)
		if err == nil && ending {
			err = ended
		}
		return err
	}, `SELECT EXISTS (SELECT 1 FROM leases WHERE subject_id = $1 AND kind = 'environment' AND state = 'ending')`, environmentID)
}

// hurry has the loop look at once at the endings that a thing belongs to, or
// may have stood in the way of.
func (s store) hurry(ctx context.Context, tx *sqldb.Tx, subjectID string) error {
	res, err := tx.ExecContext(ctx, `UPDATE leases SET due_at = $2 WHERE state = 'ending'
		AND (subject_id = $1 OR environment_id = (SELECT r.environment_id FROM resources r WHERE r.id = $1))`, subjectID, tx.Now().UnixMicro())
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return err
	}
	tx.Notify(Topic, "")
	return nil
}

// dueNow lists what the loop has to do.
func (s store) dueNow(ctx context.Context, state State, now time.Time, limit int) ([]Lease, error) {
	return sqldb.Collect(ctx, s.db.Read(), scanLease, `SELECT `+leaseColumns+leaseTables+` WHERE l.due_at <= $1 AND l.state = $2 ORDER BY l.due_at, l.id LIMIT $3`,
		now.UnixMicro(), string(state), limit)
}

const ruleColumns = `SELECT u.id, u.class, u.kind, u.team_id, COALESCE(t.name, ''), u.template, u.default_length, u.max_length, u.extend_by, u.max_extensions, u.warn_before, u.required,
	u.created_at, u.updated_at, u.version FROM lease_rules u LEFT JOIN teams t ON t.id = u.team_id`

func scanRule(row sqldb.Row) (Rule, error) {
	var r Rule
	var given, most, by, created, updated int64
	var required int
	var warn string
	err := row.Scan(&r.ID, &r.Class, &r.Kind, &r.TeamID, &r.Team, &r.Template, &given, &most, &by, &r.MaxExtensions, &warn, &required, &created, &updated, &r.Version)
	if err != nil {
		return r, err
	}
	r.Default, r.Max, r.ExtendBy, r.Required = length(given), length(most), length(by), required == 1
	r.CreatedAt, r.UpdatedAt = sqldb.Time(created), sqldb.Time(updated)
	var us []int64
	err = json.Unmarshal([]byte(warn), &us)
	r.WarnBefore = make([]time.Duration, len(us))
	for i, v := range us {
		r.WarnBefore[i] = length(v)
	}
	return r, err
}

func length(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// ruleFor gives the rule that says most: of template, team and kind in turn.
func (s store) ruleFor(ctx context.Context, q sqldb.Querier, k Kind, class, teamID, template string) (Rule, error) {
	return scanRule(q.QueryRowContext(ctx, ruleColumns+` WHERE u.class = $1 AND u.kind IN ('', $2) AND u.team_id IN ('', $3) AND u.template IN ('', $4)
		ORDER BY u.template = '', u.team_id = '', u.kind = '' LIMIT 1`, class, string(k), teamID, template))
}

func (s store) ruleOf(ctx context.Context, tx *sqldb.Tx, r Rule) (Rule, error) {
	return scanRule(tx.QueryRowContext(ctx, ruleColumns+` WHERE u.class = $1 AND u.kind = $2 AND u.team_id = $3 AND u.template = $4`, r.Class, string(r.Kind), r.TeamID, r.Template))
}

func (s store) ruleByID(ctx context.Context, id string) (Rule, error) {
	return scanRule(s.db.Read().QueryRowContext(ctx, ruleColumns+` WHERE u.id = $1`, id))
}

var rulePages = sqldb.List[Rule]{
	Select: ruleColumns, Scan: scanRule, Default: "class",
	Orders: map[string]sqldb.Order[Rule]{
		"class":   {Columns: []string{"u.class", "u.team_id", "u.template", "u.kind"}, Key: func(r Rule) []any { return []any{r.Class, r.TeamID, r.Template, string(r.Kind)} }},
		"created": {Columns: []string{"u.id"}, Key: func(r Rule) []any { return []any{r.ID} }},
	},
}

func (s store) allRules(ctx context.Context) ([]Rule, error) {
	return sqldb.Collect(ctx, s.db.Read(), scanRule, ruleColumns+` ORDER BY u.class, u.team_id, u.template, u.kind`)
}

func (s store) putRule(ctx context.Context, tx *sqldb.Tx, r Rule, by string) error {
	warn := make([]int64, len(r.WarnBefore))
	for i, d := range r.WarnBefore {
		warn[i] = d.Microseconds()
	}
	required := 0
	if r.Required {
		required = 1
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO lease_rules (id, class, kind, team_id, template, default_length, max_length, extend_by, max_extensions, warn_before, required,
			created_at, created_by, updated_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (class, kind, team_id, template) DO UPDATE SET default_length = excluded.default_length, max_length = excluded.max_length, extend_by = excluded.extend_by,
			max_extensions = excluded.max_extensions, warn_before = excluded.warn_before, required = excluded.required, updated_at = excluded.updated_at, version = excluded.version`,
		r.ID, r.Class, string(r.Kind), r.TeamID, r.Template, r.Default.Microseconds(), r.Max.Microseconds(), r.ExtendBy.Microseconds(), r.MaxExtensions, toJSON(warn), required,
		r.CreatedAt.UnixMicro(), by, r.UpdatedAt.UnixMicro(), r.Version)
	return err
}

func (s store) team(ctx context.Context, ref string) (id, name string, err error) {
	err = s.db.Read().QueryRowContext(ctx, `SELECT id, name FROM teams WHERE (id = $1 OR name = $1) AND deleted_at IS NULL`, ref).Scan(&id, &name)
	return id, name, err
}
