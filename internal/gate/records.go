package gate

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Filter narrows a list of records; empty fields do not.
type Filter struct {
	Outcome  string // allowed, approval, denied
	Stage    Stage
	Resource string // id
	Team     string // id
	Mine     bool   // what the caller asked for
	Since    time.Time
}

// Records lists what was decided where the caller may see resources, and about
// what the caller asked for. Newest first.
func (s *Service) Records(ctx context.Context, f Filter, p sqldb.Page) ([]Record, string, error) {
	if principal.From(ctx).Kind == principal.Anonymous {
		return nil, "", fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return nil, "", err
	}
	var w sqldb.Where
	scope.Narrow(&w, s.DB, access.Columns{Team: "d.team_id", Project: "d.project_id", Environment: "d.environment_id"})
	if f.Outcome != "" {
		w.And(`d.outcome = ?`, f.Outcome)
	}
	if f.Stage != "" {
		w.And(`d.stage = ?`, string(f.Stage))
	}
	if f.Resource != "" {
		w.And(`d.resource_id = ?`, f.Resource)
	}
	if f.Team != "" {
		w.And(`d.team_id = ?`, f.Team)
	}
	if f.Mine {
		w.And(`d.principal_id = ?`, principal.From(ctx).ID)
	}
	if !f.Since.IsZero() {
		w.And(`d.at >= ?`, f.Since.UnixMicro())
	}
	return records.Page(ctx, s.DB.Read(), w, "-created", p)
}

// Record gives one record by its own id or by that of the HTTP request that
// led to it, to whoever may see the resource's environment, or asked.
func (s *Service) Record(ctx context.Context, id string) (Record, error) {
	none := fault.New(fault.NotFound, "decision_not_found", "no decision and no request with this id").
		WithHint("list what was refused: fairlead why denied")
	if principal.From(ctx).Kind == principal.Anonymous {
		return Record{}, fault.New(fault.Unauthenticated, "unauthenticated", "sign in first")
	}
	d, err := scan(s.DB.Read().QueryRowContext(ctx, `SELECT `+columns+` FROM decisions d WHERE d.id = $1
		UNION ALL SELECT `+columns+` FROM decisions d WHERE d.request_id = $1 AND $1 <> '' ORDER BY 1 DESC LIMIT 1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return d, none
	}
	if err != nil {
		return d, err
	}
	if d.PrincipalID == principal.From(ctx).ID {
		return d, nil
	}
	class, _ := d.Document["environment"].(map[string]any)
	name, _ := class["class"].(string)
	_, err = s.Access.Check(ctx, access.ResourceView, access.Target{Kind: "resource", ID: d.ResourceID, Name: d.Resource, TeamID: d.TeamID,
		ProjectID: d.ProjectID, EnvironmentID: d.EnvironmentID, EnvironmentClass: name, Template: d.Template})
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Denied) {
		return Record{}, none
	}
	return d, err
}

// Latest gives the newest record about a resource, of any stage; ok is false
// when there is none. The caller has been authorised for the resource.
func (s *Service) Latest(ctx context.Context, resourceID string) (d Record, ok bool, err error) {
	d, err = scan(s.DB.Read().QueryRowContext(ctx, `SELECT `+columns+` FROM decisions d WHERE d.resource_id = $1 ORDER BY d.id DESC LIMIT 1`, resourceID))
	if errors.Is(err, sql.ErrNoRows) {
		return d, false, nil
	}
	return d, err == nil, err
}

// keep is how long records are kept.
const keep = 90 * 24 * time.Hour

// Prune deletes records that are older than 90 days, but for those that a
// resource's wanted revision, or its end, still rests on.
func (s *Service) Prune(ctx context.Context) error {
	now, err := s.DB.Now(ctx)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, "gate.prune", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM decisions WHERE id IN (SELECT d.id FROM decisions d LEFT JOIN resources r ON r.id = d.resource_id
			WHERE d.at < $1 AND (r.id IS NULL OR r.destroyed_at IS NOT NULL
				OR r.applied_revision >= d.revision AND r.destroy_wanted_at IS NULL) LIMIT 5000)`, now.Add(-keep).UnixMicro())
		return err
	})
}

// Kept is a record whose document and verdicts are still JSON: who replays
// many takes them apart elsewhere.
type Kept struct {
	Record
	document, verdicts string
}

// Open gives the whole record.
func (k Kept) Open() (Record, error) {
	d := k.Record
	if err := json.Unmarshal([]byte(k.document), &d.Document); err != nil {
		return d, fmt.Errorf("decision %s: %w", d.ID, err)
	}
	if err := json.Unmarshal([]byte(k.verdicts), &d.Verdicts); err != nil {
		return d, fmt.Errorf("decision %s: %w", d.ID, err)
	}
	return d, nil
}

func scanKept(r sqldb.Row) (Kept, error) {
	var k Kept
	var at int64
	err := r.Scan(&k.ID, &at, &k.Stage, &k.Action, &k.Outcome, &k.PrincipalID, &k.PrincipalName, &k.RequestID, &k.RunID, &k.ResourceID, &k.Resource, &k.Revision,
		&k.EnvironmentID, &k.ProjectID, &k.TeamID, &k.Template, &k.TemplateVersion, &k.Policy, &k.document, &k.verdicts)
	k.At = sqldb.Time(at)
	return k, err
}

// Replayed gives every record of requests and plans since a moment, oldest
// first, a page in memory at a time, until yield errs; and how many there are
// beforehand. It is for those who may read the audit log, and of the records
// only where they may see resources.
func (s *Service) Replayed(ctx context.Context, since time.Time, begin func(total int) error, yield func(Kept) error) error {
	for action, kind := range map[access.Action]string{access.GuardrailView: "guardrail", access.AuditView: "audit"} {
		if _, err := s.Access.Check(ctx, action, access.Target{Kind: kind}); err != nil {
			return err
		}
	}
	scope, err := s.Access.Scope(ctx, access.ResourceView)
	if err != nil {
		return err
	}
	until, err := s.DB.Now(ctx)
	if err != nil {
		return err
	}
	window := func() sqldb.Where {
		var w sqldb.Where
		scope.Narrow(&w, s.DB, access.Columns{Team: "d.team_id", Project: "d.project_id", Environment: "d.environment_id"})
		w.And(`d.at >= ?`, since.UnixMicro())
		w.And(`d.at <= ?`, until.UnixMicro())
		w.And(`d.stage IN ('request', 'plan')`)
		return w
	}
	w := window()
	where, args := w.SQL()
	total := 0
	if err := s.DB.Read().QueryRowContext(ctx, `SELECT count(*) FROM decisions d`+where, args...).Scan(&total); err != nil {
		return err
	}
	if err := begin(total); err != nil {
		return err
	}
	const page = 500
	for at, id := int64(0), ""; ; {
		w := window()
		w.And(`(d.at, d.id) > (?, ?)`, at, id)
		where, args := w.SQL()
		list, err := sqldb.Collect(ctx, s.DB.Read(), scanKept, `SELECT `+columns+` FROM decisions d`+where+` ORDER BY d.at, d.id LIMIT `+strconv.Itoa(page), args...)
		if err != nil {
			return err
		}
		for _, k := range list {
			if err := yield(k); err != nil {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
		at, id = list[page-1].At.UnixMicro(), list[page-1].ID
	}
}

// Complete fills in what the gates know of facts that nobody asks about: what
// stands there now. f.Now is the caller's. It asks nobody for leave: whoever
// made the facts did.
func (s *Service) Complete(ctx context.Context, f Facts) (Facts, error) {
	var verdicts []Verdict
	err := s.complete(ctx, &f, &verdicts)
	return f, err
}
