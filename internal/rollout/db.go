package rollout

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/ident"
	"fairlead/internal/sqldb"
)

// store is this feature's SQL, on the read pool or in a transaction.
type store struct{ db *sqldb.DB }

const (
	rolloutColumns = `o.id, o.template, o.to_version, o.to_digest, o.selection, o.waves, o.parallel, o.max_failures, o.failures_percent, o.rollback, o.bake, o.patience,
		o.note, o.state, o.starts, o.began, o.reason, o.message, o.hint, o.revert_from, o.acting_id, o.acting_token, o.acting_scopes,
		o.created_at, o.created_by, COALESCE(c.name, o.created_by), o.started_at, o.finished_at, o.updated_at, o.version
		FROM rollouts o LEFT JOIN principals c ON c.id = o.created_by`
	memberColumns = `m.id, m.rollout_id, m.resource_id, r.name, e.id, e.name, e.class, p.id, p.name, t.id, t.name, r.template, m.state, m.open, m.wave, m.group_number,
		m.from_version, m.planned_revision, m.from_revision, m.to_revision, m.back_revision, m.shape, m.severity, m.title, m.diff, m.ends_as, m.reason, m.message, m.remedy,
		m.planned_at, m.started_at, m.applied_at, m.finished_at, m.updated_at, m.tries, m.due_at` + memberTables
	memberTables = ` FROM rollout_members m JOIN resources r ON r.id = m.resource_id JOIN environments e ON e.id = r.environment_id
		JOIN projects p ON p.id = r.project_id JOIN teams t ON t.id = r.team_id`
)

func scanRollout(row sqldb.Row) (Rollout, error) {
	var r Rollout
	var selection, scopes string
	var percent, starts, began int
	var bake, patience, created, updated int64
	var started, finished sql.NullInt64
	err := row.Scan(&r.ID, &r.Template, &r.To, &r.Digest, &selection, &r.Settings.Waves, &r.Settings.Parallel, &r.Settings.MaxFailures, &percent, &r.Settings.Rollback, &bake, &patience,
		&r.Note, &r.State, &starts, &began, &r.Reason, &r.Message, &r.Hint, &r.RevertFrom, &r.acting.id, &r.acting.token, &scopes,
		&created, &r.CreatedBy, &r.CreatedByName, &started, &finished, &updated, &r.Version)
	if err != nil {
		return r, err
	}
	r.Settings.Percent, r.Starts, r.Began = percent == 1, starts == 1, began == 1
	r.Settings.Bake, r.Settings.Patience = length(bake), length(patience)
	r.CreatedAt, r.StartedAt, r.FinishedAt, r.UpdatedAt = sqldb.Time(created), sqldb.TimeOrZero(started), sqldb.TimeOrZero(finished), sqldb.Time(updated)
	return r, errors.Join(json.Unmarshal([]byte(selection), &r.Selection), json.Unmarshal([]byte(scopes), &r.acting.scopes))
}

func length(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func micro(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func (s store) insertRollout(ctx context.Context, tx *sqldb.Tx, r Rollout) error {
	selection, err := json.Marshal(r.Selection)
	if err != nil {
		return err
	}
	return tx.Later(ctx, `INSERT INTO rollouts (id, template, to_version, to_digest, selection, waves, parallel, max_failures, failures_percent, rollback, bake, patience,
			note, state, starts, acting_id, acting_token, acting_scopes, created_at, created_by, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $19)`,
		r.ID, r.Template, r.To, r.Digest, string(selection), r.Settings.Waves, r.Settings.Parallel, r.Settings.MaxFailures, flag(r.Settings.Percent), r.Settings.Rollback,
		r.Settings.Bake.Microseconds(), r.Settings.Patience.Microseconds(), r.Note, string(r.State), flag(r.Starts), r.acting.id, r.acting.token, sqldb.Strings(r.acting.scopes),
		r.CreatedAt.UnixMicro(), r.CreatedBy)
}

func (s store) rollout(ctx context.Context, q sqldb.Querier, id string) (Rollout, error) {
	return scanRollout(q.QueryRowContext(ctx, `SELECT `+rolloutColumns+` WHERE o.id = $1`, id))
}

// lock gives the rollout for a change; others wait until the commit.
func (s store) lock(ctx context.Context, tx *sqldb.Tx, id string) (Rollout, error) {
	if suffix := s.db.ForUpdate(); suffix != "" {
		if err := tx.Later(ctx, `SELECT id FROM rollouts WHERE id = $1`+suffix, id); err != nil {
			return Rollout{}, err
		}
	}
	return s.rollout(ctx, tx, id)
}

// update writes all that may change of a rollout and gives it its new version.
func (s store) update(ctx context.Context, tx *sqldb.Tx, r *Rollout) error {
	r.UpdatedAt = tx.Now()
	r.Version++
	tx.Notify(topic(r.ID), "")
	return tx.Later(ctx, `UPDATE rollouts SET state = $2, starts = $3, began = $4, reason = $5, message = $6, hint = $7, revert_from = $8, acting_id = $9, acting_token = $10,
		acting_scopes = $11, started_at = $12, finished_at = $13, updated_at = $14, version = $15, rollback = $16 WHERE id = $1`,
		r.ID, string(r.State), flag(r.Starts), flag(r.Began), r.Reason, r.Message, r.Hint, r.RevertFrom, r.acting.id, r.acting.token, sqldb.Strings(r.acting.scopes),
		micro(r.StartedAt), micro(r.FinishedAt), r.UpdatedAt.UnixMicro(), r.Version, r.Settings.Rollback)
}

// touch tells whoever watches that a member went on.
func (s store) touch(ctx context.Context, tx *sqldb.Tx, id string) error {
	tx.Notify(topic(id), "")
	return tx.Later(ctx, `UPDATE rollouts SET updated_at = $2, version = version + 1 WHERE id = $1`, id, tx.Now().UnixMicro())
}

var rollouts = sqldb.List[Rollout]{
	Select: `SELECT ` + rolloutColumns, Scan: scanRollout, Default: "-created",
	Orders: map[string]sqldb.Order[Rollout]{"created": {Columns: []string{"o.id"}, Key: func(r Rollout) []any { return []any{r.ID} }}},
}

// within is what a scope lets through of members' resources, as a condition;
// "" is everything.
func (s store) within(scope access.Scope) (cond string, args []any) {
	if scope.All {
		return "", nil
	}
	var parts []string
	for _, part := range []struct {
		column string
		ids    []string
	}{{"r.environment_id", scope.EnvironmentIDs}, {"r.project_id", scope.ProjectIDs}, {"r.team_id", scope.TeamIDs}} {
		if len(part.ids) > 0 {
			parts = append(parts, s.db.InArray(part.column, "?"))
			args = append(args, sqldb.Strings(part.ids))
		}
	}
	if len(parts) == 0 {
		return "1 = 0", nil
	}
	return "(" + strings.Join(parts, " OR ") + ")", args
}

// seen narrows rollouts to those that somebody made, or of which they may see
// a member.
func (s store) seen(w *sqldb.Where, scope access.Scope, who string) {
	cond, args := s.within(scope)
	if cond == "" {
		return
	}
	w.And(`(o.created_by = ? OR EXISTS (SELECT 1 FROM rollout_members m JOIN resources r ON r.id = m.resource_id WHERE m.rollout_id = o.id AND `+cond+`))`,
		append([]any{who}, args...)...)
}

// of narrows rollouts to those with a member in a project, of those that may be
// seen.
func (s store) of(w *sqldb.Where, scope access.Scope, project string) {
	if !ident.IsRef(project) {
		w.And(`1 = 0`)
		return
	}
	q := `EXISTS (SELECT 1 FROM rollout_members m JOIN resources r ON r.id = m.resource_id JOIN projects p ON p.id = r.project_id
		WHERE m.rollout_id = o.id AND (p.id = ? OR p.name = ?)`
	args := []any{project, project}
	if cond, more := s.within(scope); cond != "" {
		q, args = q+` AND `+cond, append(args, more...)
	}
	w.And(q+`)`, args...)
}

// kinds gives a member for each environment and group that a rollout is
// about: what may be done with it is as for the others there.
func (s store) kinds(ctx context.Context, q sqldb.Querier, rolloutID string) ([]Member, error) {
	return sqldb.Collect(ctx, q, scanMember, `SELECT `+memberColumns+` WHERE m.id IN (SELECT min(x.id) FROM rollout_members x JOIN resources y ON y.id = x.resource_id
		WHERE x.rollout_id = $1 AND (x.state <> 'excluded' OR x.to_revision > 0) GROUP BY y.environment_id, x.group_number)`, rolloutID)
}

func scanMember(row sqldb.Row) (Member, error) {
	var m Member
	var isOpen int
	var planned, started, applied, ended, due sql.NullInt64
	var updated int64
	err := row.Scan(&m.ID, &m.RolloutID, &m.ResourceID, &m.Resource, &m.EnvironmentID, &m.Environment, &m.Class, &m.ProjectID, &m.Project, &m.TeamID, &m.Team, &m.template,
		&m.State, &isOpen, &m.Wave, &m.Group, &m.From, &m.Planned, &m.FromRevision, &m.ToRevision, &m.BackRevision, &m.shape, &m.Severity, &m.Title, &m.diff, &m.endsAs,
		&m.Reason, &m.Message, &m.Remedy, &planned, &started, &applied, &ended, &updated, &m.tries, &due)
	m.open = isOpen == 1
	m.PlannedAt, m.StartedAt, m.AppliedAt, m.Ended, m.UpdatedAt = sqldb.TimeOrZero(planned), sqldb.TimeOrZero(started), sqldb.TimeOrZero(applied), sqldb.TimeOrZero(ended), sqldb.Time(updated)
	m.due = sqldb.TimeOrZero(due)
	return m, err
}

var memberList = sqldb.List[Member]{
	Select: `SELECT ` + memberColumns, Scan: scanMember, Default: "wave",
	Orders: map[string]sqldb.Order[Member]{"wave": {Columns: []string{"m.wave", "m.id"}, Key: func(m Member) []any { return []any{m.Wave, m.ID} }}},
}

func (s store) insertMember(ctx context.Context, tx *sqldb.Tx, m Member) error {
	return tx.Later(ctx, `INSERT INTO rollout_members (id, rollout_id, resource_id, state, from_version, reason, message, remedy, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, m.ID, m.RolloutID, m.ResourceID, string(m.State), m.From, m.Reason, m.Message, m.Remedy, tx.Now().UnixMicro())
}

func (s store) member(ctx context.Context, q sqldb.Querier, id string) (Member, error) {
	return scanMember(q.QueryRowContext(ctx, `SELECT `+memberColumns+` WHERE m.id = $1`, id))
}

func (s store) memberOf(ctx context.Context, q sqldb.Querier, rolloutID, resourceID string) (Member, error) {
	return scanMember(q.QueryRowContext(ctx, `SELECT `+memberColumns+` WHERE m.rollout_id = $1 AND m.resource_id = $2`, rolloutID, resourceID))
}

// members gives those in some states, in the order of waves; none is all.
func (s store) members(ctx context.Context, q sqldb.Querier, rolloutID string, states ...MemberState) ([]Member, error) {
	var w sqldb.Where
	w.And(`m.rollout_id = ?`, rolloutID)
	if len(states) > 0 {
		list := make([]string, len(states))
		for i, v := range states {
			list[i] = string(v)
		}
		w.And(s.db.InArray("m.state", "?"), sqldb.Strings(list))
	}
	where, args := w.SQL()
	return sqldb.Collect(ctx, q, scanMember, `SELECT `+memberColumns+where+` ORDER BY m.wave, m.id`, args...)
}

// updateMember writes all that may change but who has a claim on it, which is
// the rollout's to say (claimOpen, release). It changes nothing when the member
// is not in the state was any more, and says so.
func (s store) updateMember(ctx context.Context, tx *sqldb.Tx, was MemberState, m Member) (bool, error) {
	res, err := tx.ExecContext(ctx, `UPDATE rollout_members SET state = $3, wave = $4, group_number = $5, from_version = $6, planned_revision = $7, from_revision = $8,
		to_revision = $9, back_revision = $10, shape = $11, severity = $12, title = $13, diff = $14, ends_as = $15, reason = $16, message = $17, remedy = $18,
		planned_at = $19, started_at = $20, applied_at = $21, finished_at = $22, updated_at = $23, tries = $24, due_at = $25 WHERE id = $1 AND state = $2`,
		m.ID, string(was), string(m.State), m.Wave, m.Group, m.From, m.Planned, m.FromRevision, m.ToRevision, m.BackRevision, m.shape, string(m.Severity), m.Title,
		m.diff, string(m.endsAs), m.Reason, m.Message, m.Remedy, micro(m.PlannedAt), micro(m.StartedAt), micro(m.AppliedAt), micro(m.Ended), tx.Now().UnixMicro(),
		m.tries, micro(m.due))
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// count is how many members are in a state, by wave and group.
type count struct {
	wave, group int64
	state       MemberState
	n           int64
}

func (s store) counts(ctx context.Context, q sqldb.Querier, rolloutID string, scope access.Scope) ([]count, error) {
	var w sqldb.Where
	w.And(`m.rollout_id = ?`, rolloutID)
	if cond, args := s.within(scope); cond != "" {
		w.And(cond, args...)
	}
	where, args := w.SQL()
	return sqldb.Collect(ctx, q, func(r sqldb.Row) (c count, err error) { return c, r.Scan(&c.wave, &c.group, &c.state, &c.n) },
		`SELECT m.wave, m.group_number, m.state, count(*) FROM rollout_members m JOIN resources r ON r.id = m.resource_id`+where+
			` GROUP BY m.wave, m.group_number, m.state ORDER BY 1, 2, 3`, args...)
}

// claimOpen marks the pending members as this rollout's alone, but those that
// are another's.
func (s store) claimOpen(ctx context.Context, tx *sqldb.Tx, rolloutID string) error {
	_, err := tx.ExecContext(ctx, `UPDATE rollout_members SET open = 1 WHERE rollout_id = $1 AND state = 'pending' AND open = 0
		AND NOT EXISTS (SELECT 1 FROM rollout_members x WHERE x.resource_id = rollout_members.resource_id AND x.open = 1)`, rolloutID)
	return err
}

// release lets go of every member, or of those that are in no state in which
// the rollout still has a claim.
func (s store) release(ctx context.Context, tx *sqldb.Tx, rolloutID string) error {
	return tx.Later(ctx, `UPDATE rollout_members SET open = 0 WHERE rollout_id = $1 AND open = 1`, rolloutID)
}

// openFor gives the member by which a rollout that is under way has a claim on
// a resource.
func (s store) openFor(ctx context.Context, q sqldb.Querier, resourceID string) (Member, error) {
	return scanMember(q.QueryRowContext(ctx, `SELECT `+memberColumns+` WHERE m.resource_id = $1 AND m.open = 1`, resourceID))
}

// candidate is a resource that a rollout may be about.
type candidate struct {
	id, name, environmentID, environment, class, projectID, project, teamID, team, template, version string
}

func (c candidate) target() access.Target {
	return access.Target{Kind: "resource", ID: c.id, Name: c.name, TeamID: c.teamID, ProjectID: c.projectID, EnvironmentID: c.environmentID, EnvironmentClass: c.class, Template: c.template}
}

func (s store) candidates(ctx context.Context, template string, sel Selection, scope access.Scope, limit int) ([]candidate, error) {
	var w sqldb.Where
	w.And(`r.template = ?`, template)
	w.And(`r.destroyed_at IS NULL AND r.destroy_wanted_at IS NULL`)
	for _, part := range []struct{ cond, value string }{
		{`(p.id = ? OR p.name = ?)`, sel.Project}, {`(e.id = ? OR e.name = ?)`, sel.Environment}, {`e.class = ?`, sel.Class}, {`(t.id = ? OR t.name = ?)`, sel.Team},
	} {
		if part.value != "" {
			w.And(part.cond, part.value)
		}
	}
	scope.Narrow(&w, s.db, access.Columns{Team: "r.team_id", Project: "r.project_id", Environment: "r.environment_id"})
	where, args := w.SQL()
	args = append(args, limit)
	return sqldb.Collect(ctx, s.db.Read(), func(r sqldb.Row) (c candidate, err error) {
		return c, r.Scan(&c.id, &c.name, &c.environmentID, &c.environment, &c.class, &c.projectID, &c.project, &c.teamID, &c.team, &c.template, &c.version)
	}, `SELECT r.id, r.name, e.id, e.name, e.class, p.id, p.name, t.id, t.name, r.template, v.template_version
		FROM resources r JOIN revisions v ON v.resource_id = r.id AND v.number = r.revision
		JOIN environments e ON e.id = r.environment_id JOIN projects p ON p.id = r.project_id JOIN teams t ON t.id = r.team_id`+where+
		` ORDER BY r.id LIMIT $`+itoa(len(args)), args...)
}
