package projectapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/httpx"
	"fairlead/internal/project"
)

// Project is a product, owned by a team.
type Project struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Title      string            `json:"title"`
	TeamID     string            `json:"teamId"`
	Team       string            `json:"team"`
	Attributes map[string]string `json:"attributes" doc:"Policies look at them"`
	CreatedAt  time.Time         `json:"createdAt"`
	UpdatedAt  time.Time         `json:"updatedAt"`
	Version    int64             `json:"version"`
}

// Environment is a named space of a project.
type Environment struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Title      string            `json:"title"`
	Class      string            `json:"class" enum:"development,staging,production"`
	ProjectID  string            `json:"projectId"`
	Project    string            `json:"project"`
	TeamID     string            `json:"teamId"`
	Team       string            `json:"team"`
	Attributes map[string]string `json:"attributes" doc:"Policies look at them"`
	CreatedAt  time.Time         `json:"createdAt"`
	UpdatedAt  time.Time         `json:"updatedAt"`
	Version    int64             `json:"version"`
}

func viewProject(p project.Project) Project {
	return Project{ID: p.ID, Name: p.Name, Title: p.Title, TeamID: p.TeamID, Team: p.Team, Attributes: attributes(p.Attributes),
		CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt, Version: p.Version}
}

func viewEnvironment(e project.Environment) Environment {
	return Environment{ID: e.ID, Name: e.Name, Title: e.Title, Class: string(e.Class), ProjectID: e.ProjectID, Project: e.Project,
		TeamID: e.TeamID, Team: e.Team, Attributes: attributes(e.Attributes), CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt, Version: e.Version}
}

func attributes(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// SortInput sorts and searches a list. Embedded inputs are exported: huma
// passes over others.
type SortInput struct {
	Sort   string `query:"sort" enum:"name,-name,created,-created,updated,-updated" default:"name"`
	Search string `query:"q" maxLength:"80" doc:"Part of the name or title"`
}

// ProjectPath names a project.
type ProjectPath struct {
	Project string `path:"project" maxLength:"64" doc:"Name or id"`
}

// EnvironmentPath names an environment.
type EnvironmentPath struct {
	ProjectPath
	Environment string `path:"environment" maxLength:"64" doc:"Name or id"`
}

// Register puts the operations on the API.
func Register(api huma.API, svc *project.Service) {
	registerProjects(api, svc)
	registerEnvironments(api, svc)
}

func registerProjects(api huma.API, svc *project.Service) {
	tags := []string{"Projects"}
	httpx.Register(api, huma.Operation{OperationID: "list-projects", Method: http.MethodGet, Path: "/api/v1/projects", Tags: tags, Summary: "Projects that the caller may see"},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			SortInput
			Team string `query:"team" maxLength:"64" doc:"Name or id"`
		}) (*httpx.Body[httpx.Page[Project]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.List(ctx, project.Filter{Search: in.Search, Team: in.Team, Sort: in.Sort}, page)
			return httpx.PageOf(items, next, err, viewProject)
		})
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "create-project", Method: http.MethodPost, Path: "/api/v1/projects", Tags: tags, Summary: "Make a project"}, "/api/v1/projects/{name}"),
		func(ctx context.Context, in *struct {
			Body struct {
				Team       string            `json:"team" doc:"Name or id"`
				Name       string            `json:"name"`
				Title      string            `json:"title,omitempty"`
				Attributes map[string]string `json:"attributes,omitempty"`
			}
		}) (*httpx.Tagged[Project], error) {
			b := in.Body
			return projectReply(svc.Create(ctx, project.NewProject{Team: b.Team, Name: b.Name, Title: b.Title, Attributes: b.Attributes}))
		})
	httpx.Register(api, huma.Operation{OperationID: "get-project", Method: http.MethodGet, Path: "/api/v1/projects/{project}", Tags: tags, Summary: "A project"},
		func(ctx context.Context, in *ProjectPath) (*httpx.Tagged[Project], error) {
			return projectReply(svc.Get(ctx, in.Project))
		})
	httpx.Register(api, huma.Operation{OperationID: "update-project", Method: http.MethodPatch, Path: "/api/v1/projects/{project}", Tags: tags, Summary: "Change or move a project",
		Description: "Moving it to another team takes the right to change it in both, and no resources in it."},
		func(ctx context.Context, in *struct {
			ProjectPath
			httpx.IfMatchInput
			Body struct {
				Name       *string            `json:"name,omitempty"`
				Title      *string            `json:"title,omitempty"`
				Team       *string            `json:"team,omitempty" doc:"Name or id of the team to move it to"`
				Attributes *map[string]string `json:"attributes,omitempty"`
			}
		}) (*httpx.Tagged[Project], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			b := in.Body
			return projectReply(svc.Update(ctx, in.Project, project.Change{Name: b.Name, Title: b.Title, Team: b.Team, Attributes: b.Attributes}, v))
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-project", Method: http.MethodDelete, Path: "/api/v1/projects/{project}", Tags: tags, Summary: "Delete a project",
		Description: "Refused while it has environments, which are named.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			ProjectPath
			httpx.IfMatchInput
		}) (*struct{}, error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return nil, svc.Delete(ctx, in.Project, v)
		})
}

// EnvironmentList is the input of lists of environments.
type EnvironmentList struct {
	httpx.PageInput
	SortInput
	Class string `query:"class" enum:"development,staging,production"`
}

func registerEnvironments(api huma.API, svc *project.Service) {
	tags := []string{"Environments"}
	list := func(ctx context.Context, of string, in EnvironmentList) (*httpx.Body[httpx.Page[Environment]], error) {
		page, err := in.Page()
		if err != nil {
			return nil, err
		}
		items, next, err := svc.Environments(ctx, project.EnvironmentFilter{Project: of, Search: in.Search, Class: project.Class(in.Class), Sort: in.Sort}, page)
		return httpx.PageOf(items, next, err, viewEnvironment)
	}
	httpx.Register(api, huma.Operation{OperationID: "list-all-environments", Method: http.MethodGet, Path: "/api/v1/environments", Tags: tags,
		Summary: "Environments of all projects that the caller may see"},
		func(ctx context.Context, in *EnvironmentList) (*httpx.Body[httpx.Page[Environment]], error) {
			return list(ctx, "", *in)
		})
	httpx.Register(api, huma.Operation{OperationID: "get-environment-by-id", Method: http.MethodGet, Path: "/api/v1/environments/{id}", Tags: tags, Summary: "An environment by its id"},
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"64"`
		}) (*httpx.Tagged[Environment], error) {
			return environmentReply(svc.Environment(ctx, in.ID))
		})
	httpx.Register(api, huma.Operation{OperationID: "list-environments", Method: http.MethodGet, Path: "/api/v1/projects/{project}/environments", Tags: tags, Summary: "A project's environments"},
		func(ctx context.Context, in *struct {
			ProjectPath
			EnvironmentList
		}) (*httpx.Body[httpx.Page[Environment]], error) {
			return list(ctx, in.Project, in.EnvironmentList)
		})
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "create-environment", Method: http.MethodPost, Path: "/api/v1/projects/{project}/environments", Tags: tags, Summary: "Make an environment"},
		"/api/v1/projects/{project}/environments/{name}"),
		func(ctx context.Context, in *struct {
			ProjectPath
			Body struct {
				Name       string            `json:"name"`
				Title      string            `json:"title,omitempty"`
				Class      string            `json:"class" enum:"development,staging,production"`
				Attributes map[string]string `json:"attributes,omitempty"`
				Lease      string            `json:"lease,omitempty" maxLength:"20" doc:"How long it is to live, such as 90m, 8h or 7d; absent, what the rules of its class say"`
			}
		}) (*httpx.Tagged[Environment], error) {
			b := in.Body
			length, err := gate.ParseLength(b.Lease)
			if err != nil {
				return nil, fault.From(err).WithField("/lease")
			}
			return environmentReply(svc.CreateEnvironment(ctx, in.Project, project.NewEnvironment{Name: b.Name, Title: b.Title, Class: project.Class(b.Class), Attributes: b.Attributes, Lease: length}))
		})
	const path = "/api/v1/projects/{project}/environments/{environment}"
	httpx.Register(api, huma.Operation{OperationID: "get-environment", Method: http.MethodGet, Path: path, Tags: tags, Summary: "An environment"},
		func(ctx context.Context, in *EnvironmentPath) (*httpx.Tagged[Environment], error) {
			return environmentReply(svc.Resolve(ctx, in.Project, in.Environment))
		})
	httpx.Register(api, huma.Operation{OperationID: "update-environment", Method: http.MethodPatch, Path: path, Tags: tags, Summary: "Change an environment"},
		func(ctx context.Context, in *struct {
			EnvironmentPath
			httpx.IfMatchInput
			Body struct {
				Name       *string            `json:"name,omitempty"`
				Title      *string            `json:"title,omitempty"`
				Class      *string            `json:"class,omitempty" enum:"development,staging,production" doc:"Takes the right to change it in both classes"`
				Attributes *map[string]string `json:"attributes,omitempty"`
			}
		}) (*httpx.Tagged[Environment], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			b := in.Body
			return environmentReply(svc.UpdateEnvironment(ctx, in.Project, in.Environment,
				project.EnvironmentChange{Name: b.Name, Title: b.Title, Class: (*project.Class)(b.Class), Attributes: b.Attributes}, v))
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-environment", Method: http.MethodDelete, Path: path, Tags: tags, Summary: "Delete an environment",
		Description: "Refused while it has resources, which are named.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			EnvironmentPath
			httpx.IfMatchInput
		}) (*struct{}, error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return nil, svc.DeleteEnvironment(ctx, in.Project, in.Environment, v)
		})
}

func projectReply(p project.Project, err error) (*httpx.Tagged[Project], error) {
	if err != nil {
		return nil, err
	}
	return httpx.NewTagged(p.Version, viewProject(p)), nil
}

func environmentReply(e project.Environment, err error) (*httpx.Tagged[Environment], error) {
	if err != nil {
		return nil, err
	}
	return httpx.NewTagged(e.Version, viewEnvironment(e)), nil
}
