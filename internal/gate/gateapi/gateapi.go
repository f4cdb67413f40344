package gateapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/gate"
	"fairlead/internal/httpx"
)

var tags = []string{"Gates"}

// Verdict is what one rule had to say.
type Verdict struct {
	Source   string `json:"source" enum:"guardrail,quota,budget,template,window,lease" doc:"Which gate spoke"`
	Rule     string `json:"rule" doc:"Package and rule, or the limit"`
	Bundle   string `json:"bundle,omitempty" doc:"Name and version of the guardrail's bundle"`
	Strength string `json:"strength" enum:"advise,approve,deny"`
	Message  string `json:"message"`
	Remedy   string `json:"remedy,omitempty" doc:"How to put it right"`
	Docs     string `json:"docs,omitempty" doc:"A link"`
	Field    string `json:"field,omitempty" doc:"JSON pointer into the inputs"`
	Needs    *Need  `json:"needs,omitempty" doc:"Who must agree"`
}

// Need is who must agree.
type Need struct {
	Role   string   `json:"role,omitempty"`
	Team   string   `json:"team,omitempty"`
	People []string `json:"people,omitempty"`
	Count  int      `json:"count"`
}

// Verdicts gives verdicts as they are shown.
func Verdicts(list []gate.Verdict) []Verdict {
	out := make([]Verdict, len(list))
	for i, v := range list {
		out[i] = Verdict{Source: v.Source, Rule: v.Rule, Bundle: v.Bundle, Strength: string(v.Strength), Message: v.Message, Remedy: v.Remedy, Docs: v.Docs, Field: v.Field}
		if v.Need != nil {
			out[i].Needs = &Need{Role: v.Need.Role, Team: v.Need.Team, People: v.Need.People, Count: max(v.Need.Count, 1)}
		}
	}
	return out
}

// Decision is a judgement as it was recorded.
type Decision struct {
	ID              string         `json:"id" example:"dec_01jd2v8n5k3q7x9w4m6p8r0t2y"`
	At              time.Time      `json:"at"`
	Stage           string         `json:"stage" enum:"request,plan,release,activation"`
	Action          string         `json:"action" enum:"create,update,destroy,keep"`
	Outcome         string         `json:"outcome" enum:"allowed,approval,denied"`
	By              string         `json:"by" doc:"Who asked"`
	RequestID       string         `json:"requestId,omitempty"`
	RunID           string         `json:"runId,omitempty"`
	ResourceID      string         `json:"resourceId,omitempty"`
	Resource        string         `json:"resource" doc:"Its name"`
	Template        string         `json:"template"`
	TemplateVersion string         `json:"templateVersion"`
	Guardrails      string         `json:"guardrails,omitempty" doc:"Digest of the guardrails that were active"`
	Verdicts        []Verdict      `json:"verdicts" nullable:"false"`
	Facts           map[string]any `json:"facts,omitempty" doc:"What the rules saw; docs/guardrails.md describes it"`
}

func view(d gate.Record) Decision {
	return Decision{ID: d.ID, At: d.At, Stage: string(d.Stage), Action: string(d.Action), Outcome: d.Outcome, By: d.PrincipalName, RequestID: d.RequestID,
		RunID: d.RunID, ResourceID: d.ResourceID, Resource: d.Resource, Template: d.Template, TemplateVersion: d.TemplateVersion,
		Guardrails: d.Policy, Verdicts: Verdicts(d.Verdicts), Facts: d.Document}
}

// Register adds the operations.
func Register(api huma.API, svc *gate.Service) {
	httpx.Register(api, huma.Operation{
		OperationID: "list-decisions", Method: http.MethodGet, Path: "/api/v1/decisions", Tags: tags,
		Summary: "List what the gates decided", Description: "Newest first; only where the caller may see resources.",
	}, func(ctx context.Context, in *struct {
		httpx.PageInput
		Outcome  string    `query:"outcome" enum:"allowed,approval,denied"`
		Stage    string    `query:"stage" enum:"request,plan,release,activation"`
		Resource string    `query:"resource" maxLength:"64" doc:"Id of a resource"`
		Mine     bool      `query:"mine" doc:"Only what the caller asked for"`
		Since    time.Time `query:"since" doc:"Only from then on"`
	}) (*httpx.Body[httpx.Page[Decision]], error) {
		page, err := in.Page()
		if err != nil {
			return nil, err
		}
		list, next, err := svc.Records(ctx, gate.Filter{Outcome: in.Outcome, Stage: gate.Stage(in.Stage), Resource: in.Resource, Mine: in.Mine, Since: in.Since}, page)
		if err != nil {
			return nil, err
		}
		items := make([]Decision, len(list))
		for i, d := range list {
			items[i] = view(d)
			items[i].Facts = nil
		}
		return &httpx.Body[httpx.Page[Decision]]{Body: httpx.NewPage(items, next)}, nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "get-decision", Method: http.MethodGet, Path: "/api/v1/decisions/{decision}", Tags: tags,
		Summary: "Get a decision with all that it was made from", Description: "By its id, or by the id of the request that it answered.",
	}, func(ctx context.Context, in *struct {
		Decision string `path:"decision" maxLength:"128"`
	}) (*httpx.Body[Decision], error) {
		d, err := svc.Record(ctx, in.Decision)
		if err != nil {
			return nil, err
		}
		return &httpx.Body[Decision]{Body: view(d)}, nil
	})
}
