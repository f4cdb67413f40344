package resourceapi

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/engine"
	"fairlead/internal/httpx"
	"fairlead/internal/redact"
	"fairlead/internal/resource"
)

// AdoptionRequest asks for a resource that takes over what exists already.
type AdoptionRequest struct {
	ResourceRequest
	Object string `json:"object,omitempty" maxLength:"200" doc:"What it takes over, as KIND/NAME" example:"database/orders"`
	State  string `json:"state,omitempty" doc:"Or the text of a state file, of a module" writeOnly:"true"`
}

func (r AdoptionRequest) wanted() (resource.Wanted, error) {
	w, err := r.ResourceRequest.wanted()
	w.Adopt = &resource.Takeover{Object: r.Object, State: redact.New(r.State)}
	return w, err
}

// maxAdoption leaves room for a state as a JSON text.
const maxAdoption = 2*resource.MaxTakeover + 1<<20

func registerHandover(api huma.API, svc *resource.Service) {
	httpx.Register(api, huma.Operation{
		OperationID: "plan-adoption", Method: http.MethodPost, Path: inEnvironment + "/adopt/plan", DefaultStatus: http.StatusOK, Tags: tags, MaxBodyBytes: maxAdoption,
		Summary: "See what taking over something would do", Description: "Changes nothing.",
	}, func(ctx context.Context, in *struct {
		EnvironmentInput
		Body AdoptionRequest
	}) (*httpx.Body[ResourcePlan], error) {
		wanted, err := in.Body.wanted()
		if err != nil {
			return nil, err
		}
		p, err := svc.PlanAdoption(ctx, in.Project, in.Environment, wanted)
		if err != nil {
			return nil, err
		}
		return &httpx.Body[ResourcePlan]{Body: previewView(p)}, nil
	})
	httpx.Register(api, httpx.Repeatable(huma.Operation{
		OperationID: "adopt-resource", Method: http.MethodPost, Path: inEnvironment + "/adopt", DefaultStatus: http.StatusCreated, Tags: tags, MaxBodyBytes: maxAdoption,
		Summary: "Take over what exists already, as a new resource",
		Description: "A state file, or an object by its name. Its first run plans on what is there, passes the gates, marks it and brings it to what is wanted. " +
			"What carries another's marker is left alone.",
	}), func(ctx context.Context, in *struct {
		EnvironmentInput
		Body AdoptionRequest
	}) (*tagged, error) {
		wanted, err := in.Body.wanted()
		if err != nil {
			return nil, err
		}
		r, err := svc.Adopt(ctx, in.Project, in.Environment, wanted)
		return replied(http.StatusCreated, r, err)
	})
	httpx.Register(api, httpx.Repeatable(huma.Operation{
		OperationID: "release-resource", Method: http.MethodPost, Path: one + "/release", DefaultStatus: http.StatusAccepted, Tags: tags,
		Summary: "Let go of a resource",
		Description: "All that it made stays where and as it is, and is not managed here any more. Refused while others refer to it. " +
			"Over when its phase is released. Its state and secrets are removed here: get them first, with eject-resource.",
	}), func(ctx context.Context, in *verbInput) (*tagged, error) {
		version, err := in.Version()
		if err != nil {
			return nil, err
		}
		r, err := svc.Release(ctx, in.where(), version)
		return replied(http.StatusAccepted, r, err)
	})
	httpx.Register(api, httpx.Sensitive(huma.Operation{
		OperationID: "eject-resource", Method: http.MethodPost, Path: one + "/eject", DefaultStatus: http.StatusOK, Tags: tags,
		Summary: "Get what it takes to go on with a resource by yourself",
		Description: "A tar.gz of a plain module with its variables and state, or of SQL, with a README.md. Changes nothing. " +
			"With secrets it takes the right to reveal them; either is recorded in the audit log before the answer is given.",
		Responses: map[string]*huma.Response{"200": {
			Description: "The archive",
			Content:     map[string]*huma.MediaType{"application/gzip": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
		}},
	}), func(ctx context.Context, in *struct {
		OneInput
		Body struct {
			Secrets bool `json:"secrets,omitempty" doc:"Also the state and passwords"`
		}
	}) (*huma.StreamResponse, error) {
		x, err := svc.Eject(ctx, in.where(), in.Body.Secrets)
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			hc.SetHeader("Content-Type", "application/gzip")
			hc.SetHeader("Cache-Control", "no-store")
			hc.SetHeader("ETag", httpx.ETag(x.Resource.Version))
			hc.SetHeader("Content-Disposition", `attachment; filename="`+x.Resource.Name+`.tar.gz"`)
			if err := pack(hc.BodyWriter(), x.Files); err != nil && hc.Context().Err() == nil {
				slog.ErrorContext(hc.Context(), "an archive was not written to its end", "error", err)
			}
		}}, nil
	})
}

// pack writes files as a tar.gz that is the same each time.
func pack(w io.Writer, files []engine.File) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, f := range files {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: 0o600, Size: int64(len(f.Data))}); err != nil {
			return err
		}
		if _, err := t.Write(f.Data); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}
