package whyapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/resource"
	"fairlead/internal/why"
)

// Explanation is why a resource is as it is.
type Explanation struct {
	ResourceID string            `json:"resourceId"`
	Resource   string            `json:"resource" doc:"Its name"`
	Phase      string            `json:"phase"`
	Summary    string            `json:"summary" doc:"The chain in a sentence" example:"orders is waiting: it waits for approval apr_01…"`
	Chain      []ExplanationLink `json:"chain" nullable:"false" doc:"First cause first"`
}

// ExplanationLink is one link of the causal chain.
type ExplanationLink struct {
	Of    string     `json:"of,omitempty" doc:"The resource, when it is another one's"`
	Kind  string     `json:"kind" enum:"request,gates,approval,window,reference,run,engine,verify,drift,lease,destroy,observation"`
	State string     `json:"state" enum:"done,waiting,failing,refused,coming"`
	Text  string     `json:"text"`
	Code  string     `json:"code,omitempty" doc:"Stable code"`
	Docs  string     `json:"docs,omitempty" doc:"Page about the code"`
	Since *time.Time `json:"since,omitempty"`
	Until *time.Time `json:"until,omitempty"`
	Who   string     `json:"who,omitempty" doc:"Who can act"`
	Next  []string   `json:"next,omitempty" doc:"What to do, as commands"`
	Ref   string     `json:"ref,omitempty" doc:"Id of the run, approval or decision"`
}

func view(e why.Explanation) Explanation {
	v := Explanation{ResourceID: e.Resource.ID, Resource: e.Resource.Name, Phase: string(e.Resource.Phase), Summary: e.Summary, Chain: make([]ExplanationLink, len(e.Chain))}
	for i, l := range e.Chain {
		v.Chain[i] = ExplanationLink{Of: l.Of, Kind: l.Kind, State: string(l.State), Text: l.Text, Code: l.Code, Since: httpx.Optional(l.Since), Until: httpx.Optional(l.Until),
			Who: l.Who, Next: l.Next, Ref: l.Ref}
		if l.Code != "" {
			v.Chain[i].Docs = "/docs/errors/" + l.Code
		}
	}
	return v
}

// Register adds the operations.
func Register(api huma.API, svc *why.Service) {
	httpx.Register(api, huma.Operation{
		OperationID: "explain-resource", Method: http.MethodGet, Tags: []string{"Resources"},
		Path:    "/api/v1/projects/{project}/environments/{environment}/resources/{resource}/why",
		Summary: "Explain why a resource is as it is", Description: "From the request over the gates and the run to the engine's own error: since when, who can act, what to do next.",
	}, func(ctx context.Context, in *struct {
		Project     string `path:"project" maxLength:"64" doc:"Name or id"`
		Environment string `path:"environment" maxLength:"64" doc:"Name or id"`
		Resource    string `path:"resource" maxLength:"64" doc:"Name or id"`
	}) (*httpx.Body[Explanation], error) {
		e, err := svc.Explain(ctx, resource.Where{Project: in.Project, Environment: in.Environment, Name: in.Resource})
		if err != nil {
			return nil, err
		}
		return &httpx.Body[Explanation]{Body: view(e)}, nil
	})
}
