package backupapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/backup"
	"fairlead/internal/httpx"
	"fairlead/internal/redact"
)

// BackupRequest says for whom a backup is encrypted: recipients, or a
// passphrase.
type BackupRequest struct {
	Recipients []string `json:"recipients,omitempty" maxItems:"100" doc:"age public keys" example:"[\"age1…\"]"`
	Passphrase string   `json:"passphrase,omitempty" maxLength:"1024" writeOnly:"true" doc:"At least 12 characters; instead of recipients"`
}

type createInput struct{ Body BackupRequest }

// Backup is one backup that was made, on the wire.
type Backup struct {
	ID        string     `json:"id"`
	State     string     `json:"state" enum:"whole,writing,broken"`
	StartedAt time.Time  `json:"startedAt"`
	EndedAt   *time.Time `json:"endedAt,omitempty"`
	Bytes     int64      `json:"bytes" doc:"Encrypted"`
	MadeBy    string     `json:"madeBy"`
	Address   string     `json:"address,omitempty" doc:"Where it went"`
	Opens     string     `json:"opens" doc:"What opens it: passphrase, or the recipients"`
}

// Register adds the operations.
func Register(api huma.API, svc *backup.Service) {
	httpx.Register(api, huma.Operation{OperationID: "list-backups", Method: http.MethodGet, Path: "/api/v1/system/backups", Tags: []string{"System"},
		Summary: "Backups that were made", Description: "The newest first: when, by whom, how large, and what opens each. The files are where their makers put them. Needs system:view."},
		func(ctx context.Context, in *struct{ httpx.PageInput }) (*httpx.Body[httpx.Page[Backup]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.List(ctx, page)
			return httpx.PageOf(items, next, err, func(r backup.Record) Backup {
				return Backup{ID: r.ID, State: r.State(time.Now()), StartedAt: r.StartedAt, EndedAt: httpx.Optional(r.EndedAt), Bytes: r.Bytes, MadeBy: r.MadeBy, Address: r.Address, Opens: r.Opens}
			})
		})
	httpx.Register(api, httpx.Sensitive(huma.Operation{
		OperationID: "create-backup", Method: http.MethodPost, Path: "/api/v1/system/backup", Tags: []string{"System"},
		Summary: "Back up the whole control plane", DefaultStatus: http.StatusOK,
		Description: "Streams an age file with every record and key, as they are at one moment, while everything runs. " +
			"A stream that ended early is refused by restore.",
		Responses: map[string]*huma.Response{"200": {
			Description: "The backup",
			Content:     map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
		}},
	}), func(ctx context.Context, in *createInput) (*huma.StreamResponse, error) {
		b, err := svc.Create(ctx, backup.Encryption{Recipients: in.Body.Recipients, Passphrase: redact.New(in.Body.Passphrase)})
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			hc.SetHeader("Content-Type", "application/octet-stream")
			hc.SetHeader("Content-Disposition", `attachment; filename="fairlead-backup.age"`)
			if err := b.Write(hc.Context(), hc.BodyWriter()); err != nil && hc.Context().Err() == nil {
				slog.ErrorContext(hc.Context(), "a backup was not written to its end", "error", err)
			}
		}}, nil
	})
}
