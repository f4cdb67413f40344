package auditapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/audit"
	"fairlead/internal/fault"
	"fairlead/internal/httpx"
)

// AuditRecord is one entry of the audit log.
type AuditRecord struct {
	Seq           int64          `json:"seq" doc:"Its place in the chain"`
	At            time.Time      `json:"at" doc:"When it was committed"`
	Actor         AuditActor     `json:"actor" doc:"Who did it"`
	Action        string         `json:"action" example:"resource:create"`
	Target        AuditTarget    `json:"target" doc:"On what"`
	Origin        AuditOrigin    `json:"origin" doc:"From where"`
	Decision      string         `json:"decision" enum:"allowed,denied,not-asked" doc:"What access said; not-asked for Fairlead's own work and for what needs no permission"`
	Policies      []string       `json:"policies" nullable:"false" doc:"Ids of the policies that decided"`
	PolicyVersion int64          `json:"policyVersion" doc:"Version of the policy set"`
	Details       map[string]any `json:"details" doc:"What an auditor needs to understand it; never a secret"`
	PrevHash      string         `json:"prevHash" doc:"Hash of the record before"`
	Hash          string         `json:"hash" doc:"SHA-256 that links this record to the one before"`
}

// AuditActor is who acted.
type AuditActor struct {
	ID         string `json:"id"`
	Kind       string `json:"kind" doc:"user, robot, system or anonymous"`
	Name       string `json:"name"`
	Credential string `json:"credential,omitempty" doc:"Id of the session or token used"`
}

// AuditTarget is what was acted on.
type AuditTarget struct {
	Kind          string `json:"kind"`
	ID            string `json:"id,omitempty"`
	Name          string `json:"name,omitempty"`
	TeamID        string `json:"teamId,omitempty"`
	ProjectID     string `json:"projectId,omitempty"`
	EnvironmentID string `json:"environmentId,omitempty"`
}

// AuditOrigin is where a request came from.
type AuditOrigin struct {
	Address   string `json:"address,omitempty"`
	RequestID string `json:"requestId,omitempty"`
}

// AuditCheckpoint is a signed statement that the chain had a hash at a record.
type AuditCheckpoint struct {
	Seq       int64     `json:"seq"`
	Hash      string    `json:"hash"`
	At        time.Time `json:"at"`
	KeyID     string    `json:"keyId"`
	Signature string    `json:"signature" doc:"Ed25519, base64"`
}

// AuditKey is a public key that checkpoints are signed with.
type AuditKey struct {
	ID      string `json:"id"`
	Ed25519 string `json:"ed25519" doc:"The public key, base64; keep a copy elsewhere and verify exports against it"`
}

// AuditStatus is how the log is.
type AuditStatus struct {
	Records        int64            `json:"records"`
	Hash           string           `json:"hash" doc:"Of the last record"`
	LastCheckpoint *AuditCheckpoint `json:"lastCheckpoint,omitempty"`
	Keys           []AuditKey       `json:"keys" nullable:"false"`
	SigningKeyID   string           `json:"signingKeyId" doc:"Of the replica that answers"`
	Healthy        bool             `json:"healthy" doc:"False when that replica refuses to sign the log as it stands"`
	Problem        string           `json:"problem,omitempty"`
	Hint           string           `json:"hint,omitempty"`
}

type searchInput struct {
	httpx.PageInput
	Actor       string    `query:"actor" maxLength:"128" doc:"Id or name of who acted"`
	Action      string    `query:"action" maxLength:"128" doc:"The action, or its beginning" example:"resource:"`
	TargetKind  string    `query:"targetKind" maxLength:"32"`
	Target      string    `query:"target" maxLength:"128" doc:"Id or name of what was acted on"`
	Team        string    `query:"team" maxLength:"128" doc:"Id or name"`
	Project     string    `query:"project" maxLength:"128" doc:"Id or name"`
	Environment string    `query:"environment" maxLength:"128" doc:"Id or name"`
	Since       time.Time `query:"since" doc:"Inclusive"`
	Until       time.Time `query:"until" doc:"Exclusive"`
	Sort        string    `query:"sort" enum:"created,-created" default:"-created" doc:"The newest first, unless asked otherwise"`
}

type pageInput struct{ httpx.PageInput }

var tags = []string{"Audit"}

// Register adds the operations.
func Register(api huma.API, log *audit.Log) {
	httpx.Register(api, huma.Operation{
		OperationID: "list-audit-records", Method: http.MethodGet, Path: "/api/v1/audit", Tags: tags,
		Summary: "Search the audit log", Description: "Shows what the caller may see with audit:view.",
	}, func(ctx context.Context, in *searchInput) (*httpx.Body[httpx.Page[AuditRecord]], error) {
		page, err := in.Page()
		if err != nil {
			return nil, err
		}
		records, next, err := log.Search(ctx, audit.Filter{
			Actor: in.Actor, Action: in.Action, TargetKind: in.TargetKind, Target: in.Target, Team: in.Team,
			Project: in.Project, Environment: in.Environment, Since: in.Since, Until: in.Until, Sort: in.Sort,
		}, page)
		if err != nil {
			return nil, err
		}
		return pageBody(records, next, recordView), nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "list-audit-checkpoints", Method: http.MethodGet, Path: "/api/v1/audit/checkpoints", Tags: tags,
		Summary: "List signed checkpoints", Description: "Newest first.",
	}, func(ctx context.Context, in *pageInput) (*httpx.Body[httpx.Page[AuditCheckpoint]], error) {
		page, err := in.Page()
		if err != nil {
			return nil, err
		}
		list, next, err := log.Checkpoints(ctx, page)
		if err != nil {
			return nil, err
		}
		return pageBody(list, next, checkpointView), nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "get-audit-status", Method: http.MethodGet, Path: "/api/v1/audit/status", Tags: tags,
		Summary: "How the audit log is", Description: "Where the chain ends, what is signed, and by which keys.",
	}, func(ctx context.Context, _ *struct{}) (*httpx.Body[AuditStatus], error) {
		s, err := log.Status(ctx)
		if err != nil {
			return nil, err
		}
		return &httpx.Body[AuditStatus]{Body: statusView(s)}, nil
	})
	registerExport(api, log)
}

func registerExport(api huma.API, log *audit.Log) {
	httpx.Register(api, huma.Operation{
		OperationID: "export-audit", Method: http.MethodGet, Path: "/api/v1/audit/export", Tags: tags,
		Summary: "Export the whole audit log",
		Description: "JSON Lines that \"fairlead audit verify\" checks offline. Always the whole chain, for a part of it cannot be verified; " +
			"so it needs audit:export on the organisation. The export is itself recorded. An export without its final line was cut short.",
		Responses: map[string]*huma.Response{"200": {
			Description: "The export",
			Content:     map[string]*huma.MediaType{"application/x-ndjson": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	}, func(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
		e, err := log.Export(ctx)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			hc.SetHeader("Content-Type", "application/x-ndjson")
			hc.SetHeader("Content-Disposition", `attachment; filename="audit.jsonl"`)
			if err := e.Write(hc.Context(), hc.BodyWriter()); err != nil && hc.Context().Err() == nil {
				slog.ErrorContext(hc.Context(), "an audit export ended without its final line", "error", err)
			}
		}}, nil
	})
}

func pageBody[T, V any](items []T, next string, view func(T) V) *httpx.Body[httpx.Page[V]] {
	views := make([]V, 0, len(items))
	for _, item := range items {
		views = append(views, view(item))
	}
	return &httpx.Body[httpx.Page[V]]{Body: httpx.NewPage(views, next)}
}

func recordView(r audit.Record) AuditRecord {
	return AuditRecord{
		Seq: r.Seq, At: r.At,
		Actor:  AuditActor{ID: r.ActorID, Kind: r.ActorKind, Name: r.ActorName, Credential: r.Credential},
		Action: r.Action,
		Target: AuditTarget{
			Kind: r.TargetKind, ID: r.TargetID, Name: r.TargetName,
			TeamID: r.TeamID, ProjectID: r.ProjectID, EnvironmentID: r.EnvironmentID,
		},
		Origin:   AuditOrigin{Address: r.Address, RequestID: r.RequestID},
		Decision: r.Decision, Policies: stored(r.Policies, []string{}), PolicyVersion: r.PolicyVersion, Details: stored(r.Details, map[string]any{}),
		PrevHash: r.PrevHash, Hash: r.Hash,
	}
}

// stored reads stored JSON. A record that was tampered with must not spoil
// its whole page; verifying the chain is what names it.
func stored[T any](j json.RawMessage, empty T) T {
	out := empty
	if err := json.Unmarshal(j, &out); err != nil {
		return empty
	}
	return out
}

func checkpointView(c audit.Checkpoint) AuditCheckpoint {
	return AuditCheckpoint{Seq: c.Seq, Hash: c.Hash, At: c.At, KeyID: c.KeyID, Signature: c.Signature}
}

func statusView(s audit.Status) AuditStatus {
	out := AuditStatus{Records: s.Records, Hash: s.Hash, Keys: []AuditKey{}, SigningKeyID: s.SigningKeyID, Healthy: s.Problem == nil}
	if s.LastCheckpoint != nil {
		c := checkpointView(*s.LastCheckpoint)
		out.LastCheckpoint = &c
	}
	for _, k := range s.Keys {
		out.Keys = append(out.Keys, AuditKey{ID: k.ID, Ed25519: k.String()})
	}
	if s.Problem != nil {
		f := fault.From(s.Problem)
		out.Problem, out.Hint = f.Message, f.Hint
	}
	return out
}
