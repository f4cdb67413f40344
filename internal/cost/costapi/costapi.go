package costapi

import (
	"context"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/cost"
	"fairlead/internal/gate"
	"fairlead/internal/httpx"
)

// PriceTable is a version of what things cost.
type PriceTable struct {
	Version   int64     `json:"version"`
	Digest    string    `json:"digest" doc:"Of currency and prices, whatever the document looks like"`
	Currency  string    `json:"currency"`
	Items     int       `json:"items"`
	Document  string    `json:"document,omitempty" doc:"YAML, as it was put"`
	CreatedAt time.Time `json:"createdAt"`
	CreatedBy string    `json:"createdBy" doc:"Id"`

	RepricedAt *time.Time `json:"repricedAt,omitempty" doc:"All that lives is priced by it since; not there: that is under way"`
	Repriced   int64      `json:"repriced" doc:"Resources that came to another amount by it"`
}

func viewTable(t cost.Table) PriceTable {
	return PriceTable{RepricedAt: httpx.Optional(t.RepricedAt), Repriced: t.Repriced, Version: t.Version, Digest: t.Digest, Currency: t.Currency, Items: t.Count, Document: t.Document, CreatedAt: t.CreatedAt, CreatedBy: t.CreatedBy}
}

// CostEstimate is what a request would cost and take.
type CostEstimate struct {
	Currency string             `json:"currency,omitempty"`
	Monthly  float64            `json:"monthly"`
	Before   float64            `json:"before" doc:"What is in use costs this a month"`
	Unpriced bool               `json:"unpriced" doc:"The template has no cost rule, or there are no prices"`
	Items    []CostLine         `json:"items" nullable:"false"`
	Units    map[string]float64 `json:"units" doc:"What else it takes, by unit"`
	Quotas   []QuotaUse         `json:"quotas" nullable:"false" doc:"Quotas and budgets that it falls under"`
}

// CostLine is one part of a cost.
type CostLine struct {
	Item     string  `json:"item"`
	Quantity float64 `json:"quantity"`
	Monthly  float64 `json:"monthly"`
}

// QuotaUse is how a request stands to one quota.
type QuotaUse struct {
	Quota   string  `json:"quota" doc:"Id"`
	Place   string  `json:"place"`
	Metric  string  `json:"metric"`
	Max     float64 `json:"max"`
	Used    float64 `json:"used" doc:"By others"`
	Wanted  float64 `json:"wanted"`
	Left    float64 `json:"left" doc:"After the request; below zero it would be refused, if the quota is enforced"`
	Enforce bool    `json:"enforce"`
	Fits    bool    `json:"fits"`
}

// CostSpent is one line of a report.
type CostSpent struct {
	ID        string  `json:"id" doc:"Of what the report is by"`
	Name      string  `json:"name"`
	Currency  string  `json:"currency"`
	Spent     float64 `json:"spent" doc:"Within the time asked for"`
	Monthly   float64 `json:"monthly" doc:"What it costs a month now"`
	Resources int64   `json:"resources"`
}

// cents rounds for showing.
func cents(v float64) float64 { return math.Round(v*1e4) / 1e4 }

func viewSpent(s cost.Spent) CostSpent {
	return CostSpent{ID: s.ID, Name: s.Name, Currency: s.Currency, Spent: cents(s.Spent), Monthly: cents(s.Monthly), Resources: s.Resources}
}

func viewEstimate(p cost.Preview) CostEstimate {
	out := CostEstimate{Currency: p.Cost.Currency, Monthly: cents(p.Cost.Monthly), Before: cents(p.Cost.Before), Unpriced: p.Cost.Unpriced,
		Items: make([]CostLine, len(p.Cost.Items)), Units: p.Units, Quotas: make([]QuotaUse, len(p.Usage))}
	if out.Units == nil {
		out.Units = map[string]float64{}
	}
	for i, l := range p.Cost.Items {
		out.Items[i] = CostLine{Item: l.Item, Quantity: l.Quantity, Monthly: cents(l.Monthly)}
	}
	for i, u := range p.Usage {
		out.Quotas[i] = viewUse(u)
	}
	return out
}

func viewUse(u gate.Use) QuotaUse {
	left := u.Max - u.Used - u.Wanted
	return QuotaUse{Quota: u.Limit, Place: u.Scope + " " + u.Name, Metric: u.Metric, Max: u.Max, Used: u.Used, Wanted: u.Wanted,
		Left: math.Round(left*1e6) / 1e6, Enforce: u.Enforce, Fits: left >= 0 || u.Wanted <= u.Held || !u.Enforce}
}

// Register puts the operations on the API.
func Register(api huma.API, svc *cost.Service) {
	registerPrices(api, svc)
	tags := []string{"Costs"}
	httpx.Register(api, huma.Operation{OperationID: "estimate-cost", Method: http.MethodPost, Path: "/api/v1/cost/estimate", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "What a request would cost", Description: "Nothing is created, reserved or recorded."},
		func(ctx context.Context, in *struct {
			Body struct {
				Project     string         `json:"project" maxLength:"64" doc:"Name or id"`
				Environment string         `json:"environment" maxLength:"64" doc:"Name or id"`
				Template    string         `json:"template" maxLength:"64"`
				Version     string         `json:"version,omitempty" maxLength:"100" doc:"Exact, or a constraint; default is the newest"`
				Inputs      map[string]any `json:"inputs,omitempty"`
			}
		}) (*httpx.Body[CostEstimate], error) {
			b := in.Body
			p, err := svc.Preview(ctx, cost.Request{Project: b.Project, Environment: b.Environment, Template: b.Template, Version: b.Version, Inputs: b.Inputs})
			if err != nil {
				return nil, err
			}
			return &httpx.Body[CostEstimate]{Body: viewEstimate(p)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "list-costs", Method: http.MethodGet, Path: "/api/v1/costs", Tags: tags, Summary: "What was spent",
		Description: "Sums of what each resource cost a month for as long as it did; a month has 730 hours. Lines of another currency stand apart."},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			By          string    `query:"by" enum:"resource,environment,project,team,template,currency" default:"resource" doc:"currency is the sum of all"`
			Team        string    `query:"team" maxLength:"64" doc:"Name or id"`
			Project     string    `query:"project" maxLength:"64" doc:"Name or id"`
			Environment string    `query:"environment" maxLength:"64" doc:"Name or id"`
			Template    string    `query:"template" maxLength:"64"`
			From        time.Time `query:"from" doc:"Default is the beginning"`
			To          time.Time `query:"to" doc:"Default is now"`
			Sort        string    `query:"sort" enum:"name,-name,cost,-cost,monthly,-monthly" default:"name"`
		}) (*httpx.Body[httpx.Page[CostSpent]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Report(ctx, cost.Filter{Team: in.Team, Project: in.Project, Environment: in.Environment, Template: in.Template,
				From: in.From, To: in.To, By: in.By, Sort: in.Sort}, page)
			return httpx.PageOf(items, next, err, viewSpent)
		})
}

func registerPrices(api huma.API, svc *cost.Service) {
	tags := []string{"Costs"}
	httpx.Register(api, huma.Operation{OperationID: "get-prices", Method: http.MethodGet, Path: "/api/v1/cost/prices", Tags: tags, Summary: "The price table in force, or a version of it"},
		func(ctx context.Context, in *struct {
			Version int64 `query:"version" minimum:"0" doc:"Default is the one in force"`
		}) (*httpx.Body[PriceTable], error) {
			t, err := svc.Table(ctx, in.Version)
			if err != nil {
				return nil, err
			}
			return &httpx.Body[PriceTable]{Body: viewTable(t)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "put-prices", Method: http.MethodPut, Path: "/api/v1/cost/prices", Tags: tags, MaxBodyBytes: 4 << 20,
		Summary: "Put a price table in force", Description: "The same prices again change nothing. Requests are priced by them at once; what lives is priced anew in the background, and nothing of it is refused: budgets that are passed by it warn."},
		func(ctx context.Context, in *struct {
			Body struct {
				Document string `json:"document" doc:"YAML: {currency, items: {name: {monthly or hourly, unit, description}}}"`
			}
		}) (*httpx.Body[PriceTable], error) {
			t, _, err := svc.Put(ctx, in.Body.Document)
			if err != nil {
				return nil, err
			}
			return &httpx.Body[PriceTable]{Body: viewTable(t)}, nil
		})
	httpx.Register(api, huma.Operation{OperationID: "list-prices", Method: http.MethodGet, Path: "/api/v1/cost/prices/versions", Tags: tags, Summary: "Versions of the price table, the newest first"},
		func(ctx context.Context, in *struct {
			httpx.PageInput
		}) (*httpx.Body[httpx.Page[PriceTable]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.History(ctx, page)
			return httpx.PageOf(items, next, err, func(t cost.Table) PriceTable {
				t.Document = "" // one at a time
				return viewTable(t)
			})
		})
}
