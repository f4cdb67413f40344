package sourceapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/redact"
	"fairlead/internal/source"
)

// SourcePath names a source.
type SourcePath struct {
	Source string `path:"source" maxLength:"64" doc:"Id, or the template's name"`
}

const (
	root    = "/api/v1/template-sources"
	path    = root + "/{source}"
	maxPush = 1 << 20 // bytes; forges send a list of commits
)

var tags = []string{"Template sources"}

// Register puts the operations on the API.
func Register(api huma.API, svc *source.Service) {
	registerAdd(api, svc)
	registerUpdate(api, svc)
	registerPush(api, svc)
	httpx.Register(api, huma.Operation{OperationID: "list-template-sources", Method: http.MethodGet, Path: root, Tags: tags, Summary: "Where templates come from, as far as the caller may push them"},
		func(ctx context.Context, in *struct{ httpx.PageInput }) (*httpx.Body[httpx.Page[TemplateSource]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.List(ctx, page)
			return httpx.PageOf(items, next, err, viewSource)
		})
	httpx.Register(api, huma.Operation{OperationID: "get-template-source", Method: http.MethodGet, Path: path, Tags: tags, Summary: "A source, and how it is doing"},
		func(ctx context.Context, in *SourcePath) (*httpx.Tagged[TemplateSource], error) {
			return reply(svc.Get(ctx, in.Source))
		})
	httpx.Register(api, huma.Operation{OperationID: "list-template-source-tags", Method: http.MethodGet, Path: path + "/tags", Tags: tags, Summary: "What was seen in a source, and what became of it", Description: "By version, the newest first."},
		func(ctx context.Context, in *struct {
			SourcePath
			httpx.PageInput
		}) (*httpx.Body[httpx.Page[TemplateSourceTag]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Tags(ctx, in.Source, page)
			return httpx.PageOf(items, next, err, viewTag)
		})
	httpx.Register(api, huma.Operation{OperationID: "sync-template-source", Method: http.MethodPost, Path: path + "/sync", Tags: tags, Summary: "Look at a source now, also at what was broken",
		Description: "The look is done once looked is no less than the wanted of this reply.", DefaultStatus: http.StatusOK},
		func(ctx context.Context, in *SourcePath) (*httpx.Tagged[TemplateSource], error) {
			return reply(svc.Sync(ctx, in.Source))
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-template-source", Method: http.MethodDelete, Path: path, Tags: tags, Summary: "Remove a source with its credentials", Description: "The versions that came from it stay.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			SourcePath
			httpx.IfMatchInput
		}) (*struct{}, error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return nil, svc.Remove(ctx, in.Source, v)
		})
}

func registerAdd(api huma.API, svc *source.Service) {
	httpx.Register(api, httpx.Sensitive(huma.Operation{OperationID: "add-template-source", Method: http.MethodPost, Path: root, Tags: tags, Summary: "Have a template's versions come from a repository",
		Description: "Its tags that are semantic versions become versions. With webhook the reply holds the secret that pushes are signed with, this once."}),
		func(ctx context.Context, in *struct {
			Body struct {
				Name         string `json:"name" maxLength:"64" doc:"The template's"`
				URL          string `json:"url,omitempty" maxLength:"2048" doc:"https, ssh or, for the platform team, file" example:"https://git.example.org/platform/modules.git"`
				Folder       string `json:"folder,omitempty" maxLength:"1000" doc:"A folder on the server instead; for the platform team"`
				Path         string `json:"path,omitempty" maxLength:"200" doc:"The folder in it" example:"modules/bucket"`
				Refs         string `json:"refs,omitempty" maxLength:"200" doc:"Which tags, as a pattern; v1.2.3, and bucket/v1.2.3 of a folder bucket, when absent" example:"bucket/v*"`
				Release      string `json:"release,omitempty" maxLength:"64" doc:"Of a folder: its version, when template.yaml does not say it"`
				EverySeconds *int64 `json:"everySeconds,omitempty" minimum:"0" maximum:"2592000" doc:"How often it is looked at; 300 when absent, 0 only when asked"`
				Username     string `json:"username,omitempty" maxLength:"200" doc:"https"`
				Password     string `json:"password,omitempty" maxLength:"4096" doc:"https: a password, or rather a token that can read alone"`
				PrivateKey   string `json:"privateKey,omitempty" maxLength:"65536" doc:"ssh: a deploy key"`
				KnownHosts   string `json:"knownHosts,omitempty" maxLength:"16384" doc:"ssh: the host's key, as lines of known_hosts"`
				Webhook      bool   `json:"webhook,omitempty" doc:"It shall take signed pushes"`
			}
		}) (*httpx.Tagged[NewTemplateSource], error) {
			b := in.Body
			n := source.NewSource{Name: b.Name, URL: b.URL, Folder: b.Folder, Path: b.Path, Refs: b.Refs, Release: b.Release, Username: b.Username,
				Password: redact.New(b.Password), PrivateKey: redact.New(b.PrivateKey), KnownHosts: b.KnownHosts, Hooked: b.Webhook}
			if b.EverySeconds != nil {
				every := time.Duration(*b.EverySeconds) * time.Second
				n.Every = &every
			}
			v, secret, err := svc.Add(ctx, n)
			if err != nil {
				return nil, err
			}
			return httpx.NewTagged(v.Version, NewTemplateSource{TemplateSource: viewSource(v), Secret: secret.Reveal()}), nil
		})
}

func registerPush(api huma.API, svc *source.Service) {
	push := huma.Operation{OperationID: "push-template-source", Method: http.MethodPost, Path: path + "/push", Tags: tags, Security: httpx.Public, Summary: "Say that something was pushed, signed",
		Description: "For a forge's webhook: Standard Webhooks, GitHub, Gitea, Forgejo or GitLab. Each is taken once.", DefaultStatus: http.StatusAccepted, MaxBodyBytes: maxPush,
		SkipValidateBody: true, SkipValidateParams: true} // the bytes are what is signed, whatever they say
	httpx.Register(api, push, func(ctx context.Context, in *struct {
		Source    string `path:"source" maxLength:"64" doc:"Id"`
		ID        string `header:"webhook-id"`
		Timestamp string `header:"webhook-timestamp"`
		Signature string `header:"webhook-signature"`
		Hub       string `header:"X-Hub-Signature-256"`
		Token     string `header:"X-Gitlab-Token"`
		RawBody   []byte `contentType:"application/json"`
	}) (*struct{}, error) {
		return nil, svc.Pushed(ctx, in.Source, source.Push{ID: in.ID, Timestamp: in.Timestamp, Signature: in.Signature, Hub: in.Hub, Token: in.Token, Body: in.RawBody})
	})
}

func reply(v source.Source, err error) (*httpx.Tagged[TemplateSource], error) {
	if err != nil {
		return nil, err
	}
	return httpx.NewTagged(v.Version, viewSource(v)), nil
}
