package systemapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/system"
)

var tags = []string{"System"}

// Register adds the operations.
func Register(api huma.API, svc *system.Service) {
	httpx.Register(api, huma.Operation{OperationID: "get-system", Method: http.MethodGet, Path: "/api/v1/system", Tags: tags, Summary: "How the installation is",
		Description: "Its servers, store, queue, engines, backups, audit chain, and each check with what to do when it is bad. Needs system:view."},
		func(ctx context.Context, _ *struct{}) (*httpx.Body[System], error) {
			st, err := svc.Status(ctx)
			if err != nil {
				return nil, err
			}
			return &httpx.Body[System]{Body: viewSystem(st)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "list-work", Method: http.MethodGet, Path: "/api/v1/system/queue", Tags: tags, Summary: "What there is to do",
		Description: "Looks at resources and turns of rollouts, what is due first first. What rests is not listed. Needs system:view. Try a resource's again with retry-resource, or cancel its run with cancel-run."},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			State  string `query:"state" enum:"running,waiting,later,stuck" doc:"stuck: tried in vain for long"`
			Engine string `query:"engine" maxLength:"64"`
			Team   string `query:"team" maxLength:"64" doc:"Name or id"`
			Search string `query:"q" maxLength:"80" doc:"Part of the resource's name"`
			Sort   string `query:"sort" enum:"due,-due" default:"due"`
		}) (*httpx.Body[httpx.Page[WorkItem]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Queue(ctx, system.WorkFilter{State: system.WorkState(in.State), Engine: in.Engine, Team: in.Team, Search: in.Search, Sort: in.Sort}, page)
			return httpx.PageOf(items, next, err, viewWork)
		})
	httpx.Register(api, huma.Operation{OperationID: "list-settings", Method: http.MethodGet, Path: "/api/v1/system/settings", Tags: tags, Summary: "The configuration in force",
		Description: "Of the server that answers: each value, and where it comes from. Secrets are hidden. Needs system:view."},
		func(ctx context.Context, _ *struct{}) (*httpx.Body[SettingList], error) {
			list, err := svc.Configuration(ctx)
			if err != nil {
				return nil, err
			}
			out := SettingList{Items: make([]Setting, len(list))}
			for i, s := range list {
				out.Items[i] = Setting{Name: s.Name, Value: s.Value, Hidden: s.Hidden, From: string(s.From), Source: s.Origin.Name}
			}
			return &httpx.Body[SettingList]{Body: out}, nil
		})
}
