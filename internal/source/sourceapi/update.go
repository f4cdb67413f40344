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

func registerUpdate(api huma.API, svc *source.Service) {
	httpx.Register(api, httpx.Sensitive(huma.Operation{OperationID: "update-template-source", Method: http.MethodPatch, Path: path, Tags: tags, Summary: "Change a source, and look at it",
		Description: "Versions that came from it stay; other content under a number that is taken is refused. A credential stays with its origin: for another one give it anew. When it begins to take pushes the reply holds the secret that they are signed with, this once."}),
		func(ctx context.Context, in *struct {
			SourcePath
			httpx.IfMatchInput
			Body struct {
				URL          *string `json:"url,omitempty" maxLength:"2048" doc:"Where it leads from now on"`
				Folder       *string `json:"folder,omitempty" maxLength:"1000" doc:"A folder on the server instead; for the platform team"`
				Path         *string `json:"path,omitempty" maxLength:"200" doc:"The folder in it"`
				Refs         *string `json:"refs,omitempty" maxLength:"200" doc:"Which tags, as a pattern"`
				Release      *string `json:"release,omitempty" maxLength:"64" doc:"Of a folder: its version, when template.yaml does not say it"`
				EverySeconds *int64  `json:"everySeconds,omitempty" minimum:"0" maximum:"2592000" doc:"How often it is looked at; 0 only when asked"`
				Username     string  `json:"username,omitempty" maxLength:"200" doc:"https, with password"`
				Password     *string `json:"password,omitempty" maxLength:"4096" doc:"https: another password or token; an empty one takes the credential away"`
				PrivateKey   *string `json:"privateKey,omitempty" maxLength:"65536" doc:"ssh: another deploy key"`
				KnownHosts   *string `json:"knownHosts,omitempty" maxLength:"16384" doc:"ssh: the host's key, as lines of known_hosts"`
				Webhook      *bool   `json:"webhook,omitempty" doc:"Whether it takes signed pushes; off and on again gives another secret"`
			}
		}) (*httpx.Tagged[NewTemplateSource], error) {
			version, err := in.Version()
			if err != nil {
				return nil, err
			}
			b := in.Body
			c := source.Change{URL: b.URL, Folder: b.Folder, Path: b.Path, Refs: b.Refs, Release: b.Release, Username: b.Username,
				Password: secretOf(b.Password), PrivateKey: secretOf(b.PrivateKey), KnownHosts: b.KnownHosts, Hooked: b.Webhook}
			if b.EverySeconds != nil {
				every := time.Duration(*b.EverySeconds) * time.Second
				c.Every = &every
			}
			v, secret, err := svc.Update(ctx, in.Source, c, version)
			if err != nil {
				return nil, err
			}
			return httpx.NewTagged(v.Version, NewTemplateSource{TemplateSource: viewSource(v), Secret: secret.Reveal()}), nil
		})
}

func secretOf(s *string) *redact.Secret {
	if s == nil {
		return nil
	}
	v := redact.New(*s)
	return &v
}
