package quotaapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/quota"
)

// Quota is how much of a metric may be taken in a place. A budget is one of
// the metric monthly_cost.
type Quota struct {
	ID          string    `json:"id"`
	Scope       string    `json:"scope" enum:"organisation,team,project,environment" doc:"What it holds for as a whole"`
	Place       string    `json:"place" doc:"The same for people, with class and template"`
	Team        string    `json:"team,omitempty"`
	Project     string    `json:"project,omitempty"`
	Environment string    `json:"environment,omitempty"`
	Class       string    `json:"class,omitempty" doc:"Only in environments of this class"`
	Template    string    `json:"template,omitempty" doc:"Only resources of this template"`
	Metric      string    `json:"metric" doc:"count, monthly_cost, or a unit that templates declare"`
	Max         float64   `json:"max"`
	Used        float64   `json:"used"`
	WarnAt      float64   `json:"warnAt" doc:"Share of max from which its owners are told; 0 is never"`
	Enforce     bool      `json:"enforce" doc:"False: it only warns"`
	CreatedAt   time.Time `json:"createdAt"`
	UpdatedAt   time.Time `json:"updatedAt"`
	Version     int64     `json:"version"`
}

func view(l quota.Limit) Quota {
	return Quota{ID: l.ID, Scope: l.Scope, Place: l.Place(), Team: l.Team, Project: l.Project, Environment: l.Environment, Class: l.Class, Template: l.Template,
		Metric: l.Metric, Max: l.Max.Float(), Used: l.Used.Float(), WarnAt: l.WarnAt, Enforce: l.Enforce, CreatedAt: l.CreatedAt, UpdatedAt: l.UpdatedAt, Version: l.Version}
}

// QuotaHolding is what one resource takes of a quota.
type QuotaHolding struct {
	ResourceID  string  `json:"resourceId"`
	Resource    string  `json:"resource"`
	Project     string  `json:"project"`
	Environment string  `json:"environment"`
	Template    string  `json:"template"`
	Amount      float64 `json:"amount"`
}

func viewHolding(h quota.Holding) QuotaHolding {
	return QuotaHolding{ResourceID: h.ResourceID, Resource: h.Resource, Project: h.Project, Environment: h.Environment, Template: h.Template, Amount: h.Amount.Float()}
}

// QuotaSetting is a quota as somebody wants it. Its place is the narrowest of
// team, project and environment that is named; none is the organisation.
type QuotaSetting struct {
	Team        string  `json:"team,omitempty" maxLength:"64" doc:"Name or id"`
	Project     string  `json:"project,omitempty" maxLength:"64" doc:"Name or id"`
	Environment string  `json:"environment,omitempty" maxLength:"64" doc:"Name within the project, or id"`
	Class       string  `json:"class,omitempty" enum:"development,staging,production"`
	Template    string  `json:"template,omitempty" maxLength:"64"`
	Metric      string  `json:"metric" maxLength:"32"`
	Max         float64 `json:"max" minimum:"0"`
	WarnAt      float64 `json:"warnAt,omitempty" minimum:"0" maximum:"1"`
	Enforce     *bool   `json:"enforce,omitempty" doc:"Default true; false only warns"`
}

// QuotaPath names a quota.
type QuotaPath struct {
	Quota string `path:"quota" maxLength:"64" doc:"Id"`
}

// Register puts the operations on the API.
func Register(api huma.API, svc *quota.Service) {
	tags := []string{"Quotas"}
	const path = "/api/v1/quotas/{quota}"
	httpx.Register(api, huma.Operation{OperationID: "list-quotas", Method: http.MethodGet, Path: "/api/v1/quotas", Tags: tags, Summary: "Quotas and budgets that the caller may see, with what is used"},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			Team        string `query:"team" maxLength:"64" doc:"Name or id"`
			Project     string `query:"project" maxLength:"64" doc:"Name or id"`
			Environment string `query:"environment" maxLength:"64" doc:"Name or id"`
			Metric      string `query:"metric" maxLength:"32"`
			Sort        string `query:"sort" enum:"created,-created,metric,-metric,share,-share" default:"created" doc:"share is how much of it is used"`
		}) (*httpx.Body[httpx.Page[Quota]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.List(ctx, quota.Filter{Team: in.Team, Project: in.Project, Environment: in.Environment, Metric: in.Metric, Sort: in.Sort}, page)
			return httpx.PageOf(items, next, err, view)
		})
	httpx.Register(api, huma.Operation{OperationID: "set-quota", Method: http.MethodPut, Path: "/api/v1/quotas", Tags: tags, Summary: "Set a quota or a budget",
		Description: "Makes it, or changes the one for the same place, class, template and metric. It may be set below what is used: nothing is taken away, and nothing more is granted."},
		func(ctx context.Context, in *struct {
			httpx.IfMatchInput
			Body QuotaSetting
		}) (*httpx.Tagged[Quota], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			b := in.Body
			return reply(svc.Set(ctx, quota.Setting{Team: b.Team, Project: b.Project, Environment: b.Environment, Class: b.Class, Template: b.Template,
				Metric: b.Metric, Max: b.Max, WarnAt: b.WarnAt, Enforce: b.Enforce == nil || *b.Enforce}, v))
		})
	httpx.Register(api, huma.Operation{OperationID: "get-quota", Method: http.MethodGet, Path: path, Tags: tags, Summary: "A quota"},
		func(ctx context.Context, in *QuotaPath) (*httpx.Tagged[Quota], error) {
			return reply(svc.Get(ctx, in.Quota))
		})
	httpx.Register(api, huma.Operation{OperationID: "update-quota", Method: http.MethodPatch, Path: path, Tags: tags, Summary: "Change a quota"},
		func(ctx context.Context, in *struct {
			QuotaPath
			httpx.IfMatchInput
			Body struct {
				Max     *float64 `json:"max,omitempty" minimum:"0"`
				WarnAt  *float64 `json:"warnAt,omitempty" minimum:"0" maximum:"1"`
				Enforce *bool    `json:"enforce,omitempty"`
			}
		}) (*httpx.Tagged[Quota], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return reply(svc.Update(ctx, in.Quota, quota.Change{Max: in.Body.Max, WarnAt: in.Body.WarnAt, Enforce: in.Body.Enforce}, v))
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-quota", Method: http.MethodDelete, Path: path, Tags: tags, Summary: "Take a quota away", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			QuotaPath
			httpx.IfMatchInput
		}) (*struct{}, error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return nil, svc.Remove(ctx, in.Quota, v)
		})
	httpx.Register(api, huma.Operation{OperationID: "list-quota-holdings", Method: http.MethodGet, Path: path + "/holdings", Tags: tags, Summary: "What uses a quota, the most first",
		Description: "Only resources that the caller may see; the quota's used counts all."},
		func(ctx context.Context, in *struct {
			QuotaPath
			httpx.PageInput
		}) (*httpx.Body[httpx.Page[QuotaHolding]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Holdings(ctx, in.Quota, page)
			return httpx.PageOf(items, next, err, viewHolding)
		})
}

func reply(l quota.Limit, err error) (*httpx.Tagged[Quota], error) {
	if err != nil {
		return nil, err
	}
	return httpx.NewTagged(l.Version, view(l)), nil
}
