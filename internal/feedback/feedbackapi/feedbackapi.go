package feedbackapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/feedback"
	"fairlead/internal/httpx"
)

// Feedback is one person's word on one page.
type Feedback struct {
	ID      string    `json:"id"`
	Page    string    `json:"page" doc:"Its route's pattern"`
	User    string    `json:"user"`
	Version string    `json:"version" doc:"Of Fairlead"`
	Helpful bool      `json:"helpful"`
	Words   string    `json:"words,omitempty"`
	At      time.Time `json:"at"`
}

// FeedbackSum is what all say of one page.
type FeedbackSum struct {
	Page       string    `json:"page"`
	Helpful    int64     `json:"helpful" doc:"How many find it helpful"`
	NotHelpful int64     `json:"notHelpful"`
	Words      int64     `json:"words" doc:"How many said why"`
	Last       time.Time `json:"last"`
}

// Register adds the operations.
func Register(api huma.API, svc *feedback.Service) {
	tags := []string{"Feedback"}
	httpx.Register(api, huma.Operation{OperationID: "list-feedback", Method: http.MethodGet, Path: "/api/v1/feedback", Tags: tags, Summary: "What people say of the portal's pages"},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			Page    string `query:"page" maxLength:"200" doc:"Of this page alone"`
			Version string `query:"version" maxLength:"100" doc:"Of this version of Fairlead alone"`
			Helpful string `query:"helpful" enum:"true,false"`
			Words   bool   `query:"words" doc:"Only what was said with words"`
			Sort    string `query:"sort" maxLength:"32" default:"-at" doc:"at; with - before it the newest first"`
		}) (*httpx.Body[httpx.Page[Feedback]], error) {
			page, err := in.PageInput.Page()
			if err != nil {
				return nil, err
			}
			f := feedback.Filter{Page: in.Page, Version: in.Version, Words: in.Words, Sort: in.Sort}
			if in.Helpful != "" {
				yes := in.Helpful == "true"
				f.Helpful = &yes
			}
			items, next, err := svc.List(ctx, f, page)
			return httpx.PageOf(items, next, err, view)
		})
	httpx.Register(api, huma.Operation{OperationID: "list-feedback-pages", Method: http.MethodGet, Path: "/api/v1/feedback/pages", Tags: tags, Summary: "How helpful each page is"},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			Sort string `query:"sort" maxLength:"32" default:"-not" doc:"not, helpful, page or last; with - before it the other way round"`
		}) (*httpx.Body[httpx.Page[FeedbackSum]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Sums(ctx, feedback.Filter{Sort: in.Sort}, page)
			return httpx.PageOf(items, next, err, func(s feedback.Sum) FeedbackSum {
				return FeedbackSum{Page: s.Page, Helpful: s.Helpful, NotHelpful: s.Not, Words: s.Words, Last: s.Last}
			})
		})
	httpx.Register(api, huma.Operation{OperationID: "give-feedback", Method: http.MethodPost, Path: "/api/v1/feedback", Tags: tags, Summary: "Say whether a page is helpful", DefaultStatus: http.StatusOK,
		Description: "In place of what the caller said of it before."},
		func(ctx context.Context, in *struct {
			Body struct {
				Page    string `json:"page" maxLength:"200" doc:"Its route's pattern, as /projects/{project}"`
				Helpful bool   `json:"helpful"`
				Words   string `json:"words,omitempty" doc:"Why; absent leaves what was said before"`
			}
		}) (*httpx.Body[Feedback], error) {
			s, err := svc.Give(ctx, feedback.Opinion{Page: in.Body.Page, Helpful: in.Body.Helpful, Words: in.Body.Words})
			if err != nil {
				return nil, err
			}
			return &httpx.Body[Feedback]{Body: view(s)}, nil
		})
}

func view(s feedback.Said) Feedback {
	return Feedback{ID: s.ID, Page: s.Page, User: s.User, Version: s.Version, Helpful: s.Helpful, Words: s.Words, At: s.At}
}
