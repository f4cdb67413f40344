package guardrailapi

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/gate"
	"fairlead/internal/guardrail"
	"fairlead/internal/httpx"
	"fairlead/internal/template/bundle"
)

type face struct{ svc *guardrail.Service }

// Register adds the operations.
func Register(api huma.API, svc *guardrail.Service) {
	f := face{svc}
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/guardrails" + path, Tags: []string{"Guardrails"}, Summary: summary, Description: description}
	}
	push := op("push-guardrails", http.MethodPost, "", "Push a bundle of guardrails",
		"Takes an uncompressed tar of the folder. Nothing is in force by that. A version never changes: the same content again gives 200 and what is there, other content under the same version 409. Its tests are run and told.")
	push.MaxBodyBytes = bundle.MaxArchive
	httpx.Register(api, httpx.Within(httpx.Repeatable(push), time.Minute), f.push)
	test := op("test-guardrails", http.MethodPost, "/test", "Compile a bundle and run its tests", "Takes a tar as a push does, and keeps nothing.")
	test.MaxBodyBytes, test.DefaultStatus = bundle.MaxArchive, http.StatusOK
	httpx.Register(api, httpx.Within(test, time.Minute), f.test)
	ask := op("evaluate-guardrails", http.MethodPost, "/evaluate", "Ask the guardrails in force about a document",
		"The document is as a decision records it, and as GET /api/v1/guardrails/schema describes it; its stage says which guardrails are asked. Nothing is recorded.")
	ask.DefaultStatus = http.StatusOK
	httpx.Register(api, ask, f.evaluate)
	schema := op("get-guardrail-schema", http.MethodGet, "/schema", "The JSON Schema of what guardrails are given as input", "")
	schema.Responses = raw("JSON Schema", "application/schema+json")
	httpx.Register(api, schema, f.schema)
	httpx.Register(api, op("list-guardrail-history", http.MethodGet, "/history", "List the changes of what is in force", "Newest first."), f.history)
	httpx.Register(api, op("list-guardrails", http.MethodGet, "", "List bundles of guardrails", "The newest version of each, and which one is in force."), f.list)
	httpx.Register(api, op("get-guardrails", http.MethodGet, "/{name}", "Show a bundle", "The version in force, or else the newest."), f.get)
	httpx.Register(api, op("diff-guardrails", http.MethodGet, "/{name}/diff", "Compare two versions", "Without from, the one in force; without to, the newest."), f.diff)
	httpx.Register(api, op("list-guardrail-versions", http.MethodGet, "/{name}/versions", "List a bundle's versions", "Newest first."), f.versions)
	httpx.Register(api, op("get-guardrail-version", http.MethodGet, "/{name}/versions/{version}", "Show a version", ""), f.version)
	archive := op("get-guardrail-archive", http.MethodGet, "/{name}/versions/{version}/archive", "Download a version", "The canonical archive: its SHA-256 is the version's digest.")
	archive.Responses = raw("The bundle's folder", "application/x-tar")
	httpx.Register(api, archive, f.archive)
	change := func(id, path, summary, description string) huma.Operation {
		o := op(id, http.MethodPost, path, summary, description)
		o.DefaultStatus = http.StatusOK
		return httpx.Within(o, time.Minute)
	}
	httpx.Register(api, change("activate-guardrails", "/{name}/versions/{version}/activate", "Put a version in force",
		"In place of the one of its name that was. Its tests must pass. Protected guardrails, and those of the stage activation, may refuse it."), f.activate)
	httpx.Register(api, change("deactivate-guardrails", "/{name}/deactivate", "Take a bundle out of force", ""), f.deactivate)
	httpx.Register(api, change("rollback-guardrails", "/{name}/rollback", "Put the version in force that was before", ""), f.rollback)
}

func raw(description, contentType string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: description,
		Content:     map[string]*huma.MediaType{contentType: {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
	}}
}

type pushInput struct {
	Name    string `query:"name" maxLength:"64" doc:"For a folder without policy.yaml"`
	Version string `query:"version" maxLength:"64" doc:"For a folder without policy.yaml; by default one made of its digest"`
	RawBody []byte `contentType:"application/x-tar"`
}

type pushed struct {
	Status   int
	Location string `header:"Location"`
	Body     GuardrailVersion
}

func (f face) push(ctx context.Context, in *pushInput) (*pushed, error) {
	p, err := f.svc.Push(ctx, bytes.NewReader(in.RawBody), in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	out := &pushed{Status: http.StatusOK, Body: versionOf(p.Summary, p.Bundle)}
	if p.Created {
		out.Status = http.StatusCreated
		out.Location = "/api/v1/guardrails/" + url.PathEscape(p.Name) + "/versions/" + url.PathEscape(p.Version)
	}
	return out, nil
}

type testInput struct {
	Name    string `query:"name" maxLength:"64" doc:"For a folder without policy.yaml"`
	RawBody []byte `contentType:"application/x-tar"`
}

func (f face) test(ctx context.Context, in *testInput) (*httpx.Body[GuardrailTestReport], error) {
	b, report, err := f.svc.Test(ctx, bytes.NewReader(in.RawBody), in.Name)
	if err != nil {
		return nil, err
	}
	return &httpx.Body[GuardrailTestReport]{Body: reportOf(b, report)}, nil
}

type evaluateInput struct {
	Body struct {
		Document map[string]any `json:"document" doc:"What the rules are to see"`
	}
}

func (f face) evaluate(ctx context.Context, in *evaluateInput) (*httpx.Body[GuardrailAnswer], error) {
	verdicts, policy, err := f.svc.Ask(ctx, in.Body.Document)
	if err != nil {
		return nil, err
	}
	j := gate.Judgement{Verdicts: verdicts}
	return &httpx.Body[GuardrailAnswer]{Body: GuardrailAnswer{Policy: policy, Outcome: j.Outcome(), Verdicts: verdictsOf(verdicts)}}, nil
}

// text is a body that is not of a type of its own.
type text struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (f face) schema(ctx context.Context, _ *struct{}) (*text, error) {
	doc, err := f.svc.Schema(ctx)
	if err != nil {
		return nil, err
	}
	return &text{ContentType: "application/schema+json", Body: doc}, nil
}

type historyInput struct {
	httpx.PageInput
	Name string `query:"name" maxLength:"64" doc:"Only of this bundle"`
}

func (f face) history(ctx context.Context, in *historyInput) (*httpx.Body[httpx.Page[GuardrailChange]], error) {
	page, err := in.Page()
	if err != nil {
		return nil, err
	}
	list, err := f.svc.History(ctx, in.Name, page)
	if err != nil {
		return nil, err
	}
	var items []GuardrailChange
	for _, c := range list.Items {
		items = append(items, changeOf(c))
	}
	return &httpx.Body[httpx.Page[GuardrailChange]]{Body: httpx.NewPage(items, list.Next)}, nil
}

type listInput struct {
	httpx.PageInput
	Sort string `query:"sort" enum:"name,-name,created,-created" default:"name"`
}

func (f face) list(ctx context.Context, in *listInput) (*httpx.Body[httpx.Page[GuardrailBundle]], error) {
	page, err := in.Page()
	if err != nil {
		return nil, err
	}
	list, err := f.svc.List(ctx, in.Sort, page)
	if err != nil {
		return nil, err
	}
	return bundles(list), nil
}

type versionsInput struct {
	httpx.PageInput
	Name string `path:"name" maxLength:"64"`
}

func (f face) versions(ctx context.Context, in *versionsInput) (*httpx.Body[httpx.Page[GuardrailBundle]], error) {
	page, err := in.Page()
	if err != nil {
		return nil, err
	}
	list, err := f.svc.Versions(ctx, in.Name, page)
	if err != nil {
		return nil, err
	}
	return bundles(list), nil
}

func bundles(list guardrail.List[guardrail.Summary]) *httpx.Body[httpx.Page[GuardrailBundle]] {
	var items []GuardrailBundle
	for _, s := range list.Items {
		items = append(items, bundleOf(s))
	}
	return &httpx.Body[httpx.Page[GuardrailBundle]]{Body: httpx.NewPage(items, list.Next)}
}

type nameInput struct {
	Name string `path:"name" maxLength:"64"`
}

type versionInput struct {
	Name    string `path:"name" maxLength:"64"`
	Version string `path:"version" maxLength:"64"`
}

func (f face) get(ctx context.Context, in *nameInput) (*httpx.Body[GuardrailVersion], error) {
	return f.version(ctx, &versionInput{Name: in.Name})
}

func (f face) version(ctx context.Context, in *versionInput) (*httpx.Body[GuardrailVersion], error) {
	s, b, err := f.svc.Get(ctx, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	return &httpx.Body[GuardrailVersion]{Body: versionOf(s, b)}, nil
}

func (f face) archive(ctx context.Context, in *versionInput) (*text, error) {
	_, b, err := f.svc.Get(ctx, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	// Name and version are made of letters, digits, "-" and "." only.
	return &text{ContentType: "application/x-tar", Disposition: `attachment; filename="` + b.Name + "-" + b.Version + `.tar"`, Body: b.Archive()}, nil
}

type diffInput struct {
	Name string `path:"name" maxLength:"64"`
	From string `query:"from" maxLength:"64" doc:"By default the version in force"`
	To   string `query:"to" maxLength:"64" doc:"By default the newest version"`
}

func (f face) diff(ctx context.Context, in *diffInput) (*httpx.Body[GuardrailDiff], error) {
	d, err := f.svc.Diff(ctx, in.Name, in.From, in.To)
	if err != nil {
		return nil, err
	}
	return &httpx.Body[GuardrailDiff]{Body: GuardrailDiff{From: d.From, To: d.To, Files: differencesOf(d.Files), Guardrails: differencesOf(d.Guardrails)}}, nil
}

func (f face) activate(ctx context.Context, in *versionInput) (*httpx.Body[GuardrailChange], error) {
	return answer(f.svc.Activate(ctx, in.Name, in.Version))
}

func (f face) deactivate(ctx context.Context, in *nameInput) (*httpx.Body[GuardrailChange], error) {
	return answer(f.svc.Deactivate(ctx, in.Name))
}

func (f face) rollback(ctx context.Context, in *nameInput) (*httpx.Body[GuardrailChange], error) {
	return answer(f.svc.Rollback(ctx, in.Name))
}

func answer(a guardrail.Activated, err error) (*httpx.Body[GuardrailChange], error) {
	if err != nil {
		return nil, err
	}
	return &httpx.Body[GuardrailChange]{Body: activatedOf(a)}, nil
}
