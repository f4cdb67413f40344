package approval

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

// store is this feature's SQL, on the read pool or in a transaction.
type store struct{ db *sqldb.DB }

const columns = `a.id, a.kind, a.subject_id, a.title, a.run_id, a.action, a.revision, a.template, a.template_version,
	a.team_id, coalesce(t.name, ''), a.project_id, coalesce(p.name, ''), a.environment_id, coalesce(e.name, ''), coalesce(e.class, ''), coalesce(e.attributes, '{}'),
	a.digest, a.parts, a.needs, a.barred, a.status, a.reason, a.changed,
	a.requested_by, coalesce(r.name, a.requested_by), a.created_at, a.expires_at, a.decided_at, a.decided_by, coalesce(d.name, a.decided_by), a.passed_at,
	a.reviewed_at, a.reviewed_by, coalesce(v.name, a.reviewed_by), a.review`

const tables = ` FROM approvals a LEFT JOIN teams t ON t.id = a.team_id LEFT JOIN projects p ON p.id = a.project_id
	LEFT JOIN environments e ON e.id = a.environment_id LEFT JOIN principals r ON r.id = a.requested_by
	LEFT JOIN principals d ON d.id = a.decided_by LEFT JOIN principals v ON v.id = a.reviewed_by`

// whole reads an approval with its document, brief without.
const (
	whole = `SELECT ` + columns + `, a.document, a.verdicts` + tables
	brief = `SELECT ` + columns + `, '{}', '[]'` + tables
)

func scan(row sqldb.Row) (Approval, error) {
	var a Approval
	var attributes, parts, needs, barred, changed, document, verdicts string
	var created, expires int64
	var decided, passed, reviewed sql.NullInt64
	err := row.Scan(&a.ID, &a.Kind, &a.SubjectID, &a.Title, &a.RunID, &a.Action, &a.Revision, &a.Template, &a.TemplateVersion,
		&a.TeamID, &a.Team, &a.ProjectID, &a.Project, &a.EnvironmentID, &a.Environment, &a.Class, &attributes,
		&a.Digest, &parts, &needs, &barred, &a.Status, &a.Reason, &changed,
		&a.RequestedBy, &a.Requester, &created, &expires, &decided, &a.DecidedBy, &a.Decider, &passed,
		&reviewed, &a.ReviewedBy, &a.Reviewer, &a.Review, &document, &verdicts)
	if err != nil {
		return a, err
	}
	a.CreatedAt, a.ExpiresAt, a.DecidedAt = sqldb.Time(created), sqldb.Time(expires), sqldb.TimeOrZero(decided)
	a.PassedAt, a.ReviewedAt = sqldb.TimeOrZero(passed), sqldb.TimeOrZero(reviewed)
	for _, part := range []struct {
		text string
		into any
	}{{attributes, &a.attributes}, {parts, &a.Parts}, {needs, &a.Needs}, {barred, &a.Barred}, {changed, &a.Changed}, {document, &a.Document}, {verdicts, &a.Verdicts}} {
		if err := json.Unmarshal([]byte(part.text), part.into); err != nil {
			return a, fmt.Errorf("approval %s: %w", a.ID, err)
		}
	}
	return a, nil
}

var approvals = sqldb.List[Approval]{
	Select: brief, Scan: scan, Default: "-created",
	Orders: map[string]sqldb.Order[Approval]{
		"created": {Columns: []string{"a.id"}, Key: func(a Approval) []any { return []any{a.ID} }},
		"expires": {Columns: []string{"a.expires_at", "a.id"}, Key: func(a Approval) []any { return []any{a.ExpiresAt.UnixMicro(), a.ID} }},
	},
}

// lock keeps the approvals' rows as they are until the commit.
func (s store) lock() string {
	if s.db.Dialect() == sqldb.Postgres {
		return " FOR UPDATE OF a"
	}
	return ""
}

// get gives an approval; sql.ErrNoRows when there is none.
func (s store) get(ctx context.Context, q sqldb.Querier, id string, lock bool) (Approval, error) {
	query := whole + ` WHERE a.id = $1`
	if lock {
		query += s.lock()
	}
	return scan(q.QueryRowContext(ctx, query, id))
}

// living gives, newest first and locked, what may still count for a subject or
// has to be voided, and how it ended for the run.
func (s store) living(ctx context.Context, tx *sqldb.Tx, kind, subject, run, digest string) ([]Approval, error) {
	return sqldb.Collect(ctx, tx, scan, whole+` WHERE a.kind = $1 AND a.subject_id = $2
		AND (a.status = 'pending' OR a.status = 'approved' AND (a.passed_at IS NULL OR a.digest = $4) OR a.run_id = $3 AND a.status <> 'void')
		ORDER BY a.id DESC LIMIT 50`+s.lock(), kind, subject, run, digest)
}

// insert reports false when another is open for the subject.
func (s store) insert(ctx context.Context, tx *sqldb.Tx, a Approval) (bool, error) {
	res, err := tx.ExecContext(ctx, `INSERT INTO approvals (id, kind, subject_id, title, run_id, action, revision, template, template_version,
			team_id, project_id, environment_id, digest, parts, needs, barred, document, verdicts, requested_by, status, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22) ON CONFLICT DO NOTHING`,
		a.ID, a.Kind, a.SubjectID, a.Title, a.RunID, a.Action, a.Revision, a.Template, a.TemplateVersion,
		a.TeamID, a.ProjectID, a.EnvironmentID, a.Digest, encode(a.Parts), encode(a.Needs), encode(a.Barred), encode(a.Document), encode(a.Verdicts),
		a.RequestedBy, string(a.Status), a.CreatedAt.UnixMicro(), a.ExpiresAt.UnixMicro())
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	return true, s.setKeys(ctx, tx, a)
}

// setKeys writes down who counts, for lists.
func (s store) setKeys(ctx context.Context, tx *sqldb.Tx, a Approval) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM approval_needs WHERE approval_id = $1`, a.ID); err != nil {
		return err
	}
	for _, n := range a.Needs {
		for _, key := range n.keys() {
			if _, err := tx.ExecContext(ctx, `INSERT INTO approval_needs (approval_id, need_key) VALUES ($1, $2) ON CONFLICT DO NOTHING`, a.ID, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// setNeeds replaces who must agree.
func (s store) setNeeds(ctx context.Context, tx *sqldb.Tx, a Approval) error {
	if _, err := tx.ExecContext(ctx, `UPDATE approvals SET needs = $2 WHERE id = $1`, a.ID, encode(a.Needs)); err != nil {
		return err
	}
	return s.setKeys(ctx, tx, a)
}

// end writes what became of an approval.
func (s store) end(ctx context.Context, tx *sqldb.Tx, a Approval) error {
	var decided any
	if !a.DecidedAt.IsZero() {
		decided = a.DecidedAt.UnixMicro()
	}
	_, err := tx.ExecContext(ctx, `UPDATE approvals SET status = $2, reason = $3, changed = $4, decided_at = CAST($5 AS BIGINT), decided_by = $6, expires_at = $7 WHERE id = $1`,
		a.ID, string(a.Status), a.Reason, encode(a.Changed), decided, a.DecidedBy, a.ExpiresAt.UnixMicro())
	return err
}

// lately counts the approvals of a subject since a time.
func (s store) lately(ctx context.Context, q sqldb.Querier, kind, subject string, since time.Time) (n int, err error) {
	err = q.QueryRowContext(ctx, `SELECT count(*) FROM approvals WHERE kind = $1 AND subject_id = $2 AND created_at > $3`, kind, subject, since.UnixMicro()).Scan(&n)
	return n, err
}

// votes gives all votes on an approval, oldest first.
func (s store) votes(ctx context.Context, q sqldb.Querier, approval string) ([]Vote, error) {
	return sqldb.Collect(ctx, q, func(r sqldb.Row) (Vote, error) {
		var v Vote
		var at int64
		var holder string
		err := r.Scan(&v.VoterID, &v.Voter, &v.holderID, &holder, &v.Decision, &v.Comment, &at)
		if v.holderID != v.VoterID {
			v.OnBehalfOf = holder
		}
		v.At = sqldb.Time(at)
		return v, err
	}, `SELECT w.voter_id, coalesce(p.name, w.voter_id), w.on_behalf_of, coalesce(h.name, w.on_behalf_of), w.decision, w.comment, w.at
		FROM approval_votes w LEFT JOIN principals p ON p.id = w.voter_id LEFT JOIN principals h ON h.id = w.on_behalf_of
		WHERE w.approval_id = $1 ORDER BY w.at, w.voter_id, w.on_behalf_of`, approval)
}

// vote adds a vote by one right. It reports false when it was there already.
func (s store) vote(ctx context.Context, tx *sqldb.Tx, approval string, v Vote) (bool, error) {
	res, err := tx.ExecContext(ctx, `INSERT INTO approval_votes (approval_id, voter_id, on_behalf_of, decision, comment, at)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (approval_id, voter_id, on_behalf_of) DO UPDATE SET decision = excluded.decision, comment = excluded.comment, at = excluded.at
		WHERE approval_votes.decision <> excluded.decision`,
		approval, v.VoterID, v.holderID, string(v.Decision), v.Comment, tx.Now().UnixMicro())
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// authors gives who made a revision and those before it down to the one that
// is in use: each was made on top of the one before, agreed to or not.
func (s store) authors(ctx context.Context, q sqldb.Querier, resourceID string, revision int64) ([]actor, error) {
	return sqldb.Collect(ctx, q, func(r sqldb.Row) (actor, error) {
		a := actor{why: madeRevision}
		var number, at int64
		err := r.Scan(&a.id, &number, &at)
		if number != revision {
			a.why = "made revision " + strconv.FormatInt(number, 10) + ", which this one is made on top of"
		}
		a.at = sqldb.Time(at)
		return a, err
	}, `SELECT v.created_by, v.number, v.created_at FROM revisions v JOIN resources r ON r.id = v.resource_id
		WHERE v.resource_id = $1 AND v.number <= $2 AND (v.number = $2 OR v.number > r.applied_revision) ORDER BY v.number DESC LIMIT 100`, resourceID, revision)
}

// behind gives who changed what a resource refers to, directly or through
// others, since a run of it last passed its gates, or since there is the
// resource: when what its references come to is another by now, they changed
// it as much as who asked. references is the digest of that.
func (s store) behind(ctx context.Context, q sqldb.Querier, resourceID, runID, references string) ([]actor, error) {
	var since int64
	var passed string
	err := q.QueryRowContext(ctx, `SELECT r.created_at, '' FROM resources r WHERE r.id = $1`, resourceID).Scan(&since, &passed)
	if err == nil {
		err = q.QueryRowContext(ctx, `SELECT coalesce(u.started_at, u.created_at), u.passed FROM runs u WHERE u.resource_id = $1 AND u.id <> $2 AND u.kind = 'apply' AND u.passed <> ''
			ORDER BY u.number DESC LIMIT 1`, resourceID, runID).Scan(&since, &passed)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, err
	}
	if passed != "" {
		var b gate.Binding
		if err := json.Unmarshal([]byte(passed), &b); err != nil {
			return nil, fmt.Errorf("what a run of %s passed: %w", resourceID, err)
		}
		if b[gate.PartReferences] == references {
			return nil, nil
		}
	}
	return sqldb.Collect(ctx, q, func(r sqldb.Row) (a actor, err error) {
		var name string
		var number, at int64
		err = r.Scan(&a.id, &name, &number, &at)
		a.why = "made revision " + strconv.FormatInt(number, 10) + " of " + name + ", which this one takes from"
		a.at = sqldb.Time(at)
		return a, err
	}, `WITH RECURSIVE behind (id) AS (
			SELECT x.target_id FROM resource_references x WHERE x.resource_id = $1
			UNION SELECT x.target_id FROM resource_references x JOIN behind b ON x.resource_id = b.id
		) SELECT v.created_by, r.name, v.number, v.created_at FROM behind b JOIN resources r ON r.id = b.id JOIN revisions v ON v.resource_id = b.id
		WHERE v.created_at > $2 ORDER BY r.id, v.number DESC LIMIT 500`, resourceID, since)
}

// due gives the ids of pending approvals whose time is over.
func (s store) due(ctx context.Context, now time.Time) ([]string, error) {
	return sqldb.Collect(ctx, s.db.Read(), sqldb.Text,
		`SELECT a.id FROM approvals a WHERE a.status = 'pending' AND a.expires_at <= $1 ORDER BY a.expires_at LIMIT 100`, now.UnixMicro())
}

// next gives the newest approval of a subject that came after one.
func (s store) next(ctx context.Context, q sqldb.Querier, a Approval) (string, error) {
	var id string
	err := q.QueryRowContext(ctx, `SELECT a.id FROM approvals a WHERE a.kind = $1 AND a.subject_id = $2 AND a.id > $3 ORDER BY a.id DESC LIMIT 1`,
		a.Kind, a.SubjectID, a.ID).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

func encode(v any) string {
	switch x := v.(type) {
	case []Change:
		v = append([]Change{}, x...)
	case []Barred:
		v = append([]Barred{}, x...)
	case []gate.Verdict:
		v = append([]gate.Verdict{}, x...)
	case map[string]any:
		if x == nil {
			return "{}"
		}
	}
	b, err := json.Marshal(v)
	if err != nil { // of these types only a Document could, and it came from JSON
		return "null"
	}
	return string(b)
}
