package notifyapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/notify"
)

// WebhookPath names a webhook.
type WebhookPath struct {
	Webhook string `path:"webhook" maxLength:"64" doc:"Id"`
}

// DeliveryPath names a delivery.
type DeliveryPath struct {
	Delivery string `path:"delivery" maxLength:"64" doc:"Id"`
}

// DeliveryList is the input of lists of deliveries.
type DeliveryList struct {
	httpx.PageInput
	Status string `query:"status" enum:"pending,delivered,failed,skipped"`
	Type   string `query:"type" maxLength:"64" doc:"Of the event"`
	Sort   string `query:"sort" maxLength:"32" default:"-created" doc:"created; with - before it the newest first"`
}

func (in DeliveryList) filter() notify.DeliveryFilter {
	return notify.DeliveryFilter{Status: notify.Status(in.Status), Type: in.Type, Sort: in.Sort}
}

// Register puts the operations on the API.
func Register(api huma.API, svc *notify.Service) {
	registerWebhooks(api, svc)
	registerSecrets(api, svc)
	registerDeliveries(api, svc)
	registerEvents(api, svc)
	registerFeed(api, svc)
	registerChoice(api, svc)
}

const path = "/api/v1/webhooks/{webhook}"

var tags = []string{"Webhooks"}

func registerWebhooks(api huma.API, svc *notify.Service) {
	httpx.Register(api, huma.Operation{OperationID: "list-webhooks", Method: http.MethodGet, Path: "/api/v1/webhooks", Tags: tags, Summary: "Webhooks that the caller may manage"},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			Team string `query:"team" maxLength:"64" doc:"Name or id"`
			Sort string `query:"sort" maxLength:"32" default:"created" doc:"created or url; with - before it the other way round"`
		}) (*httpx.Body[httpx.Page[Webhook]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.List(ctx, notify.Filter{Team: in.Team, Sort: in.Sort}, page)
			return httpx.PageOf(items, next, err, viewWebhook)
		})
	httpx.Register(api, huma.Operation{OperationID: "get-webhook", Method: http.MethodGet, Path: path, Tags: tags, Summary: "A webhook, and how it is doing"},
		func(ctx context.Context, in *WebhookPath) (*httpx.Tagged[Webhook], error) {
			return webhookReply(svc.Get(ctx, in.Webhook))
		})
	httpx.Register(api, huma.Operation{OperationID: "update-webhook", Method: http.MethodPatch, Path: path, Tags: tags, Summary: "Change a webhook",
		Description: "To move it to another host or port rotate its secret, naming the URL."},
		func(ctx context.Context, in *struct {
			WebhookPath
			httpx.IfMatchInput
			Body struct {
				URL         *string   `json:"url,omitempty" maxLength:"2048"`
				Types       *[]string `json:"types,omitempty"`
				Description *string   `json:"description,omitempty"`
				Enabled     *bool     `json:"enabled,omitempty"`
			}
		}) (*httpx.Tagged[Webhook], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			b := in.Body
			return webhookReply(svc.Update(ctx, in.Webhook, notify.Change{URL: b.URL, Types: b.Types, Description: b.Description, Enabled: b.Enabled}, v))
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-webhook", Method: http.MethodDelete, Path: path, Tags: tags, Summary: "Remove a webhook",
		Description: "What it was still to be told is not sent.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			WebhookPath
			httpx.IfMatchInput
		}) (*struct{}, error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return nil, svc.Delete(ctx, in.Webhook, v)
		})
}

func registerSecrets(api huma.API, svc *notify.Service) {
	httpx.Register(api, httpx.Sensitive(huma.Operation{OperationID: "create-webhook", Method: http.MethodPost, Path: "/api/v1/webhooks", Tags: tags, Summary: "Make a webhook",
		Description: "The reply holds the secret that deliveries are signed with, this once."}),
		func(ctx context.Context, in *struct {
			Body struct {
				Team        string   `json:"team,omitempty" doc:"Name or id; without one it is the organisation's and gets everything"`
				URL         string   `json:"url" maxLength:"2048"`
				Types       []string `json:"types,omitempty" doc:"Patterns of event types, as approval.*; all by default"`
				Description string   `json:"description,omitempty"`
			}
		}) (*httpx.Tagged[NewWebhook], error) {
			b := in.Body
			w, secret, err := svc.Create(ctx, notify.NewWebhook{Team: b.Team, URL: b.URL, Types: b.Types, Description: b.Description})
			if err != nil {
				return nil, err
			}
			return httpx.NewTagged(w.Version, NewWebhook{Webhook: viewWebhook(w), Secret: secret.Reveal()}), nil
		})
	httpx.Register(api, httpx.Sensitive(huma.Operation{OperationID: "rotate-webhook", Method: http.MethodPost, Path: path + "/rotate", Tags: tags, Summary: "Give a webhook a new secret",
		Description: "The reply holds it, this once. With a URL it also moves there; another origin never gets a signature by the old secret.", DefaultStatus: http.StatusOK}),
		func(ctx context.Context, in *struct {
			WebhookPath
			httpx.IfMatchInput
			Body struct {
				URL            string `json:"url,omitempty" maxLength:"2048" doc:"Where it leads from now on"`
				OverlapSeconds *int64 `json:"overlapSeconds,omitempty" minimum:"0" maximum:"604800" doc:"How long the old secret signs too; a day when absent, 0 ends it at once"`
			}
		}) (*httpx.Tagged[NewWebhook], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			overlap := notify.DefaultOverlap
			if in.Body.OverlapSeconds != nil {
				overlap = time.Duration(*in.Body.OverlapSeconds) * time.Second
			}
			w, secret, err := svc.Rotate(ctx, in.Webhook, notify.Rotation{URL: in.Body.URL, Overlap: overlap}, v)
			if err != nil {
				return nil, err
			}
			return httpx.NewTagged(w.Version, NewWebhook{Webhook: viewWebhook(w), Secret: secret.Reveal()}), nil
		})
}

func registerDeliveries(api huma.API, svc *notify.Service) {
	httpx.Register(api, huma.Operation{OperationID: "list-webhook-deliveries", Method: http.MethodGet, Path: path + "/deliveries", Tags: tags, Summary: "What a webhook was told and is to be told"},
		func(ctx context.Context, in *struct {
			WebhookPath
			DeliveryList
		}) (*httpx.Body[httpx.Page[Delivery]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Deliveries(ctx, in.Webhook, in.filter(), page)
			return httpx.PageOf(items, next, err, viewDelivery)
		})
	httpx.Register(api, huma.Operation{OperationID: "list-mail-deliveries", Method: http.MethodGet, Path: "/api/v1/mail/deliveries", Tags: tags, Summary: "What went by e-mail and is to go"},
		func(ctx context.Context, in *struct {
			DeliveryList
			To string `query:"to" maxLength:"64" doc:"A user's name or id"`
		}) (*httpx.Body[httpx.Page[Delivery]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			f := in.filter()
			f.To = in.To
			items, next, err := svc.Mails(ctx, f, page)
			return httpx.PageOf(items, next, err, viewDelivery)
		})
	httpx.Register(api, huma.Operation{OperationID: "ping-webhook", Method: http.MethodPost, Path: path + "/ping", Tags: tags, Summary: "Send a webhook a webhook.ping"},
		func(ctx context.Context, in *WebhookPath) (*httpx.Body[Delivery], error) {
			return deliveryReply(svc.Ping(ctx, in.Webhook))
		})
	httpx.Register(api, huma.Operation{OperationID: "get-delivery", Method: http.MethodGet, Path: "/api/v1/deliveries/{delivery}", Tags: tags, Summary: "A delivery with what is sent"},
		func(ctx context.Context, in *DeliveryPath) (*httpx.Body[DeliveryDetail], error) {
			d, err := svc.Delivery(ctx, in.Delivery)
			if err != nil {
				return nil, err
			}
			v, err := viewDetail(d)
			return &httpx.Body[DeliveryDetail]{Body: v}, err
		})
	httpx.Register(api, huma.Operation{OperationID: "redeliver", Method: http.MethodPost, Path: "/api/v1/deliveries/{delivery}/redeliver", Tags: tags, Summary: "Send a delivery once more, under the id that it had",
		DefaultStatus: http.StatusOK},
		func(ctx context.Context, in *DeliveryPath) (*httpx.Body[Delivery], error) {
			return deliveryReply(svc.Redeliver(ctx, in.Delivery))
		})
}

func registerEvents(api huma.API, svc *notify.Service) {
	httpx.Register(api, huma.Operation{OperationID: "list-events", Method: http.MethodGet, Path: "/api/v1/events", Tags: []string{"Events"}, Summary: "What happened where the caller may see resources",
		Description: "To follow it ask again with after, the position of the last one seen, and sort=position."},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			Type    string `query:"type" maxLength:"64" doc:"Or a pattern, as approval.*"`
			Subject string `query:"subject" maxLength:"64" doc:"Id of what they are about"`
			After   int64  `query:"after" minimum:"0" doc:"Those with a larger position only"`
			Sort    string `query:"sort" maxLength:"32" default:"-position" doc:"position; with - before it the newest first"`
		}) (*httpx.Body[httpx.Page[EventView]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Events(ctx, notify.EventFilter{Type: in.Type, Subject: in.Subject, After: in.After, Sort: in.Sort}, page)
			return httpx.PageOf(items, next, err, viewEvent)
		})
}

func deliveryReply(d notify.Delivery, err error) (*httpx.Body[Delivery], error) {
	if err != nil {
		return nil, err
	}
	return &httpx.Body[Delivery]{Body: viewDelivery(d)}, nil
}

func webhookReply(w notify.Webhook, err error) (*httpx.Tagged[Webhook], error) {
	if err != nil {
		return nil, err
	}
	return httpx.NewTagged(w.Version, viewWebhook(w)), nil
}
