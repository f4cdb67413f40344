package rolloutapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/resource"
	"fairlead/internal/rollout"
)

const resourcePath = "/api/v1/projects/{project}/environments/{environment}/resources/{resource}"

// ResourcePath names a resource.
type ResourcePath struct {
	Project     string `path:"project" maxLength:"64" doc:"Name or id"`
	Environment string `path:"environment" maxLength:"64" doc:"Name or id"`
	Resource    string `path:"resource" maxLength:"64" doc:"Name or id"`
}

func (in ResourcePath) where() resource.Where {
	return resource.Where{Project: in.Project, Environment: in.Environment, Name: in.Resource}
}

// PinSetting says why and until when.
type PinSetting struct {
	Reason string    `json:"reason" minLength:"1" maxLength:"500"`
	Until  time.Time `json:"until"`
}

func registerPins(api huma.API, svc *rollout.Service) {
	httpx.Register(api, huma.Operation{OperationID: "list-pins", Method: http.MethodGet, Path: "/api/v1/pins", Tags: tags, Summary: "Pins and exemptions of resources that the caller may see"},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			Sort string `query:"sort" enum:"until,-until,created,-created" default:"until"`
			Over bool   `query:"over" doc:"Also those that have ended"`

			Search   string `query:"search" maxLength:"64" doc:"Part of the name of the resource, its project or its environment, or of the reason"`
			Template string `query:"template" maxLength:"64" doc:"Of resources that are made from it"`
			Rollout  string `query:"rollout" maxLength:"64" doc:"What keeps this one from its members: exemptions from it, and pins"`
			Project  string `query:"project" maxLength:"64" doc:"Name or id"`
		}) (*httpx.Body[httpx.Page[Pin]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			list, next, err := svc.Pins(ctx, rollout.PinFilter{Search: in.Search, Template: in.Template, Rollout: in.Rollout, Project: in.Project, Over: in.Over, Sort: in.Sort}, page)
			return httpx.PageOf(list, next, err, viewPin)
		})
	httpx.Register(api, httpx.Repeatable(huma.Operation{OperationID: "pin-resource", Method: http.MethodPut, Path: resourcePath + "/pin", Tags: tags,
		Summary: "Keep a resource at its version", Description: "No rollout changes it until then, and neither does an upgrade. An earlier pin is replaced."}),
		func(ctx context.Context, in *struct {
			ResourcePath
			Body PinSetting
		}) (*httpx.Tagged[Pin], error) {
			return pinned(svc.Pin(ctx, in.where(), in.Body.Reason, in.Body.Until))
		})
	httpx.Register(api, huma.Operation{OperationID: "unpin-resource", Method: http.MethodDelete, Path: resourcePath + "/pin", Tags: tags, Summary: "Take a resource's pin away", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *ResourcePath) (*struct{}, error) { return nil, svc.Unpin(ctx, in.where()) })
	const exemption = resourcePath + "/exemptions/{rollout}"
	httpx.Register(api, httpx.Repeatable(huma.Operation{OperationID: "exempt-resource", Method: http.MethodPut, Path: exemption, Tags: tags, Summary: "Keep one rollout from changing a resource"}),
		func(ctx context.Context, in *struct {
			ResourcePath
			RolloutPath
			Body PinSetting
		}) (*httpx.Tagged[Pin], error) {
			return pinned(svc.Exempt(ctx, in.where(), in.Rollout, in.Body.Reason, in.Body.Until))
		})
	httpx.Register(api, huma.Operation{OperationID: "unexempt-resource", Method: http.MethodDelete, Path: exemption, Tags: tags, Summary: "Let a rollout change a resource again",
		Description: "It takes it up when it is retried.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			ResourcePath
			RolloutPath
		}) (*struct{}, error) {
			return nil, svc.Unexempt(ctx, in.where(), in.Rollout)
		})
}

func pinned(p rollout.Pin, err error) (*httpx.Tagged[Pin], error) {
	if err != nil {
		return nil, err
	}
	return httpx.NewTagged(p.Version, viewPin(p)), nil
}

func registerResource(api huma.API, svc *rollout.Service) {
	httpx.Register(api, huma.Operation{OperationID: "get-resource-standing", Method: http.MethodGet, Path: resourcePath + "/standing", Tags: tags, Summary: "How rollouts and pins bear on a resource"},
		func(ctx context.Context, in *ResourcePath) (*httpx.Body[ResourceStanding], error) {
			h, err := svc.Standing(ctx, in.where())
			if err != nil {
				return nil, err
			}
			return &httpx.Body[ResourceStanding]{Body: viewStanding(h)}, nil
		})
	httpx.Register(api, httpx.Repeatable(huma.Operation{OperationID: "upgrade-resource", Method: http.MethodPut, Path: resourcePath + "/version", Tags: tags,
		Summary: "Bring one resource to a version of its template", Description: "A change like any other; a pin is not passed over."}),
		func(ctx context.Context, in *struct {
			ResourcePath
			httpx.IfMatchInput
			Body struct {
				To   string         `json:"to,omitempty" maxLength:"64" doc:"A version, or a constraint; the newest stable when absent"`
				Set  map[string]any `json:"set,omitempty" doc:"Single inputs on top of those in use; null takes one away"`
				Note string         `json:"note,omitempty" maxLength:"1000" doc:"Why"`
			}
		}) (*httpx.Tagged[UpgradedResource], error) {
			version, err := in.Version()
			if err != nil {
				return nil, err
			}
			r, err := svc.Upgrade(ctx, in.where(), in.Body.To, in.Body.Set, in.Body.Note, version)
			if err != nil {
				return nil, err
			}
			return httpx.NewTagged(r.Version, UpgradedResource{ID: r.ID, Name: r.Name, Template: r.Template, TemplateVersion: r.TemplateVersion, Revision: r.Revision,
				RunID: r.RunID, Phase: string(r.Phase), Version: r.Version}), nil
		})
}
