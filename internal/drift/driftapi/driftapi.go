package driftapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/httpx"
)

var tags = []string{"Drift"}

// Drift is what was not as wanted of one resource by one cause, from when it
// was seen until it was over.
type Drift struct {
	ID          string            `json:"id" example:"drf_01jd2v8n5k3q7x9w4m6p8r0t2y"`
	ResourceID  string            `json:"resourceId"`
	Resource    string            `json:"resource" doc:"Its name"`
	Project     string            `json:"project"`
	Environment string            `json:"environment"`
	Team        string            `json:"team"`
	Template    string            `json:"template"`
	Engine      string            `json:"engine"`
	Cause       string            `json:"cause" enum:"noise,person,deleted,desired" doc:"noise: another way to write the same; person: somebody changed it; deleted: somebody deleted it; desired: something else is wanted than what was made"`
	Presence    string            `json:"presence" enum:"present,absent,partial,lost" doc:"What was found of the resource"`
	Differences []DriftDifference `json:"differences" nullable:"false"`
	Answer      string            `json:"answer" enum:"ignore,alert,ask,heal,held,lost" doc:"What is done about it"`
	Open        bool              `json:"open"`
	RunID       string            `json:"runId,omitempty" doc:"The run that repairs it"`
	DetectedAt  time.Time         `json:"detectedAt"`
	ChangedAt   time.Time         `json:"changedAt" doc:"When differences or answer became what they are"`
	ResolvedAt  *time.Time        `json:"resolvedAt,omitempty"`
	Resolution  string            `json:"resolution,omitempty" enum:"healed,accepted,gone,changed,destroyed" doc:"gone: it was as wanted again by itself; changed: another run made the resource anew"`
	ResolvedBy  string            `json:"resolvedBy,omitempty" doc:"Name of who accepted it"`
	Reason      string            `json:"reason,omitempty" doc:"Why they did"`
}

// DriftDifference is one difference.
type DriftDifference struct {
	Address string `json:"address" example:"aws_instance.web"`
	Field   string `json:"field" example:"tags.env"`
	Want    any    `json:"want" doc:"Secrets are shown as [redacted]"`
	Got     any    `json:"got"`
	Noise   string `json:"noise,omitempty" enum:"empty,text,order,provider,listed" doc:"Why it counts for nothing"`
}

func view(e drift.Episode) Drift {
	v := Drift{ID: e.ID, ResourceID: e.ResourceID, Resource: e.Resource, Project: e.Project, Environment: e.Environment, Team: e.Team, Template: e.Template, Engine: e.Engine,
		Cause: string(e.Cause), Presence: string(e.Presence), Differences: []DriftDifference{}, Answer: string(e.Answer), Open: e.ResolvedAt.IsZero(), RunID: e.RunID,
		DetectedAt: e.DetectedAt, ChangedAt: e.ChangedAt, ResolvedAt: httpx.Optional(e.ResolvedAt), Resolution: string(e.Resolution), ResolvedBy: e.Resolved, Reason: e.Reason}
	for _, d := range e.Differences {
		v.Differences = append(v.Differences, DriftDifference{d.Address, d.Field, d.Want, d.Got, string(d.Noise)})
	}
	return v
}

// DriftBrake is one scope whose repairs are held, or were released.
type DriftBrake struct {
	Scope      string     `json:"scope" example:"server/db1:5432" doc:"server/HOST, template/NAME or engine/NAME"`
	Held       bool       `json:"held"`
	HeldAt     *time.Time `json:"heldAt,omitempty"`
	Why        string     `json:"why,omitempty"`
	FreeUntil  *time.Time `json:"freeUntil,omitempty" doc:"Until when a person released it"`
	ReleasedAt *time.Time `json:"releasedAt,omitempty"`
	ReleasedBy string     `json:"releasedBy,omitempty"`
	Reason     string     `json:"reason,omitempty"`
}

func viewBrake(h drift.HeldScope) DriftBrake {
	return DriftBrake{Scope: h.Scope, Held: !h.HeldAt.IsZero(), HeldAt: httpx.Optional(h.HeldAt), Why: h.Why, FreeUntil: httpx.Optional(h.FreeUntil),
		ReleasedAt: httpx.Optional(h.ReleasedAt), ReleasedBy: h.ReleasedBy, Reason: h.Reason}
}

// Register adds the operations.
func Register(api huma.API, svc *drift.Service) {
	httpx.Register(api, huma.Operation{OperationID: "list-drifts", Method: http.MethodGet, Path: "/api/v1/drifts", Tags: tags, Summary: "The history of drift of what the caller may see",
		Description: "The newest first. What is ignored is left out unless it is asked for."},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			Search      string `query:"search" maxLength:"64" doc:"Part of the name of the resource, its project, its environment or its template"`
			Project     string `query:"project" maxLength:"64" doc:"Name or id"`
			Environment string `query:"environment" maxLength:"64" doc:"Name or id"`
			Resource    string `query:"resource" maxLength:"64" doc:"Name or id"`
			Template    string `query:"template" maxLength:"64"`
			Cause       string `query:"cause" enum:"noise,person,deleted,desired"`
			Answer      string `query:"answer" enum:"ignore,alert,ask,heal,held,lost"`
			Open        bool   `query:"open" doc:"Only what is not over"`
			Ignored     bool   `query:"ignored" doc:"Also what is ignored"`
		}) (*httpx.Body[httpx.Page[Drift]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			list, next, err := svc.List(ctx, drift.Filter{Search: in.Search, Template: in.Template, Project: in.Project, Environment: in.Environment, Resource: in.Resource,
				Cause: engine.Cause(in.Cause), Answer: drift.Answer(in.Answer), Open: in.Open, Noise: in.Ignored}, page)
			if err != nil {
				return nil, err
			}
			items := make([]Drift, len(list))
			for i, e := range list {
				items[i] = view(e)
			}
			return &httpx.Body[httpx.Page[Drift]]{Body: httpx.NewPage(items, next)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "list-drift-brakes", Method: http.MethodGet, Path: "/api/v1/drift-brakes", Tags: tags, Summary: "What the mass-drift brake holds",
		Description: "And what a person released, for as long as that lasts."},
		func(ctx context.Context, _ *struct{}) (*httpx.Body[httpx.Page[DriftBrake]], error) {
			list, err := svc.Brakes(ctx)
			if err != nil {
				return nil, err
			}
			items := make([]DriftBrake, len(list))
			for i, h := range list {
				items[i] = viewBrake(h)
			}
			return &httpx.Body[httpx.Page[DriftBrake]]{Body: httpx.NewPage(items, "")}, nil
		})
	httpx.Register(api, httpx.Repeatable(huma.Operation{OperationID: "release-drift-brake", Method: http.MethodPost, Path: "/api/v1/drift-brakes/release", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Let repairs go on that the brake holds", Description: "For a while; the brake acts again afterwards."}),
		func(ctx context.Context, in *struct {
			Body struct {
				Scope  string `json:"scope" minLength:"1" maxLength:"300" example:"server/db1:5432"`
				Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why; it is recorded"`
			}
		}) (*httpx.Body[DriftBrake], error) {
			h, err := svc.Release(ctx, in.Body.Scope, in.Body.Reason)
			if err != nil {
				return nil, err
			}
			return &httpx.Body[DriftBrake]{Body: viewBrake(h)}, nil
		})
}
