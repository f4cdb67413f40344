package templateapi

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/template"
	"fairlead/internal/template/bundle"
)

type face struct{ svc *template.Service }

// Register adds the operations.
func Register(api huma.API, svc *template.Service) {
	f := face{svc}
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/templates" + path, Tags: []string{"Templates"}, Summary: summary, Description: description}
	}
	push := op("push-template", http.MethodPost, "", "Push a template",
		"Takes a tar of the template's folder, or a .tar.gz or .zip. A module needs no template.yaml: name and version are said beside it then. A version never changes: the same content again gives 200 and what is there, other content under the same version 409.")
	push.MaxBodyBytes = bundle.MaxUpload
	httpx.Register(api, httpx.Repeatable(push), f.push) // the same content under the same version is the same version
	test := op("test-template", http.MethodPost, "/test", "Run a template's tests",
		"Takes a tar as a push does, runs the test cases in it without touching anything real, and keeps nothing.")
	test.MaxBodyBytes, test.DefaultStatus = bundle.MaxUpload, http.StatusOK
	httpx.Register(api, test, f.test)
	httpx.Register(api, op("list-templates", http.MethodGet, "", "List templates", "The latest version of each, by name."), f.list)
	httpx.Register(api, op("get-template", http.MethodGet, "/{name}", "Show a template", "Its latest version that is no pre-release, or the newest that fits ?version."), f.get)
	httpx.Register(api, op("list-template-versions", http.MethodGet, "/{name}/versions", "List a template's versions", "Newest first, by semantic version."), f.versions)
	httpx.Register(api, op("get-template-version", http.MethodGet, "/{name}/versions/{version}", "Show a version", ""), f.version)
	httpx.Register(api, op("deprecate-template-version", http.MethodPut, "/{name}/versions/{version}/deprecation", "Say that a version should not be used any more",
		"Whoever asks for it is warned; from its end of life on it cannot be asked for. What lives stays, and can be changed."), f.deprecate)
	httpx.Register(api, op("undeprecate-template-version", http.MethodDelete, "/{name}/versions/{version}/deprecation", "Take a deprecation back", ""), f.undeprecate)
	docs := op("get-template-docs", http.MethodGet, "/{name}/versions/{version}/docs", "Read a version's docs", "Markdown as its author wrote it: sanitise before you render it.")
	docs.Responses = raw("The docs page; empty when there is none", "text/markdown")
	httpx.Register(api, docs, f.docs)
	archive := op("get-template-archive", http.MethodGet, "/{name}/versions/{version}/archive", "Download a version", "The canonical archive: its SHA-256 is the version's digest.")
	archive.Responses = raw("The template's folder", "application/x-tar")
	httpx.Register(api, archive, f.archive)
}

func raw(description, contentType string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: description,
		Content:     map[string]*huma.MediaType{contentType: {Schema: &huma.Schema{Type: "string", Format: "binary"}}},
	}}
}

type tarInput struct {
	Name    string `query:"name" maxLength:"64" doc:"The template's name, where template.yaml does not say it" example:"bucket"`
	Version string `query:"version" maxLength:"64" doc:"Its version, where template.yaml does not say it" example:"1.0.0"`
	Path    string `query:"path" maxLength:"200" doc:"The folder of the archive in which the template lies" example:"modules/bucket"`
	RawBody []byte `contentType:"application/x-tar"`
}

func (in *tarInput) naming() template.Naming {
	return template.Naming{Name: in.Name, Version: in.Version, Path: in.Path}
}

type pushed struct {
	Status   int
	Location string `header:"Location"`
	Body     TemplateVersion
}

func (f face) push(ctx context.Context, in *tarInput) (*pushed, error) {
	v, created, err := f.svc.PushAs(ctx, bytes.NewReader(in.RawBody), in.naming())
	if err != nil {
		return nil, err
	}
	out := &pushed{Status: http.StatusOK, Body: versionOf(v)}
	if created {
		out.Status = http.StatusCreated
		out.Location = "/api/v1/templates/" + url.PathEscape(v.Name) + "/versions/" + url.PathEscape(v.Version)
	}
	return out, nil
}

func (f face) test(ctx context.Context, in *tarInput) (*httpx.Body[TemplateTestReport], error) {
	r, err := f.svc.TestAs(ctx, bytes.NewReader(in.RawBody), in.naming())
	if err != nil {
		return nil, err
	}
	return &httpx.Body[TemplateTestReport]{Body: reportOf(r)}, nil
}

type listInput struct {
	httpx.PageInput
	Search string `query:"search" maxLength:"100" doc:"In name, title and description, whatever the case"`
	Tag    string `query:"tag" maxLength:"32" doc:"Only those with this tag"`
	Engine string `query:"engine" maxLength:"32" doc:"Only those of this engine"`
	Sort   string `query:"sort" enum:"name,-name,created,-created" default:"name" doc:"By name, or by the age of the latest version"`
}

func (f face) list(ctx context.Context, in *listInput) (*httpx.Body[httpx.Page[TemplateSummary]], error) {
	page, err := in.Page()
	if err != nil {
		return nil, err
	}
	list, err := f.svc.List(ctx, template.Filter{Search: in.Search, Tag: in.Tag, Engine: in.Engine, Sort: in.Sort}, page)
	if err != nil {
		return nil, err
	}
	var items []TemplateSummary
	for _, v := range list.Items {
		items = append(items, summaryOf(v))
	}
	return &httpx.Body[httpx.Page[TemplateSummary]]{Body: httpx.NewPage(items, list.Next)}, nil
}

type getInput struct {
	Name    string `path:"name" maxLength:"64"`
	Version string `query:"version" maxLength:"64" doc:"A version such as 1.4.0, or a range such as ^1.2 or 1.x" example:"^1.2"`
}

func (f face) get(ctx context.Context, in *getInput) (*httpx.Body[TemplateVersion], error) {
	v, err := f.svc.Get(ctx, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	return &httpx.Body[TemplateVersion]{Body: versionOf(v)}, nil
}

type versionsInput struct {
	httpx.PageInput
	Name string `path:"name" maxLength:"64"`
}

func (f face) versions(ctx context.Context, in *versionsInput) (*httpx.Body[httpx.Page[TemplateVersionSummary]], error) {
	page, err := in.Page()
	if err != nil {
		return nil, err
	}
	list, err := f.svc.Versions(ctx, in.Name, page)
	if err != nil {
		return nil, err
	}
	var items []TemplateVersionSummary
	for _, v := range list.Items {
		items = append(items, lineOf(v))
	}
	return &httpx.Body[httpx.Page[TemplateVersionSummary]]{Body: httpx.NewPage(items, list.Next)}, nil
}

type versionInput struct {
	Name    string `path:"name" maxLength:"64"`
	Version string `path:"version" maxLength:"64" doc:"A version such as 1.4.0, or a range such as ^1.2"`
}

func (f face) version(ctx context.Context, in *versionInput) (*httpx.Body[TemplateVersion], error) {
	return f.get(ctx, &getInput{Name: in.Name, Version: in.Version})
}

// text is a body that is no JSON.
type text struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (f face) docs(ctx context.Context, in *versionInput) (*text, error) {
	v, err := f.svc.Get(ctx, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	return &text{ContentType: "text/markdown; charset=utf-8", Body: []byte(v.DocsText())}, nil
}

func (f face) archive(ctx context.Context, in *versionInput) (*text, error) {
	v, err := f.svc.Get(ctx, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	// Name and version are made of letters, digits, "-" and "." only.
	return &text{ContentType: "application/x-tar", Disposition: `attachment; filename="` + v.Name + "-" + v.Version + `.tar"`, Body: v.Archive()}, nil
}

type exactInput struct {
	Name    string `path:"name" maxLength:"64"`
	Version string `path:"version" maxLength:"64" doc:"A version such as 1.4.0"`
}

type deprecateInput struct {
	Name    string `path:"name" maxLength:"64"`
	Version string `path:"version" maxLength:"64" doc:"A version such as 1.4.0"`
	Body    struct {
		Reason    string     `json:"reason" maxLength:"500" doc:"For those who use it"`
		EndOfLife *time.Time `json:"endOfLife,omitempty" doc:"No new requests from then on"`
		Successor string     `json:"successor,omitempty" maxLength:"140" doc:"What to use instead: a version, a template, or NAME@VERSION"`
	}
}

func (f face) deprecate(ctx context.Context, in *deprecateInput) (*httpx.Body[TemplateVersionSummary], error) {
	d := template.Deprecation{Reason: in.Body.Reason, Successor: in.Body.Successor}
	if in.Body.EndOfLife != nil {
		d.EndOfLife = *in.Body.EndOfLife
	}
	v, err := f.svc.Deprecate(ctx, in.Name, in.Version, d)
	if err != nil {
		return nil, err
	}
	return &httpx.Body[TemplateVersionSummary]{Body: lineOf(v)}, nil
}

func (f face) undeprecate(ctx context.Context, in *exactInput) (*httpx.Body[TemplateVersionSummary], error) {
	v, err := f.svc.Undeprecate(ctx, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	return &httpx.Body[TemplateVersionSummary]{Body: lineOf(v)}, nil
}
