package resource

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/engine"
	"fairlead/internal/sqldb"
	"fairlead/internal/yamlx"
)

// store is the SQL of resources, revisions and references.
type store struct{ db *sqldb.DB }

// A resource is read as one column of all that has no control character in it,
// and three that may: the SQLite driver pays several locks and allocations for
// each column of each row, and a list has many rows.
var resourceColumns = `concat_ws('` + unit + `', ` + strings.Join([]string{
	"r.id", "r.name", "r.environment_id", "e.name", "e.class", "e.attributes", "r.project_id", "p.name", "r.team_id", "t.name",
	"r.template", "r.engine", "r.phase", "r.reason", "r.created_by", "v.template_version", "v.template_digest", "v.created_by",
	"coalesce((SELECT u.id FROM runs u WHERE u.resource_id = r.id ORDER BY u.number DESC LIMIT 1), '')", "r.rotation", "r.applied_rotation", "r.adopted",
	"r.revision", "r.applied_revision", "r.version", "r.wanted_version", "r.paused", "r.letting_go", "r.created_at", "r.updated_at",
	"coalesce(r.observed_at, 0)", "coalesce(r.retire_due_at, 0)", "coalesce(r.destroy_wanted_at, 0)", "coalesce(r.destroyed_at, 0)",
	"v.inputs", "v.sealed", "r.outputs", "r.objects", "r.drift",
	"coalesce(c.name, r.created_by)", // the last: no rule of ours says what a person is called
}, ", ") + `), r.message, r.hint, r.state
	FROM resources r
	JOIN revisions v ON v.resource_id = r.id AND v.number = r.revision
	JOIN environments e ON e.id = r.environment_id
	JOIN projects p ON p.id = e.project_id
	JOIN teams t ON t.id = p.team_id
	LEFT JOIN principals c ON c.id = r.created_by`

const unit = "\x1f"

func scanResource(row sqldb.Row) (Resource, error) {
	var r Resource
	var packed, message, hint, state string
	if err := row.Scan(&packed, &message, &hint, &state); err != nil {
		return r, err
	}
	r.Message, r.Hint, r.state = message, hint, state
	f := fields{rest: packed}
	for _, into := range [...]*string{
		&r.ID, &r.Name, &r.EnvironmentID, &r.Environment, &r.Class, &r.attributes, &r.ProjectID, &r.Project, &r.TeamID, &r.Team,
		&r.Template, &r.Engine, (*string)(&r.Phase), &r.Reason, &r.CreatedBy, &r.TemplateVersion, &r.templateDigest, &r.author,
		&r.RunID, &r.rotation, &r.appliedRotation, &r.Adopted,
	} {
		*into = f.text()
	}
	var paused, lettingGo int64
	for _, into := range [...]*int64{&r.Revision, &r.AppliedRevision, &r.Version, &r.wantedVersion, &paused, &lettingGo} {
		*into = f.number()
	}
	r.Paused, r.lettingGo = paused == 1, lettingGo == 1
	for _, into := range [...]*time.Time{&r.CreatedAt, &r.UpdatedAt, &r.ObservedAt, &r.RetireAt, &r.DestroyWantedAt, &r.DestroyedAt} {
		if us := f.number(); us != 0 {
			*into = sqldb.Time(us)
		}
	}
	inputs, sealed, outputs, objects, drift := f.text(), f.text(), f.text(), f.text(), f.text()
	r.CreatedByName = f.rest
	if f.err != nil {
		return r, f.err
	}
	var errs [5]error // values and not addresses of r, which would put each row of a list on the heap by itself
	r.Inputs, errs[0] = readInputs(inputs)
	r.Outputs, errs[1] = readOutputs(outputs)
	r.Objects, errs[2] = readObjects(objects)
	r.Drift, errs[3] = array[engine.Drift](drift)
	r.sealed, errs[4] = array[string](sealed)
	return r, errors.Join(errs[:]...)
}

// fields takes a packed column apart.
type fields struct {
	rest string
	err  error
}

func (f *fields) text() string {
	s, rest, ok := strings.Cut(f.rest, unit)
	if !ok && f.err == nil {
		f.err = errors.New("a resource's fields cannot be told apart")
	}
	f.rest = rest
	return s
}

func (f *fields) number() int64 {
	n, err := strconv.ParseInt(f.text(), 10, 64)
	if f.err == nil {
		f.err = err
	}
	return n
}

// readInputs reads recorded inputs with numbers as a template's Check gives
// them.
func readInputs(s string) (map[string]any, error) {
	m, ok := storedInputs(s)
	if ok {
		return m, nil
	}
	m = map[string]any{}
	err := fromJSON(s, &m)
	if m == nil {
		m = map[string]any{}
	}
	return m, err
}

func readOutputs(s string) (map[string]Output, error) {
	m, ok := storedOutputs(s)
	if ok {
		return m, nil
	}
	m = map[string]Output{}
	err := fromJSON(s, &m)
	return numbered(m), err
}

func numbered(m map[string]Output) map[string]Output {
	for name, o := range m {
		o.Value = yamlx.Numbers(o.Value)
		m[name] = o
	}
	return m
}

func readObjects(s string) ([]engine.Object, error) {
	if list, ok := storedObjects(s); ok {
		return list, nil
	}
	return array[engine.Object](s)
}

// array reads a JSON array; most are empty, and a list has many.
func array[E any](s string) ([]E, error) {
	out := []E{}
	if s == "[]" {
		return out, nil
	}
	err := fromJSON(s, &out)
	return out, err
}

// exact is a decoder that keeps the digits of numbers, and whose buffer is kept
// from one value to the next.
type exact struct {
	text strings.Reader
	dec  *json.Decoder
}

var exacts = sync.Pool{New: func() any {
	e := &exact{}
	e.dec = json.NewDecoder(&e.text)
	e.dec.UseNumber()
	return e
}}

// fromJSON is json.Unmarshal of an object or a list, but no number loses a digit.
func fromJSON[T any](s string, into *T) error {
	if !strings.ContainsAny(s, "0123456789") {
		return json.Unmarshal([]byte(s), into) // no number in it: that costs less than a Decoder
	}
	e, _ := exacts.Get().(*exact)
	e.text.Reset(s)
	if err := e.dec.Decode(into); err != nil {
		return err // what a decoder has failed at it remembers: it is not used again
	}
	if rest, ok := e.dec.Buffered().(*bytes.Reader); ok && rest.Len() == 0 && e.text.Len() == 0 {
		exacts.Put(e)
	}
	yamlx.Numbers(any(*into))
	return nil
}

func toMicro(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func toJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "null" // only of values that came from JSON
	}
	return string(b)
}

// find gives the living resource of a name or id in an environment.
func (s store) find(ctx context.Context, q sqldb.Querier, envID, name string) (Resource, error) {
	which := `r.name = $2 AND r.destroyed_at IS NULL`
	if strings.Contains(name, "_") { // an id: names have no underscore
		which = `r.id = $2`
	}
	return scanResource(q.QueryRowContext(s.db.Brief(ctx), `SELECT `+resourceColumns+` WHERE r.environment_id = $1 AND `+which, envID, name))
}

func (s store) byID(ctx context.Context, q sqldb.Querier, id string) (Resource, error) {
	return scanResource(q.QueryRowContext(s.db.Brief(ctx), `SELECT `+resourceColumns+` WHERE r.id = $1`, id))
}

// lock gives the resource for a change; others wait until the commit.
func (s store) lock(ctx context.Context, tx *sqldb.Tx, id string) (Resource, error) {
	if suffix := s.db.ForUpdate(); suffix != "" {
		// The job first, as a worker does: two orders would be a deadlock.
		if err := tx.Later(ctx, `SELECT key FROM queue WHERE key = $1`+suffix, id); err != nil {
			return Resource{}, err
		}
		if err := tx.Later(ctx, `SELECT id FROM resources WHERE id = $1`+suffix, id); err != nil {
			return Resource{}, err
		}
	}
	return s.byID(ctx, tx, id)
}

// lockKnown is lock for a worker that knows the row as it saw or wrote it last,
// and whose claim's check has locked the job: the row is locked, and the closure
// fails with errWritten when somebody has written it since, which its version
// and the observer's one mark tell.
func (s store) lockKnown(ctx context.Context, tx *sqldb.Tx, known Resource) error {
	return tx.LaterRow(ctx, func(row sqldb.Row) error {
		var version, observed int64
		err := row.Scan(&version, &observed)
		if err == nil && (version != known.Version || observed != 0 && observed != known.ObservedAt.UnixMicro() || observed == 0 && !known.ObservedAt.IsZero()) {
			err = errWritten
		}
		return err
	}, `SELECT version, coalesce(observed_at, 0) FROM resources WHERE id = $1`+s.db.ForUpdate(), known.ID)
}

var errWritten = errors.New("the row was written meanwhile")

func (s store) lockEnvironment(ctx context.Context, tx *sqldb.Tx, id string) error {
	if s.db.Dialect() == sqldb.SQLite {
		return nil // one writer: everything takes turns
	}
	var one string
	return tx.QueryRowContext(ctx, `SELECT id FROM environments WHERE id = $1 FOR NO KEY UPDATE`, id).Scan(&one)
}

// holdEnvironment keeps what access decided on as it is until the commit: the
// environment is there, of its class, and its project is the same team's. It
// fails with errMoved when that is no longer so. The lock lets other requests
// in, and makes a move or a deletion wait, which then counts the resource.
func (s store) holdEnvironment(ctx context.Context, tx *sqldb.Tx, env Environment) error {
	suffix := ""
	if s.db.Dialect() == sqldb.Postgres {
		suffix = ` FOR KEY SHARE OF e, p`
	}
	return tx.SharedLaterRow(ctx, func(row sqldb.Row) error {
		var class, team string
		err := row.Scan(&class, &team)
		if errors.Is(err, sql.ErrNoRows) || err == nil && (class != env.Class || team != env.TeamID) {
			return errMoved
		}
		return err
	}, `SELECT e.class, p.team_id FROM environments e JOIN projects p ON p.id = e.project_id
		WHERE e.id = $1 AND e.deleted_at IS NULL AND p.deleted_at IS NULL`+suffix, env.ID)
}

// insert makes r's row; a name that is taken fails the closure with name_taken.
func (s store) insert(ctx context.Context, tx *sqldb.Tx, r Resource) error {
	return tx.LaterRow(ctx, func(row sqldb.Row) error {
		var id string
		err := row.Scan(&id)
		if sqldb.IsUnique(err) {
			return nameTaken(r, err)
		}
		return err
	}, `INSERT INTO resources
		(id, name, environment_id, project_id, team_id, template, engine, phase, revision, created_at, created_by, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $10) RETURNING id`,
		r.ID, r.Name, r.EnvironmentID, r.ProjectID, r.TeamID, r.Template, r.Engine, r.Phase, r.Revision, r.CreatedAt.UnixMicro(), r.CreatedBy)
}

// update writes all that may change and gives r its new version.
func (s store) update(ctx context.Context, tx *sqldb.Tx, r *Resource) error {
	r.UpdatedAt = tx.Now()
	r.Version++
	err := tx.Later(ctx, `UPDATE resources SET
		engine = $2, phase = $3, reason = $4, message = $5, hint = $6, revision = $7, applied_revision = $8, outputs = $9, objects = $10,
		state = $11, drift = $12, observed_at = $13, rotation = $14, applied_rotation = $15, retire_due_at = $16,
		destroy_wanted_at = $17, destroyed_at = $18, updated_at = $19, version = $20, wanted_version = $21,
		observe_due_at = coalesce($22, observe_due_at) WHERE id = $1`,
		r.ID, r.Engine, r.Phase, r.Reason, r.Message, r.Hint, r.Revision, r.AppliedRevision, toJSON(r.Outputs), toJSON(r.Objects),
		r.state, toJSON(r.Drift), toMicro(r.ObservedAt), r.rotation, r.appliedRotation, toMicro(r.RetireAt),
		toMicro(r.DestroyWantedAt), toMicro(r.DestroyedAt), r.UpdatedAt.UnixMicro(), r.Version, r.wantedVersion, toMicro(r.observeAt))
	r.observeAt = time.Time{}
	tx.Notify(topic(r.ID), "")
	return err
}

// updateStep is update of what says how far a run is, and of nothing else.
func (s store) updateStep(ctx context.Context, tx *sqldb.Tx, r *Resource) error {
	r.UpdatedAt = tx.Now()
	r.Version++
	tx.Notify(topic(r.ID), "")
	return tx.Later(ctx, `UPDATE resources SET phase = $2, reason = $3, message = $4, hint = $5, updated_at = $6, version = $7 WHERE id = $1`,
		r.ID, r.Phase, r.Reason, r.Message, r.Hint, r.UpdatedAt.UnixMicro(), r.Version)
}

// updateMade is update of what a run has made: of all but what somebody wants.
// An index of what it names is written anew, changed or not.
func (s store) updateMade(ctx context.Context, tx *sqldb.Tx, r *Resource) error {
	r.UpdatedAt = tx.Now()
	r.Version++
	err := tx.Later(ctx, `UPDATE resources SET phase = $2, reason = $3, message = $4, hint = $5, applied_revision = $6, outputs = $7, objects = $8,
		state = $9, drift = $10, observed_at = $11, updated_at = $12, version = $13, observe_due_at = coalesce($14, observe_due_at) WHERE id = $1`,
		r.ID, r.Phase, r.Reason, r.Message, r.Hint, r.AppliedRevision, toJSON(r.Outputs), toJSON(r.Objects),
		r.state, toJSON(r.Drift), toMicro(r.ObservedAt), r.UpdatedAt.UnixMicro(), r.Version, toMicro(r.observeAt))
	r.observeAt = time.Time{}
	tx.Notify(topic(r.ID), "")
	return err
}

// referred asks, along with the next statement, whether anything refers to a
// resource: then the answer is there.
func (s store) referred(ctx context.Context, tx *sqldb.Tx, id string) (*bool, error) {
	some := new(bool)
	return some, tx.LaterRow(ctx, func(row sqldb.Row) error { return row.Scan(some) },
		`SELECT EXISTS (SELECT 1 FROM resource_references WHERE target_id = $1)`, id)
}

// scheduleObservation says when the observer looks at r next; nil is never.
func (s store) scheduleObservation(ctx context.Context, tx *sqldb.Tx, id string, at time.Time) error {
	return tx.Later(ctx, `UPDATE resources SET observe_due_at = $2 WHERE id = $1`, id, toMicro(at))
}

func (s store) insertRevision(ctx context.Context, tx *sqldb.Tx, resourceID string, v Revision) error {
	return tx.Later(ctx, `INSERT INTO revisions
		(resource_id, number, template, template_version, template_digest, inputs, sealed, note, rolled_back_to, created_at, created_by)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		resourceID, v.Number, v.Template, v.TemplateVersion, v.TemplateDigest, toJSON(v.Inputs), sqldb.Strings(v.sealed), v.Note, v.RolledBackTo, v.CreatedAt.UnixMicro(), v.CreatedBy)
}

const revisionColumns = `v.number, v.template, v.template_version, v.template_digest, v.inputs, v.sealed, v.note, v.rolled_back_to,
	v.created_at, v.created_by, coalesce(c.name, v.created_by) FROM revisions v LEFT JOIN principals c ON c.id = v.created_by`

func scanRevision(row sqldb.Row) (Revision, error) {
	var v Revision
	var inputs, sealed string
	var created int64
	err := row.Scan(&v.Number, &v.Template, &v.TemplateVersion, &v.TemplateDigest, &inputs, &sealed, &v.Note, &v.RolledBackTo,
		&created, &v.CreatedBy, &v.CreatedByName)
	if err != nil {
		return v, err
	}
	v.CreatedAt = sqldb.Time(created)
	if v.Inputs, err = readInputs(inputs); err != nil {
		return v, err
	}
	return v, json.Unmarshal([]byte(sealed), &v.sealed)
}

func (s store) revision(ctx context.Context, q sqldb.Querier, resourceID string, number int64) (Revision, error) {
	return scanRevision(q.QueryRowContext(ctx, `SELECT `+revisionColumns+` WHERE v.resource_id = $1 AND v.number = $2`, resourceID, number))
}

func (s store) replaceReferences(ctx context.Context, tx *sqldb.Tx, resourceID string, refs []Reference) error {
	if err := tx.Later(ctx, `DELETE FROM resource_references WHERE resource_id = $1`, resourceID); err != nil {
		return err
	}
	for _, r := range refs {
		if err := tx.Later(ctx, `INSERT INTO resource_references (resource_id, input, target_id, output) VALUES ($1, $2, $3, $4)`,
			resourceID, r.Input, r.TargetID, r.Output); err != nil {
			return err
		}
	}
	return nil
}

// references gives what a resource refers to.
func (s store) references(ctx context.Context, resourceID string) ([]Reference, error) {
	return sqldb.Collect(ctx, s.db.Read(), scanReference, `SELECT f.input, f.target_id, t.name, f.output
		FROM resource_references f JOIN resources t ON t.id = f.target_id WHERE f.resource_id = $1 ORDER BY f.input`, resourceID)
}

// referredBy gives what refers to a resource; Resource and TargetID are the
// one that refers.
func (s store) referredBy(ctx context.Context, q sqldb.Querier, targetID string) ([]Reference, error) {
	// Not a join: PostgreSQL, with no statistics yet, would read all resources.
	return sqldb.Collect(ctx, q, scanReference, `SELECT f.input, f.resource_id, (SELECT r.name FROM resources r WHERE r.id = f.resource_id), f.output
		FROM resource_references f
		WHERE f.target_id = $1 AND (SELECT r.destroyed_at FROM resources r WHERE r.id = f.resource_id) IS NULL ORDER BY f.resource_id, f.input`, targetID)
}

func scanReference(r sqldb.Row) (v Reference, err error) {
	return v, r.Scan(&v.Input, &v.TargetID, &v.Resource, &v.Output)
}

// referrers names what refers to a resource and is not gone; with staying
// only those that are not on their way out either.
func (s store) referrers(ctx context.Context, q sqldb.Querier, targetID string, staying bool) ([]string, error) {
	query := `SELECT DISTINCT r.name FROM resource_references f JOIN resources r ON r.id = f.resource_id
		WHERE f.target_id = $1 AND r.destroyed_at IS NULL`
	if staying {
		query += ` AND r.destroy_wanted_at IS NULL`
	}
	return sqldb.Collect(ctx, q, sqldb.Text, query+` ORDER BY r.name`, targetID)
}

// path gives the names on a way along references from one resource to
// another, both ends included; nil when there is none.
func (s store) path(ctx context.Context, q sqldb.Querier, from, to string) ([]string, error) {
	type edge struct{ from, to string }
	came := map[string]string{from: ""}
	for next := []string{from}; len(next) > 0; {
		found, err := sqldb.Collect(ctx, q, func(r sqldb.Row) (e edge, err error) {
			return e, r.Scan(&e.from, &e.to)
		}, `SELECT resource_id, target_id FROM resource_references WHERE `+s.db.InArray("resource_id", "$1")+` ORDER BY 1, 2`, toJSON(next))
		if err != nil {
			return nil, err
		}
		next = nil
		for _, e := range found {
			if _, seen := came[e.to]; seen {
				continue
			}
			came[e.to] = e.from
			next = append(next, e.to)
		}
		if _, ok := came[to]; ok {
			return s.wayBack(ctx, q, to, came)
		}
	}
	return nil, nil
}

func (s store) wayBack(ctx context.Context, q sqldb.Querier, to string, came map[string]string) ([]string, error) {
	var names []string
	for id := to; id != ""; id = came[id] {
		var name string
		if err := q.QueryRowContext(ctx, `SELECT name FROM resources WHERE id = $1`, id).Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	slices.Reverse(names)
	return names, nil
}

func (s store) list(ctx context.Context, f Filter, envID string, scope access.Scope, p sqldb.Page) ([]Resource, string, error) {
	var w sqldb.Where
	if !f.Destroyed {
		w.And(`r.destroyed_at IS NULL`)
	}
	if envID != "" {
		w.And(`r.environment_id = ?`, envID)
	}
	if f.Project != "" && envID == "" {
		w.And(`(p.id = ? OR p.name = ?)`, f.Project)
	}
	if f.Environment != "" && envID == "" {
		w.And(`(e.id = ? OR e.name = ?)`, f.Environment)
	}
	if f.Template != "" {
		w.And(`r.template = ?`, f.Template)
	}
	if f.Version != "" {
		w.And(`v.template_version = ?`, f.Version)
	}
	if f.Phase != "" {
		w.And(`r.phase = ?`, string(f.Phase))
	}
	if f.Attention {
		w.And(attention)
	}
	if f.Search != "" {
		w.And(`r.name LIKE ? ESCAPE '\'`, sqldb.Contains(f.Search))
	}
	scope.Narrow(&w, s.db, access.Columns{Team: "r.team_id", Project: "r.project_id", Environment: "r.environment_id"})
	return resources.Page(ctx, s.db.Read(), w, f.Sort, p)
}

func (s store) revisions(ctx context.Context, resourceID string, p sqldb.Page) ([]Revision, string, error) {
	var w sqldb.Where
	w.And(`v.resource_id = ?`, resourceID)
	return revisions.Page(ctx, s.db.Read(), w, "", p)
}
