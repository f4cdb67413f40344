package gate

import (
	"context"
	"database/sql"
	"errors"
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
// resource's wanted revision still rests on.
func (s *Service) Prune(ctx context.Context) error {
	now, err := s.DB.Now(ctx)
	if err != nil {
		return err
	}
	return s.DB.Write(ctx, "gate.prune", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM decisions WHERE id IN (SELECT d.id FROM decisions d LEFT JOIN resources r ON r.id = d.resource_id
			WHERE d.at < $1 AND (r.id IS NULL OR r.destroyed_at IS NOT NULL OR r.applied_revision >= d.revision) LIMIT 5000)`, now.Add(-keep).UnixMicro())
		return err
	})
}
