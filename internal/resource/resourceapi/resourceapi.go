package resourceapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/httpx"
	"fairlead/internal/resource"
)

const (
	inEnvironment = "/api/v1/projects/{project}/environments/{environment}"
	collection    = inEnvironment + "/resources"
	one           = collection + "/{resource}"
)

var (
	tags    = []string{"Resources"}
	runTags = []string{"Runs"}
)

type EnvironmentInput struct {
	Project     string `path:"project" maxLength:"64" doc:"Name or id"`
	Environment string `path:"environment" maxLength:"64" doc:"Name or id"`
}

type OneInput struct {
	EnvironmentInput
	Resource string `path:"resource" maxLength:"64" doc:"Name or id"`
}

func (in OneInput) where() resource.Where {
	return resource.Where{Project: in.Project, Environment: in.Environment, Name: in.Resource}
}

// Register adds the operations.
func Register(api huma.API, svc *resource.Service) {
	registerReads(api, svc)
	registerRequests(api, svc)
	registerChanges(api, svc)
	registerVerbs(api, svc)
	registerHandover(api, svc)
	registerHistory(api, svc)
	registerGraphs(api, svc)
	registerRuns(api, svc)
	registerSuspects(api, svc)
	registerDrift(api, svc)
}

// tagged is a resource with its version, for If-Match, and where it is.
type tagged struct {
	Status   int
	ETag     string `header:"ETag"`
	Location string `header:"Location"`
	Body     Resource
}

func reply(status int, r resource.Resource) *tagged {
	t := &tagged{Status: status, ETag: httpx.ETag(r.Version), Body: resourceView(r)}
	if status == http.StatusCreated {
		t.Location = "/api/v1/resources/" + r.ID
	}
	return t
}

func replied(status int, r resource.Resource, err error) (*tagged, error) {
	if err != nil {
		return nil, err
	}
	return reply(status, r), nil
}

// Filters narrow a list of resources.
type Filters struct {
	Template  string `query:"template" maxLength:"64" doc:"Only those made from this template"`
	Version   string `query:"templateVersion" maxLength:"64" doc:"Only those of this version of their template"`
	Phase     string `query:"phase" enum:"pending,waiting,planning,applying,retrying,ready,failed,canceled,lost,destroying,destroyed,releasing,released"`
	Search    string `query:"search" maxLength:"64" doc:"Part of the name"`
	Destroyed bool   `query:"destroyed" doc:"Also those that are gone"`
	Sort      string `query:"sort" enum:"name,-name,created,-created,updated,-updated" default:"name"`
}

func (in Filters) filter() resource.Filter {
	return resource.Filter{Template: in.Template, Version: in.Version, Phase: resource.Phase(in.Phase), Search: in.Search, Destroyed: in.Destroyed, Sort: in.Sort}
}

func registerReads(api huma.API, svc *resource.Service) {
	httpx.Register(api, huma.Operation{
		OperationID: "list-resources", Method: http.MethodGet, Path: "/api/v1/resources", Tags: tags,
		Summary: "List resources across environments", Description: "Those that the caller may see.",
	}, func(ctx context.Context, in *struct {
		httpx.PageInput
		Filters
		Project     string `query:"project" maxLength:"64" doc:"Name or id"`
		Environment string `query:"environment" maxLength:"64" doc:"Name or id"`
	}) (*httpx.Body[httpx.Page[Resource]], error) {
		f := in.filter()
		f.Project, f.Environment = in.Project, in.Environment
		return list(ctx, svc, in.PageInput, f)
	})
	httpx.Register(api, huma.Operation{
		OperationID: "list-environment-resources", Method: http.MethodGet, Path: collection, Tags: tags,
		Summary: "List an environment's resources",
	}, func(ctx context.Context, in *struct {
		EnvironmentInput
		httpx.PageInput
		Filters
	}) (*httpx.Body[httpx.Page[Resource]], error) {
		f := in.filter()
		f.Project, f.Environment = in.Project, in.Environment
		return list(ctx, svc, in.PageInput, f)
	})
	httpx.Register(api, huma.Operation{
		OperationID: "get-resource-by-id", Method: http.MethodGet, Path: "/api/v1/resources/{id}", Tags: tags,
		Summary: "Get a resource by id", Description: "Also one that is destroyed.",
	}, func(ctx context.Context, in *struct {
		ID string `path:"id" maxLength:"64"`
		WaitInput
	}) (*tagged, error) {
		r, err := svc.WaitID(ctx, in.ID, in.until(), in.limit())
		return replied(http.StatusOK, r, err)
	})
	httpx.Register(api, huma.Operation{
		OperationID: "get-resource", Method: http.MethodGet, Path: one, Tags: tags,
		Summary: "Get a resource",
		Description: "With wait it answers when the resource's version differs from known (by default the one there is now), " +
			"when the resource is settled, or when the time is over; with until=settled, not before that at what changes on the way.",
	}, func(ctx context.Context, in *struct {
		OneInput
		WaitInput
	}) (*tagged, error) {
		r, err := svc.Wait(ctx, in.where(), in.until(), in.limit())
		return replied(http.StatusOK, r, err)
	})
}

// WaitInput is embedded in reads that can wait; exported, for huma sees no other.
type WaitInput struct {
	httpx.WaitInput
	Known int64  `query:"known" minimum:"0" doc:"The version that the caller has; by default the one there is now"`
	Until string `query:"until" enum:"changed,settled" default:"changed" doc:"What to wait for: any change of the version, or that the resource is settled: ready, failed, canceled, lost, destroyed or released"`
}

func (in WaitInput) until() resource.Until {
	return resource.Until{Settled: in.Until == "settled", Known: in.Known}
}

func (in WaitInput) limit() time.Duration { return time.Duration(in.Wait) * time.Second }

func list(ctx context.Context, svc *resource.Service, in httpx.PageInput, f resource.Filter) (*httpx.Body[httpx.Page[Resource]], error) {
	page, err := in.Page()
	if err != nil {
		return nil, err
	}
	items, next, err := svc.List(ctx, f, page)
	return pageBody(items, next, err, resourceView)
}

func pageBody[T, V any](items []T, next string, err error, view func(T) V) (*httpx.Body[httpx.Page[V]], error) {
	if err != nil {
		return nil, err
	}
	views := make([]V, 0, len(items))
	for _, item := range items {
		views = append(views, view(item))
	}
	return &httpx.Body[httpx.Page[V]]{Body: httpx.NewPage(views, next)}, nil
}

// ResourceRequest asks for a resource.
type ResourceRequest struct {
	Name     string         `json:"name" minLength:"1" maxLength:"64" example:"orders"`
	Template string         `json:"template" minLength:"1" maxLength:"64" example:"postgres"`
	Version  string         `json:"version,omitempty" maxLength:"64" doc:"Of the template: a number or a constraint; by default the one in use, for a new resource the newest stable"`
	Inputs   map[string]any `json:"inputs,omitempty" doc:"By the template's schema; a reference is \"${{ resources.NAME.outputs.OUTPUT }}\""`
	Note     string         `json:"note,omitempty" maxLength:"1000" doc:"Why"`
	Lease    string         `json:"lease,omitempty" maxLength:"20" doc:"How long a new one may live (90m, 8h, 7d); by default what the rules of its environment say" example:"8h"`
}

func (r ResourceRequest) wanted() (resource.Wanted, error) {
	lease, err := gate.ParseLength(r.Lease)
	if err != nil {
		return resource.Wanted{}, fault.From(err).WithField("/lease")
	}
	return resource.Wanted{Name: r.Name, Template: r.Template, Version: r.Version, Inputs: r.Inputs, Note: r.Note, Lease: lease}, nil
}

// DesiredResource is a resource as it is wanted; its name is in the path.
type DesiredResource struct {
	Template string         `json:"template" minLength:"1" maxLength:"64" example:"postgres"`
	Version  string         `json:"version,omitempty" maxLength:"64" doc:"Of the template: a number or a constraint; by default the one in use"`
	Inputs   map[string]any `json:"inputs,omitempty" doc:"All of them"`
	Note     string         `json:"note,omitempty" maxLength:"1000" doc:"Why"`
}

func registerRequests(api huma.API, svc *resource.Service) {
	httpx.Register(api, httpx.Located(huma.Operation{
		OperationID: "create-resource", Method: http.MethodPost, Path: collection, Tags: tags,
		Summary: "Request a resource", Description: "Answers as soon as the request is safe; follow the run, or wait for the resource to settle.",
	}, collection+"/{name}"), func(ctx context.Context, in *struct {
		EnvironmentInput
		Body ResourceRequest
	}) (*tagged, error) {
		wanted, err := in.Body.wanted()
		if err != nil {
			return nil, err
		}
		r, err := svc.Create(ctx, in.Project, in.Environment, wanted)
		return replied(http.StatusCreated, r, err)
	})
	httpx.Register(api, httpx.Recovered(huma.Operation{
		OperationID: "put-resource", Method: http.MethodPut, Path: one, Tags: tags,
		Summary: "Make a resource as described", Description: "Creates it (201) or changes it (200); when it is as described already, nothing happens.",
	}, changedOne(svc)), func(ctx context.Context, in *struct {
		OneInput
		httpx.IfMatchInput
		Body DesiredResource
	}) (*tagged, error) {
		version, err := in.Version()
		if err != nil {
			return nil, err
		}
		a, err := svc.Put(ctx, in.Project, in.Environment, resource.Wanted{Name: in.Resource, Template: in.Body.Template, Version: in.Body.Version,
			Inputs: in.Body.Inputs, Note: in.Body.Note, IfMatch: version})
		status := http.StatusOK
		if a.Outcome == resource.Created {
			status = http.StatusCreated
		}
		return replied(status, a.Resource, err)
	})
	httpx.Register(api, httpx.Recovered(huma.Operation{
		OperationID: "apply-resources", Method: http.MethodPost, Path: inEnvironment + "/apply", DefaultStatus: http.StatusOK, Tags: tags,
		Summary:     "Make a set of resources as described",
		Description: "All or none, in one transaction. They may refer to each other; each is created, changed or left as it is.",
	}, appliedSet(svc)), func(ctx context.Context, in *struct {
		EnvironmentInput
		Body struct {
			Resources []ResourceRequest `json:"resources" minItems:"1" maxItems:"100"`
		}
	}) (*httpx.Body[AppliedSet], error) {
		var wanted []resource.Wanted
		for i, r := range in.Body.Resources {
			one, err := r.wanted()
			if err != nil {
				return nil, fault.From(err).WithField("/resources/" + strconv.Itoa(i) + "/lease")
			}
			wanted = append(wanted, one)
		}
		applied, err := svc.Apply(ctx, in.Project, in.Environment, wanted)
		if err != nil {
			return nil, err
		}
		out := AppliedSet{Resources: []AppliedResource{}}
		for _, a := range applied {
			out.Resources = append(out.Resources, appliedView(a))
		}
		return &httpx.Body[AppliedSet]{Body: out}, nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "plan-resource", Method: http.MethodPost, Path: inEnvironment + "/plan", DefaultStatus: http.StatusOK, Tags: tags,
		Summary: "See what a request would do", Description: "Changes nothing.",
	}, func(ctx context.Context, in *struct {
		EnvironmentInput
		Body ResourceRequest
	}) (*httpx.Body[ResourcePlan], error) {
		wanted, err := in.Body.wanted()
		if err != nil {
			return nil, err
		}
		p, err := svc.Plan(ctx, in.Project, in.Environment, wanted)
		if err != nil {
			return nil, err
		}
		return &httpx.Body[ResourcePlan]{Body: previewView(p)}, nil
	})
}
