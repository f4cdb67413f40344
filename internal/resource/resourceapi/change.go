package resourceapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/resource"
)

// ResourceChange is a new desired state.
type ResourceChange struct {
	Version string         `json:"version,omitempty" maxLength:"64" doc:"Of the template; by default the one in use"`
	Inputs  map[string]any `json:"inputs,omitempty" doc:"All inputs; by default those in use"`
	Set     map[string]any `json:"set,omitempty" doc:"Single inputs on top; null takes one away"`
	Note    string         `json:"note,omitempty" maxLength:"1000" doc:"Why"`
}

func (c ResourceChange) change(ifMatch int64) resource.Change {
	return resource.Change{Version: c.Version, Inputs: c.Inputs, Set: c.Set, Note: c.Note, IfMatch: ifMatch}
}

type changeInput struct {
	OneInput
	httpx.IfMatchInput
	Body ResourceChange
}

// verbInput is for changes that say nothing but what they are.
type verbInput struct {
	OneInput
	httpx.IfMatchInput
}

func registerChanges(api huma.API, svc *resource.Service) {
	httpx.Register(api, httpx.Recovered(huma.Operation{
		OperationID: "change-resource", Method: http.MethodPatch, Path: one, Tags: tags,
		Summary: "Change a resource", Description: "A new revision; what is not named stays. When nothing differs, there is none.",
	}, changedOne(svc)), func(ctx context.Context, in *changeInput) (*tagged, error) {
		version, err := in.Version()
		if err != nil {
			return nil, err
		}
		r, err := svc.Change(ctx, in.where(), in.Body.change(version))
		return replied(http.StatusOK, r, err)
	})
	httpx.Register(api, huma.Operation{
		OperationID: "plan-resource-change", Method: http.MethodPost, Path: one + "/plan", DefaultStatus: http.StatusOK, Tags: tags,
		Summary: "See what a change would do", Description: "Changes nothing. An empty body shows what the wanted revision would change.",
	}, func(ctx context.Context, in *changeInput) (*httpx.Body[ResourcePlan], error) {
		version, err := in.Version()
		if err != nil {
			return nil, err
		}
		p, err := svc.PlanChange(ctx, in.where(), in.Body.change(version))
		if err != nil {
			return nil, err
		}
		return &httpx.Body[ResourcePlan]{Body: previewView(p)}, nil
	})
	httpx.Register(api, httpx.Recovered(huma.Operation{
		OperationID: "destroy-resource", Method: http.MethodDelete, Path: one, DefaultStatus: http.StatusAccepted, Tags: tags,
		Summary: "Destroy a resource",
		Description: "Accepted when nothing refers to it; over when its phase is destroyed, which is said only after it was looked for and not found. " +
			"Follow it by its id: the name is free then.",
	}, changedOne(svc)), func(ctx context.Context, in *verbInput) (*tagged, error) {
		version, err := in.Version()
		if err != nil {
			return nil, err
		}
		r, err := svc.Destroy(ctx, in.where(), version)
		return replied(http.StatusAccepted, r, err)
	})
}

func registerVerbs(api huma.API, svc *resource.Service) {
	httpx.Register(api, httpx.Recovered(huma.Operation{
		OperationID: "rollback-resource", Method: http.MethodPost, Path: one + "/rollback", DefaultStatus: http.StatusOK, Tags: tags,
		Summary: "Roll a resource back", Description: "A new revision with the content of an older one.",
	}, changedOne(svc)), func(ctx context.Context, in *struct {
		OneInput
		httpx.IfMatchInput
		Body struct {
			Revision int64  `json:"revision" minimum:"1" doc:"The revision to repeat"`
			Note     string `json:"note,omitempty" maxLength:"1000" doc:"Why"`
		}
	}) (*tagged, error) {
		version, err := in.Version()
		if err != nil {
			return nil, err
		}
		r, err := svc.Rollback(ctx, in.where(), in.Body.Revision, in.Body.Note, version)
		return replied(http.StatusOK, r, err)
	})
	httpx.Register(api, httpx.Recovered(huma.Operation{
		OperationID: "rotate-resource", Method: http.MethodPost, Path: one + "/rotate", DefaultStatus: http.StatusOK, Tags: tags,
		Summary: "Rotate a resource's credentials", Description: "The old ones keep working for the template's overlap.",
	}, changedOne(svc)), func(ctx context.Context, in *verbInput) (*tagged, error) {
		version, err := in.Version()
		if err != nil {
			return nil, err
		}
		r, err := svc.Rotate(ctx, in.where(), version)
		return replied(http.StatusOK, r, err)
	})
	for _, v := range []struct {
		id, verb, summary, about string
		do                       func(context.Context, resource.Where, int64) (resource.Resource, error)
	}{
		{"stop-resource", "stop", "Stop a resource", "It keeps all that it holds, and nobody can use it until it is started. It stays ready, and says that it is paused.",
			func(ctx context.Context, w resource.Where, version int64) (resource.Resource, error) {
				return svc.Stop(ctx, w, version)
			}},
		{"start-resource", "start", "Start a resource that was stopped", "With the same outputs as before.",
			func(ctx context.Context, w resource.Where, version int64) (resource.Resource, error) {
				return svc.Start(ctx, w, version)
			}},
	} {
		httpx.Register(api, httpx.Repeatable(huma.Operation{
			OperationID: v.id, Method: http.MethodPost, Path: one + "/" + v.verb, DefaultStatus: http.StatusOK, Tags: tags, Summary: v.summary, Description: v.about,
		}), func(ctx context.Context, in *verbInput) (*tagged, error) {
			version, err := in.Version()
			if err != nil {
				return nil, err
			}
			r, err := v.do(ctx, in.where(), version)
			return replied(http.StatusOK, r, err)
		})
	}
	httpx.Register(api, httpx.Recovered(huma.Operation{
		OperationID: "retry-resource", Method: http.MethodPost, Path: one + "/retry", DefaultStatus: http.StatusOK, Tags: tags,
		Summary: "Try again", Description: "A new run of what is wanted anyway.",
	}, changedOne(svc)), func(ctx context.Context, in *OneInput) (*tagged, error) {
		r, err := svc.Retry(ctx, in.where())
		return replied(http.StatusOK, r, err)
	})
	httpx.Register(api, httpx.Sensitive(huma.Operation{
		OperationID: "reveal-credentials", Method: http.MethodPost, Path: one + "/credentials", DefaultStatus: http.StatusOK, Tags: tags,
		Summary: "Reveal a resource's secret outputs", Description: "Recorded in the audit log before the answer is given.",
	}), func(ctx context.Context, in *OneInput) (*struct {
		CacheControl string `header:"Cache-Control"`
		Body         ResourceCredentials
	}, error) {
		r, secrets, err := svc.Reveal(ctx, in.where())
		if err != nil {
			return nil, err
		}
		return &struct {
			CacheControl string `header:"Cache-Control"`
			Body         ResourceCredentials
		}{"no-store", credentialsView(r, secrets)}, nil
	})
}

func registerHistory(api huma.API, svc *resource.Service) {
	type pageOfOne struct {
		OneInput
		httpx.PageInput
	}
	httpx.Register(api, huma.Operation{
		OperationID: "list-revisions", Method: http.MethodGet, Path: one + "/revisions", Tags: tags,
		Summary: "List a resource's revisions", Description: "Newest first.",
	}, func(ctx context.Context, in *pageOfOne) (*httpx.Body[httpx.Page[ResourceRevision]], error) {
		page, err := in.Page()
		if err != nil {
			return nil, err
		}
		items, next, err := svc.Revisions(ctx, in.where(), page)
		return pageBody(items, next, err, revisionView)
	})
	httpx.Register(api, huma.Operation{
		OperationID: "list-runs", Method: http.MethodGet, Path: one + "/runs", Tags: runTags,
		Summary: "List a resource's runs", Description: "Newest first.",
	}, func(ctx context.Context, in *pageOfOne) (*httpx.Body[httpx.Page[Run]], error) {
		page, err := in.Page()
		if err != nil {
			return nil, err
		}
		items, next, err := svc.Runs(ctx, in.where(), page)
		return pageBody(items, next, err, runView)
	})
	httpx.Register(api, huma.Operation{
		OperationID: "get-references", Method: http.MethodGet, Path: one + "/references", Tags: tags,
		Summary: "See what a resource refers to, and what refers to it",
	}, func(ctx context.Context, in *OneInput) (*httpx.Body[ResourceReferences], error) {
		to, from, err := svc.References(ctx, in.where())
		if err != nil {
			return nil, err
		}
		return &httpx.Body[ResourceReferences]{Body: ResourceReferences{RefersTo: referenceViews(to), ReferredBy: referenceViews(from)}}, nil
	})
}
