package setupapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/setup"
)

// FirstStep is one thing to do first.
type FirstStep struct {
	Name    string `json:"name"`
	Title   string `json:"title"`
	About   string `json:"about" doc:"What it is good for"`
	Page    string `json:"page,omitempty" doc:"Address in the portal where it is done"`
	Command string `json:"command,omitempty"`
	Done    bool   `json:"done"`
}

// FirstSteps is what is to be done first, and what of it is done.
type FirstSteps struct {
	Kind      string      `json:"kind" enum:"platform,developer" doc:"Whose: of the installation, or of somebody who uses it"`
	Done      int         `json:"done"`
	Steps     []FirstStep `json:"steps" nullable:"false"`
	Dismissed bool        `json:"dismissed" doc:"The caller does not want to see them at home"`
}

// Register adds the operations.
func Register(api huma.API, svc *setup.Service) {
	tags := []string{"First steps"}
	const path = "/api/v1/me/first-steps"
	httpx.Register(api, huma.Operation{OperationID: "get-first-steps", Method: http.MethodGet, Path: path, Tags: tags, Summary: "What the caller should do first, and what of it is done",
		Description: "Each follows from what there is; nothing is kept about it."},
		func(ctx context.Context, _ *struct{}) (*httpx.Body[FirstSteps], error) { return reply(svc.Whole(ctx)) })
	httpx.Register(api, huma.Operation{OperationID: "put-first-steps", Method: http.MethodPut, Path: path, Tags: tags, Summary: "Put the list away, or take it out again"},
		func(ctx context.Context, in *struct {
			Body struct {
				Dismissed bool `json:"dismissed"`
			}
		}) (*httpx.Body[FirstSteps], error) {
			if err := svc.Dismiss(ctx, in.Body.Dismissed); err != nil {
				return nil, err
			}
			return reply(svc.Whole(ctx))
		})
}

func reply(l setup.List, err error) (*httpx.Body[FirstSteps], error) {
	if err != nil {
		return nil, err
	}
	v := FirstSteps{Kind: string(l.Kind), Done: l.Done(), Steps: make([]FirstStep, len(l.Steps)), Dismissed: l.Dismissed}
	for i, s := range l.Steps {
		v.Steps[i] = FirstStep{Name: s.Name, Title: s.Title, About: s.About, Page: s.Href, Command: s.Command, Done: s.Done}
	}
	return &httpx.Body[FirstSteps]{Body: v}, nil
}
