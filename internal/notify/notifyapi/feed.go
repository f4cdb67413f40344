package notifyapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/notify"
)

// Notification is something that happened and concerns the caller.
type Notification struct {
	ID      string     `json:"id" doc:"Of the event"`
	At      time.Time  `json:"at"`
	Type    string     `json:"type"`
	Title   string     `json:"title"`
	Subject string     `json:"subject,omitempty" doc:"Id of what it is about"`
	About   string     `json:"about,omitempty" doc:"Its name"`
	Place   string     `json:"place,omitempty" doc:"Project and environment"`
	Detail  string     `json:"detail,omitempty"`
	ReadAt  *time.Time `json:"readAt,omitempty" doc:"Absent: not yet"`
}

// Unread says how much somebody has not read.
type Unread struct {
	Unread int `json:"unread" doc:"100 is as far as it is counted"`
}

func registerFeed(api huma.API, svc *notify.Service) {
	tags := []string{"Notifications"}
	httpx.Register(api, huma.Operation{OperationID: "list-notifications", Method: http.MethodGet, Path: "/api/v1/notifications", Tags: tags, Summary: "What happened that concerns the caller, the newest first",
		Description: "What lies where the caller may see nothing any more is left out; a page may be shorter than asked for while more follows."},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			Unread bool `query:"unread" doc:"Only what is not read"`
		}) (*httpx.Body[httpx.Page[Notification]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Feed(ctx, notify.FeedFilter{Unread: in.Unread}, page)
			return httpx.PageOf(items, next, err, func(n notify.Notification) Notification {
				return Notification{ID: n.EventID, At: n.At, Type: n.Type, Title: n.Title, Subject: n.Subject, About: n.About, Place: n.Place, Detail: n.Detail, ReadAt: httpx.Optional(n.ReadAt)}
			})
		})
	httpx.Register(api, huma.Operation{OperationID: "count-notifications", Method: http.MethodGet, Path: "/api/v1/notifications/unread", Tags: tags, Summary: "How much the caller has not read"},
		func(ctx context.Context, _ *struct{}) (*httpx.Body[Unread], error) {
			return unreadReply(svc.Unread(ctx))
		})
	httpx.Register(api, huma.Operation{OperationID: "read-notifications", Method: http.MethodPost, Path: "/api/v1/notifications/read", Tags: tags, Summary: "Say that notifications are read", DefaultStatus: http.StatusOK,
		Description: "Those that are named; without any, all of them."},
		func(ctx context.Context, in *struct {
			Body struct {
				IDs []string `json:"ids,omitempty" maxItems:"200"`
			}
		}) (*httpx.Body[Unread], error) {
			if err := svc.MarkRead(ctx, in.Body.IDs); err != nil {
				return nil, err
			}
			return unreadReply(svc.Unread(ctx))
		})
}

func unreadReply(n int, err error) (*httpx.Body[Unread], error) {
	if err != nil {
		return nil, err
	}
	return &httpx.Body[Unread]{Body: Unread{n}}, nil
}

func registerChoice(api huma.API, svc *notify.Service) {
	tags := []string{"Notifications"}
	httpx.Register(api, huma.Operation{OperationID: "get-notifications", Method: http.MethodGet, Path: "/api/v1/me/notifications", Tags: tags, Summary: "What the caller is told, by the bell and by mail"},
		func(ctx context.Context, _ *struct{}) (*httpx.Body[Notifications], error) {
			return choiceReply(svc.Choice(ctx))
		})
	httpx.Register(api, huma.Operation{OperationID: "put-notifications", Method: http.MethodPut, Path: "/api/v1/me/notifications", Tags: tags, Summary: "Say what the caller wants to be told, by the bell and by mail",
		Description: "What is absent stays as it is. The bell always rings for what waits for the caller or has failed."},
		func(ctx context.Context, in *struct {
			Body struct {
				Muted  *[]string `json:"muted,omitempty" doc:"Patterns of event types: no mail about these"`
				Quiet  *[]string `json:"quiet,omitempty" doc:"Patterns of event types: the bell does not ring for these"`
				Mailed *[]string `json:"mailed,omitempty" doc:"Event types: mail about these, which nobody gets by default"`
			}
		}) (*httpx.Body[Notifications], error) {
			return choiceReply(svc.Choose(ctx, notify.ChoiceChange{Muted: in.Body.Muted, Quiet: in.Body.Quiet, Mailed: in.Body.Mailed}))
		})
}

func choiceReply(c notify.Choice, err error) (*httpx.Body[Notifications], error) {
	if err != nil {
		return nil, err
	}
	return &httpx.Body[Notifications]{Body: viewChoice(c)}, nil
}
