package secretapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/secret"
)

// MasterKeyRotation is how far the change of the master key is.
type MasterKeyRotation struct {
	ActiveKey string    `json:"activeKey" doc:"Id of the key that new secrets use; it tells nothing about the key"`
	Since     time.Time `json:"since" doc:"When it became the active one"`
	OldKeys   []string  `json:"oldKeys" nullable:"false" doc:"Ids of keys still kept for replicas that were away; empty when the rotation is over"`
	Left      int64     `json:"left" doc:"Secrets that an old key still wraps"`
}

func view(r secret.Rotation) *httpx.Body[MasterKeyRotation] {
	out := MasterKeyRotation{ActiveKey: r.ActiveKey, Since: r.Since, OldKeys: r.OldKeys, Left: r.Left}
	if out.OldKeys == nil {
		out.OldKeys = []string{}
	}
	return &httpx.Body[MasterKeyRotation]{Body: out}
}

// Register adds the operations.
func Register(api huma.API, svc *secret.Service) {
	httpx.Register(api, httpx.Located(huma.Operation{
		OperationID: "rotate-master-key", Method: http.MethodPost, Path: "/api/v1/system/master-key/rotate", Tags: []string{"System"},
		Summary: "Rotate the master key", DefaultStatus: http.StatusAccepted,
		Description: "A new master key is active when this returns; the secrets are wrapped by it in the background, while everything runs.",
	}, "/api/v1/system/master-key"), func(ctx context.Context, _ *struct{}) (*httpx.Body[MasterKeyRotation], error) {
		r, err := svc.Rotate(ctx)
		if err != nil {
			return nil, err
		}
		return view(r), nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "get-master-key", Method: http.MethodGet, Path: "/api/v1/system/master-key", Tags: []string{"System"},
		Summary: "How far a rotation of the master key is",
	}, func(ctx context.Context, _ *struct{}) (*httpx.Body[MasterKeyRotation], error) {
		r, err := svc.Rotation(ctx)
		if err != nil {
			return nil, err
		}
		return view(r), nil
	})
}
