package stateapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/resource"
	"fairlead/internal/state"
)

// ResourceState is what is known of a resource's state without opening it.
type ResourceState struct {
	Version   int64      `json:"version" doc:"Counts its writes; 0 when nothing is written yet"`
	Serial    int64      `json:"serial"`
	Lineage   string     `json:"lineage,omitempty"`
	Objects   int64      `json:"objects" doc:"Managed objects in it"`
	UpdatedAt time.Time  `json:"updatedAt"`
	Lock      *StateLock `json:"lock,omitempty" doc:"Who holds it; absent when it is free"`
}

// StateLock is who holds a state, as the program says.
type StateLock struct {
	ID        string `json:"id"`
	Operation string `json:"operation,omitempty"`
	Who       string `json:"who,omitempty"`
	Program   string `json:"program,omitempty" doc:"Version of the program"`
	Since     string `json:"since,omitempty"`
}

// StateVersion is one version that is kept.
type StateVersion struct {
	Version   int64     `json:"version"`
	Serial    int64     `json:"serial"`
	Lineage   string    `json:"lineage"`
	Size      int64     `json:"size" doc:"In bytes"`
	By        string    `json:"by" example:"apply"`
	CreatedAt time.Time `json:"createdAt"`
}

// StateContent is a version with its content.
type StateContent struct {
	StateVersion
	State json.RawMessage `json:"state" doc:"As the program wrote it, secrets and all"`
}

// StateChoice names a version.
type StateChoice struct {
	Version int64 `json:"version,omitempty" minimum:"0" doc:"The current one when absent"`
}

// StateRollback names the version to go back to.
type StateRollback struct {
	Version int64 `json:"version" minimum:"1"`
}

// StatePath names the resource whose state it is.
type StatePath struct {
	Project     string `path:"project" maxLength:"64" doc:"Name or id"`
	Environment string `path:"environment" maxLength:"64" doc:"Name or id"`
	Resource    string `path:"resource" maxLength:"64" doc:"Name or id"`
}

func (p StatePath) where() resource.Where {
	return resource.Where{Project: p.Project, Environment: p.Environment, Name: p.Resource}
}

func view(s state.State) ResourceState {
	v := ResourceState{Version: s.Version, Serial: s.Serial, Lineage: s.Lineage, Objects: s.Objects, UpdatedAt: s.UpdatedAt}
	if l := s.Lock; l != nil {
		v.Lock = &StateLock{ID: l.ID, Operation: l.Operation, Who: l.Who, Program: l.Program, Since: l.Since}
	}
	return v
}

func viewVersion(v state.Version) StateVersion {
	return StateVersion{Version: v.Version, Serial: v.Serial, Lineage: v.Lineage, Size: v.Size, By: v.By, CreatedAt: v.CreatedAt}
}

// Register adds the operations.
func Register(api huma.API, svc *state.Service) {
	const one = "/api/v1/projects/{project}/environments/{environment}/resources/{resource}/state"
	tags := []string{"Resources"}
	httpx.Register(api, huma.Operation{OperationID: "get-resource-state", Method: http.MethodGet, Path: one, Tags: tags,
		Summary: "The state of a resource's module", Description: "Its serial, and who holds its lock; not its content."},
		func(ctx context.Context, in *StatePath) (*httpx.Body[ResourceState], error) {
			s, err := svc.Get(ctx, in.where())
			if err != nil {
				return nil, err
			}
			return &httpx.Body[ResourceState]{Body: view(s)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "list-state-versions", Method: http.MethodGet, Path: one + "/versions", Tags: tags,
		Summary: "Versions of a state that are kept", Description: "Newest first."},
		func(ctx context.Context, in *struct {
			StatePath
			httpx.PageInput
		}) (*httpx.Body[httpx.Page[StateVersion]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			list, next, err := svc.Versions(ctx, in.where(), page)
			if err != nil {
				return nil, err
			}
			items := make([]StateVersion, len(list))
			for i, v := range list {
				items[i] = viewVersion(v)
			}
			return &httpx.Body[httpx.Page[StateVersion]]{Body: httpx.NewPage(items, next)}, nil
		})
	httpx.Register(api, httpx.Sensitive(httpx.Within(huma.Operation{OperationID: "pull-state", Method: http.MethodPost, Path: one + "/pull", DefaultStatus: http.StatusOK, Tags: tags,
		Summary: "Download a state", Description: "It holds every secret that the module knows. Recorded in the audit log before the answer is given."}, 5*time.Minute)),
		func(ctx context.Context, in *struct {
			StatePath
			Body StateChoice
		}) (*struct {
			CacheControl string `header:"Cache-Control"`
			Body         StateContent
		}, error) {
			body, v, err := svc.Pull(ctx, in.where(), in.Body.Version)
			if err != nil {
				return nil, err
			}
			return &struct {
				CacheControl string `header:"Cache-Control"`
				Body         StateContent
			}{"no-store", StateContent{viewVersion(v), body}}, nil
		})
	httpx.Register(api, httpx.Repeatable(huma.Operation{OperationID: "rollback-state", Method: http.MethodPost, Path: one + "/rollback", DefaultStatus: http.StatusOK, Tags: tags,
		Summary:     "Go back to an older state",
		Description: "Its content becomes the current one under a newer serial. What exists is not touched; a run under way is cut off from the state, and refused while one holds the lock."}),
		func(ctx context.Context, in *struct {
			StatePath
			Body StateRollback
		}) (*httpx.Body[ResourceState], error) {
			s, err := svc.Rollback(ctx, in.where(), in.Body.Version)
			if err != nil {
				return nil, err
			}
			return &httpx.Body[ResourceState]{Body: view(s)}, nil
		})
}
