package resourceapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/resource"
)

// GraphNode is a resource in a graph.
type GraphNode struct {
	ID              string `json:"id"`
	Name            string `json:"name"`
	Template        string `json:"template"`
	TemplateVersion string `json:"templateVersion"`
	Phase           string `json:"phase"`
	Drifted         bool   `json:"drifted"`
	Paused          bool   `json:"paused"`
}

// GraphEdge says that one resource takes outputs of another.
type GraphEdge struct {
	From    string `json:"from" doc:"Id of the one that takes"`
	To      string `json:"to" doc:"Id of the one that gives"`
	Output  string `json:"output" doc:"The first output that is taken"`
	Outputs int64  `json:"outputs" doc:"How many are"`
}

// ResourceGraph is how the resources of an environment refer to each other.
type ResourceGraph struct {
	Around string      `json:"around,omitempty" doc:"Id of the resource that it is the neighbourhood of"`
	Nodes  []GraphNode `json:"nodes" nullable:"false"`
	Edges  []GraphEdge `json:"edges" nullable:"false" doc:"Between the nodes"`
	Total  int64       `json:"total" doc:"Resources in the environment"`
	Beyond int64       `json:"beyond" doc:"References between the nodes and resources that are none of them"`
	Next   *string     `json:"next,omitempty" doc:"Cursor of the next page"`
}

func viewGraph(g resource.Graph, next string) ResourceGraph {
	out := ResourceGraph{Around: g.Around, Nodes: make([]GraphNode, len(g.Nodes)), Edges: make([]GraphEdge, len(g.Edges)), Total: g.Total, Beyond: g.Beyond}
	for i, n := range g.Nodes {
		out.Nodes[i] = GraphNode{ID: n.ID, Name: n.Name, Template: n.Template, TemplateVersion: n.TemplateVersion, Phase: string(n.Phase), Drifted: n.Drifted, Paused: n.Paused}
	}
	for i, e := range g.Edges {
		out.Edges[i] = GraphEdge(e)
	}
	if next != "" {
		cursor := httpx.Cursor(next)
		out.Next = &cursor
	}
	return out
}

// ComparedSide is a resource in one of two environments.
type ComparedSide struct {
	ID              string `json:"id"`
	Template        string `json:"template"`
	TemplateVersion string `json:"templateVersion"`
	Phase           string `json:"phase"`
	Drifted         bool   `json:"drifted"`
}

// ComparedInput is an input that differs.
type ComparedInput struct {
	Input  string `json:"input" doc:"JSON pointer"`
	From   any    `json:"from,omitempty" doc:"Absent where it is not set, and of a secret"`
	To     any    `json:"to,omitempty" doc:"Absent where it is not set, and of a secret"`
	Secret bool   `json:"secret,omitempty" doc:"Secret on one side at least: its values are not told"`
}

// ComparedResource is one name in two environments.
type ComparedResource struct {
	Name    string          `json:"name"`
	State   string          `json:"state" enum:"only-from,only-to,version,inputs,same" doc:"The first that fits: what differs in its version may differ in its inputs too"`
	From    *ComparedSide   `json:"from,omitempty"`
	To      *ComparedSide   `json:"to,omitempty"`
	Inputs  []ComparedInput `json:"inputs" nullable:"false" doc:"Those that differ"`
	Secrets []string        `json:"secrets" nullable:"false" doc:"Inputs that are secret on both sides: they are not compared"`
}

// EnvironmentComparison is a page of how two environments stand to each other.
type EnvironmentComparison struct {
	From   string             `json:"from"`
	To     string             `json:"to"`
	Items  []ComparedResource `json:"items" nullable:"false"`
	Counts map[string]int64   `json:"counts" doc:"Of all names, by state, whatever was filtered"`
	Next   *string            `json:"next,omitempty" doc:"Cursor of the next page"`
}

func viewSide(s *resource.Side) *ComparedSide {
	if s == nil {
		return nil
	}
	return &ComparedSide{ID: s.ID, Template: s.Template, TemplateVersion: s.TemplateVersion, Phase: string(s.Phase), Drifted: s.Drifted}
}

func viewContrast(c resource.Contrast, next string) EnvironmentComparison {
	out := EnvironmentComparison{From: c.From.Name, To: c.To.Name, Items: make([]ComparedResource, len(c.Items)), Counts: map[string]int64{}}
	for state, n := range c.Counts {
		out.Counts[string(state)] = n
	}
	for i, v := range c.Items {
		item := ComparedResource{Name: v.Name, State: string(v.State), From: viewSide(v.From), To: viewSide(v.To), Inputs: make([]ComparedInput, len(v.Inputs)), Secrets: v.Secrets}
		for j, in := range v.Inputs {
			item.Inputs[j] = ComparedInput(in)
		}
		if item.Secrets == nil {
			item.Secrets = []string{}
		}
		out.Items[i] = item
	}
	if next != "" {
		cursor := httpx.Cursor(next)
		out.Next = &cursor
	}
	return out
}

func registerGraphs(api huma.API, svc *resource.Service) {
	httpx.Register(api, huma.Operation{
		OperationID: "get-graph", Method: http.MethodGet, Path: inEnvironment + "/graph", Tags: tags,
		Summary:     "See how an environment's resources refer to each other",
		Description: "A page of resources by name with the references between them, or the neighbourhood of one: what it depends on and what depends on it, nearest first, as far as a page holds.",
	}, func(ctx context.Context, in *struct {
		EnvironmentInput
		httpx.PageInput
		Around string `query:"around" maxLength:"64" doc:"Name or id of a resource"`
		Depth  int    `query:"depth" minimum:"0" maximum:"10" doc:"Steps each way from it; default 3"`
	}) (*httpx.Body[ResourceGraph], error) {
		page, err := in.Page()
		if err != nil {
			return nil, err
		}
		g, next, err := svc.Graph(ctx, in.Project, in.Environment, resource.GraphFilter{Around: in.Around, Depth: in.Depth}, page)
		if err != nil {
			return nil, err
		}
		return &httpx.Body[ResourceGraph]{Body: viewGraph(g, next)}, nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "compare-environments", Method: http.MethodGet, Path: "/api/v1/projects/{project}/compare", Tags: []string{"Environments"},
		Summary:     "Compare two environments of a project, resource by resource",
		Description: "The caller must be allowed to see the resources of both. Values of secrets are neither told nor compared.",
	}, func(ctx context.Context, in *struct {
		Project string `path:"project" maxLength:"64" doc:"Name or id"`
		httpx.PageInput
		From   string `query:"from" required:"true" minLength:"1" maxLength:"64" doc:"Environment: name or id"`
		To     string `query:"to" required:"true" minLength:"1" maxLength:"64" doc:"Environment: name or id"`
		State  string `query:"state" enum:"different,only-from,only-to,version,inputs,same" doc:"Only those that stand so"`
		Search string `query:"search" maxLength:"64" doc:"Part of the name"`
	}) (*httpx.Body[EnvironmentComparison], error) {
		page, err := in.Page()
		if err != nil {
			return nil, err
		}
		c, next, err := svc.Compare(ctx, in.Project, in.From, in.To, resource.CompareFilter{State: resource.Comparison(in.State), Search: in.Search}, page)
		if err != nil {
			return nil, err
		}
		return &httpx.Body[EnvironmentComparison]{Body: viewContrast(c, next)}, nil
	})
}
