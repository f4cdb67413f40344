package enginesapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/engines"
	"fairlead/internal/httpx"
)

// Engine is one engine of the server that answers.
type Engine struct {
	Name      string         `json:"name" example:"iac"`
	Program   string         `json:"program,omitempty" example:"tofu" doc:"What it works with"`
	Version   string         `json:"version,omitempty" doc:"Of the program"`
	Isolation string         `json:"isolation,omitempty" doc:"How what it runs is kept apart; for those who may see the system"`
	Ready     bool           `json:"ready"`
	Problem   *EngineProblem `json:"problem,omitempty" doc:"Why it cannot work on this server"`
}

// EngineProblem is why an engine cannot work.
type EngineProblem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// EngineList is every engine.
type EngineList struct {
	Items []Engine `json:"items" nullable:"false"`
}

// Register adds the operations.
func Register(api huma.API, svc *engines.Service) {
	httpx.Register(api, huma.Operation{OperationID: "list-engines", Method: http.MethodGet, Path: "/api/v1/engines", Tags: []string{"Templates"},
		Summary: "The engines of this server", Description: "What templates run on: the program of each, its version, and whether it can work here."},
		func(ctx context.Context, _ *struct{}) (*httpx.Body[EngineList], error) {
			list, err := svc.List(ctx)
			if err != nil {
				return nil, err
			}
			out := EngineList{Items: make([]Engine, len(list))}
			for i, e := range list {
				out.Items[i] = Engine{Name: e.Name, Program: e.Program, Version: e.Version, Isolation: e.Isolation, Ready: e.Problem == nil}
				if p := e.Problem; p != nil {
					out.Items[i].Problem = &EngineProblem{Code: p.Code, Message: p.Message, Hint: p.Hint}
				}
			}
			return &httpx.Body[EngineList]{Body: out}, nil
		})
}
