package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"fairlead/internal/access"
	"fairlead/internal/ident"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb"
)

// Record is a judgement as it is kept.
type Record struct {
	ID              string
	At              time.Time
	Stage           Stage
	Action          Action
	Outcome         string // allowed, approval, denied
	PrincipalID     string
	PrincipalName   string
	RequestID       string
	RunID           string
	ResourceID      string
	Resource        string
	Revision        int64
	EnvironmentID   string
	ProjectID       string
	TeamID          string
	Template        string
	TemplateVersion string
	Policy          string
	Document        map[string]any // the facts, as rules saw them
	Verdicts        []Verdict
}

type store struct{ db *sqldb.DB }

const columns = `d.id, d.at, d.stage, d.action, d.outcome, d.principal_id, d.principal_name, d.request_id, d.run_id, d.resource_id, d.resource, d.revision,
	d.environment_id, d.project_id, d.team_id, d.template, d.template_version, d.policy, d.document, d.verdicts`

func scan(r sqldb.Row) (Record, error) {
	var d Record
	var at int64
	var document, verdicts string
	if err := r.Scan(&d.ID, &at, &d.Stage, &d.Action, &d.Outcome, &d.PrincipalID, &d.PrincipalName, &d.RequestID, &d.RunID, &d.ResourceID, &d.Resource, &d.Revision,
		&d.EnvironmentID, &d.ProjectID, &d.TeamID, &d.Template, &d.TemplateVersion, &d.Policy, &document, &verdicts); err != nil {
		return d, err
	}
	d.At = sqldb.Time(at)
	if err := json.Unmarshal([]byte(document), &d.Document); err != nil {
		return d, fmt.Errorf("decision %s: %w", d.ID, err)
	}
	if err := json.Unmarshal([]byte(verdicts), &d.Verdicts); err != nil {
		return d, fmt.Errorf("decision %s: %w", d.ID, err)
	}
	return d, nil
}

var records = sqldb.List[Record]{
	Select: `SELECT ` + columns + ` FROM decisions d`, Scan: scan, Default: "-created",
	Orders: sqldb.Named("d", func(d Record) (string, string, time.Time) { return d.ID, d.Resource, d.At }),
}

// insert records j and gives the record's id.
func (s store) insert(ctx context.Context, tx *sqldb.Tx, j Judgement, resourceID, runID string) (string, error) {
	f, document := j.Facts, j.document
	if document == "" {
		var err error
		if document, err = written(f); err != nil {
			return "", err
		}
	}
	verdicts := []byte("[]")
	if len(j.Verdicts) > 0 {
		var err error
		if verdicts, err = json.Marshal(j.Verdicts); err != nil {
			return "", fmt.Errorf("record a decision: %w", err)
		}
	}
	id := ident.New("dec")
	err := tx.Add(ctx, made, nil, id, tx.Now().UnixMicro(), string(f.Stage), string(f.Action), j.Outcome(), f.Principal.ID, f.Principal.Name, f.RequestID, runID, resourceID,
		f.Resource, f.Revision, f.Environment.ID, f.Environment.ProjectID, f.Environment.TeamID, f.Template.Name, f.Template.Version, j.Policy, document, string(verdicts))
	return id, err
}

var made = sqldb.NewRows("decisions", "id text", "at bigint", "stage text", "action text", "outcome text", "principal_id text", "principal_name text",
	"request_id text", "run_id text", "resource_id text", "resource text", "revision bigint", "environment_id text", "project_id text", "team_id text",
	"template text", "template_version text", "policy text", "document text", "verdicts text")

// written is the facts of a judgement as they are recorded.
func written(f Facts) (string, error) {
	b, err := json.Marshal(f.Document())
	if err != nil {
		return "", fmt.Errorf("record a decision: %w", err)
	}
	return string(b), nil
}

// asking is what is recalled of somebody's asking: less than a Record, for
// every run asks for it.
type asking struct {
	at        time.Time
	action    Action
	requestID string
	who       principal.Principal // with the roles of that moment
	note      string
}

func scanAsking(r sqldb.Row) (asking, error) {
	var a asking
	var at int64
	var document string
	err := r.Scan(&at, &a.action, &a.requestID, &a.who.ID, &a.who.Name, &document)
	if err != nil {
		return a, err
	}
	a.at = sqldb.Time(at)
	var doc struct {
		Principal struct {
			Kind  principal.Kind
			Roles []principal.Role
			Teams []struct {
				ID, Name string
				Role     principal.Role
			}
			Attributes map[string]string
		}
		Resource struct{ Note string }
	}
	if err := json.Unmarshal([]byte(document), &doc); err != nil {
		return a, fmt.Errorf("a decision: %w", err)
	}
	a.note = doc.Resource.Note
	a.who.Kind, a.who.OrgRoles, a.who.Attributes = doc.Principal.Kind, doc.Principal.Roles, doc.Principal.Attributes
	if a.who.Attributes == nil {
		a.who.Attributes = map[string]string{}
	}
	for _, t := range doc.Principal.Teams {
		a.who.Memberships = append(a.who.Memberships, principal.Membership{TeamID: t.ID, Team: t.Name, Role: t.Role})
	}
	return a, nil
}

// asked gives the newest record of somebody's asking for a revision of a
// resource, or for its end. An end that was asked for before since is another:
// that one was refused.
func (s store) asked(ctx context.Context, resourceID string, revision int64, destroy bool, since time.Time) (asking, error) {
	q := `SELECT d.at, d.action, d.request_id, d.principal_id, d.principal_name, d.document FROM decisions d WHERE d.resource_id = $1 AND d.revision = $2 AND d.stage = 'request' AND d.outcome <> 'denied' AND d.action `
	args := []any{resourceID, revision}
	if destroy {
		q += `= 'destroy' AND d.at >= $3`
		if since.IsZero() {
			since = time.UnixMicro(0)
		}
		args = append(args, since.UnixMicro())
	} else {
		q += `<> 'destroy'`
	}
	return scanAsking(s.db.Read().QueryRowContext(ctx, q+` ORDER BY d.id DESC LIMIT 1`, args...))
}

func refusal(j Judgement) access.Decision {
	d := access.Decision{}
	for _, v := range j.With(Deny) {
		d.Policies = append(d.Policies, v.Rule)
	}
	return d
}
