package complianceapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/compliance"
	"fairlead/internal/gate"
	"fairlead/internal/httpx"
)

// ComplianceViolation is one rule that one resource offends.
type ComplianceViolation struct {
	ID          string     `json:"id" example:"vio_01jd2v8n5k3q7x9w4m6p8r0t2y"`
	ResourceID  string     `json:"resourceId"`
	Resource    string     `json:"resource" doc:"Its name"`
	Template    string     `json:"template"`
	Team        string     `json:"team"`
	Project     string     `json:"project"`
	Environment string     `json:"environment"`
	Class       string     `json:"class" doc:"Of the environment"`
	Owner       string     `json:"owner" doc:"Who asked for the resource"`
	Bundle      string     `json:"bundle" doc:"Name and version"`
	Rule        string     `json:"rule" doc:"Package and rule"`
	Strength    string     `json:"strength" enum:"deny,advise" doc:"deny: it would be refused today"`
	Message     string     `json:"message"`
	Remedy      string     `json:"remedy,omitempty" doc:"How to put it right"`
	Docs        string     `json:"docs,omitempty" doc:"A link"`
	Field       string     `json:"field,omitempty" doc:"JSON pointer into the inputs"`
	Since       time.Time  `json:"since" doc:"When it was first seen"`
	SeenAt      time.Time  `json:"seenAt" doc:"When it was last seen"`
	ClearedAt   *time.Time `json:"clearedAt,omitempty" doc:"When it was mended"`
}

// ComplianceTeam is how one team stands.
type ComplianceTeam struct {
	Team       string    `json:"team"`
	TeamID     string    `json:"teamId"`
	Resources  int64     `json:"resources" doc:"With violations"`
	Violations int64     `json:"violations"`
	Denied     int64     `json:"denied" doc:"Of them, by rules that deny"`
	Since      time.Time `json:"since" doc:"Of the oldest"`
}

// ComplianceSummary is how the teams stand.
type ComplianceSummary struct {
	Teams      []ComplianceTeam `json:"teams" nullable:"false" doc:"Those with violations"`
	CheckedAt  *time.Time       `json:"checkedAt,omitempty" doc:"When everything was looked at last; absent: never"`
	Guardrails string           `json:"guardrails,omitempty" doc:"Digest of the guardrails that were asked then"`
}

// ComplianceRun is one look at everything.
type ComplianceRun struct {
	ID         string     `json:"id"`
	StartedAt  time.Time  `json:"startedAt"`
	FinishedAt *time.Time `json:"finishedAt,omitempty"`
	By         string     `json:"by"`
	Guardrails string     `json:"guardrails" doc:"Digest of the guardrails that were asked"`
	Resources  int64      `json:"resources" doc:"Looked at"`
	Violations int64      `json:"violations" doc:"That stand at its end"`
	Opened     int64      `json:"opened" doc:"That were not there before"`
	Cleared    int64      `json:"cleared" doc:"That are gone"`
}

// Register adds the operations.
func Register(api huma.API, svc *compliance.Service) {
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/compliance" + path, Tags: []string{"Guardrails"}, Summary: summary, Description: description}
	}
	f := face{svc}
	httpx.Register(api, op("list-violations", http.MethodGet, "", "List what stands against the guardrails in force",
		"As the last run saw it; only where the caller may see resources. By team and age."), f.list)
	httpx.Register(api, op("get-compliance", http.MethodGet, "/summary", "Show how the teams stand", "Only of resources that the caller may see."), f.summary)
	run := op("run-compliance", http.MethodPost, "/runs", "Look at everything now",
		"It is also done when other guardrails come into force, and every night. It answers when it is done. There is one run at a time.")
	httpx.Register(api, httpx.Within(run, 10*time.Minute), f.run)
}

type face struct{ svc *compliance.Service }

type listInput struct {
	httpx.PageInput
	Team     string `query:"team" maxLength:"64" doc:"Name or id"`
	Project  string `query:"project" maxLength:"64" doc:"Name or id"`
	Resource string `query:"resource" maxLength:"64" doc:"Id"`
	Bundle   string `query:"bundle" maxLength:"64" doc:"Name"`
	Rule     string `query:"rule" maxLength:"300"`
	Strength string `query:"strength" enum:"deny,advise"`
	Cleared  bool   `query:"cleared" doc:"Those that were mended, in the last 90 days, and not those that stand"`
	Sort     string `query:"sort" enum:"team,-team,since,-since" default:"team"`
}

func (f face) list(ctx context.Context, in *listInput) (*httpx.Body[httpx.Page[ComplianceViolation]], error) {
	page, err := in.Page()
	if err != nil {
		return nil, err
	}
	list, next, err := f.svc.List(ctx, compliance.Filter{Team: in.Team, Project: in.Project, Resource: in.Resource, Bundle: in.Bundle, Rule: in.Rule,
		Strength: gate.Strength(in.Strength), Cleared: in.Cleared, Sort: in.Sort}, page)
	if err != nil {
		return nil, err
	}
	items := make([]ComplianceViolation, len(list))
	for i, v := range list {
		items[i] = ComplianceViolation{ID: v.ID, ResourceID: v.ResourceID, Resource: v.Resource, Template: v.Template, Team: v.Team, Project: v.Project,
			Environment: v.Environment, Class: v.Class, Owner: v.Owner, Bundle: v.Bundle, Rule: v.Rule, Strength: string(v.Strength), Message: v.Message,
			Remedy: v.Remedy, Docs: v.Docs, Field: v.Field, Since: v.Since, SeenAt: v.SeenAt, ClearedAt: httpx.Optional(v.ClearedAt)}
	}
	return &httpx.Body[httpx.Page[ComplianceViolation]]{Body: httpx.NewPage(items, next)}, nil
}

func (f face) summary(ctx context.Context, _ *struct{}) (*httpx.Body[ComplianceSummary], error) {
	teams, last, err := f.svc.Teams(ctx)
	if err != nil {
		return nil, err
	}
	out := ComplianceSummary{Teams: make([]ComplianceTeam, len(teams)), CheckedAt: httpx.Optional(last.FinishedAt), Guardrails: last.Policy}
	for i, t := range teams {
		out.Teams[i] = ComplianceTeam{Team: t.Team, TeamID: t.TeamID, Resources: t.Resources, Violations: t.Violations, Denied: t.Denied, Since: t.Since}
	}
	return &httpx.Body[ComplianceSummary]{Body: out}, nil
}

func (f face) run(ctx context.Context, _ *struct{}) (*httpx.Body[ComplianceRun], error) {
	r, err := f.svc.Run(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &httpx.Body[ComplianceRun]{Body: runOf(r)}, nil
}

func runOf(r compliance.Run) ComplianceRun {
	return ComplianceRun{ID: r.ID, StartedAt: r.StartedAt, FinishedAt: httpx.Optional(r.FinishedAt), By: r.ByName, Guardrails: r.Policy,
		Resources: r.Resources, Violations: r.Violations, Opened: r.Opened, Cleared: r.Cleared}
}
