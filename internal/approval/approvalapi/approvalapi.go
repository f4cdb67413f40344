package approvalapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/approval"
	"fairlead/internal/httpx"
)

var tags = []string{"Approvals"}

// ApprovalPath names an approval.
type ApprovalPath struct {
	Approval string `path:"approval" maxLength:"64" doc:"Its id"`
}

// Register adds the operations.
func Register(api huma.API, svc *approval.Service) {
	registerReads(api, svc)
	registerDecisions(api, svc)
	registerDelegations(api, svc)
}

func registerReads(api huma.API, svc *approval.Service) {
	httpx.Register(api, huma.Operation{
		OperationID: "list-approvals", Method: http.MethodGet, Path: "/api/v1/approvals", Tags: tags, Summary: "List approvals",
		Description: "Those of things that the caller sees, those that they asked for, and those that are theirs to decide. A page may be shorter than asked for while more follows.",
	}, func(ctx context.Context, in *struct {
		httpx.PageInput
		Sort        string `query:"sort" enum:"created,-created,expires,-expires" default:"-created"`
		Status      string `query:"status" enum:"pending,approved,rejected,expired,void,bypassed"`
		Mine        bool   `query:"mine" doc:"Only what waits for the caller's vote"`
		Requested   bool   `query:"requested" doc:"Only what the caller asked for"`
		NeedsReview bool   `query:"needsReview" doc:"Only what was bypassed and not reviewed since"`
		Kind        string `query:"kind" maxLength:"40" doc:"What it is about: resource, guardrail, …"`
		Subject     string `query:"subject" maxLength:"64" doc:"Name or id of a resource, say"`
		Project     string `query:"project" maxLength:"64" doc:"Name or id"`
		Environment string `query:"environment" maxLength:"64" doc:"Name or id"`
	}) (*httpx.Body[httpx.Page[Approval]], error) {
		page, err := in.Page()
		if err != nil {
			return nil, err
		}
		list, next, err := svc.List(ctx, approval.Filter{Status: approval.Status(in.Status), Mine: in.Mine, Requested: in.Requested, NeedsReview: in.NeedsReview,
			Kind: in.Kind, Subject: in.Subject, Project: in.Project, Environment: in.Environment, Sort: in.Sort}, page)
		if err != nil {
			return nil, err
		}
		items := make([]Approval, len(list))
		for i, a := range list {
			items[i] = view(a)
			items[i].Facts = nil
		}
		return &httpx.Body[httpx.Page[Approval]]{Body: httpx.NewPage(items, next)}, nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "get-approval", Method: http.MethodGet, Path: "/api/v1/approvals/{approval}", Tags: tags,
		Summary: "Get an approval with all that it takes to decide on it",
	}, func(ctx context.Context, in *ApprovalPath) (*httpx.Body[Approval], error) {
		return reply(svc.Get(ctx, in.Approval))
	})
	httpx.Register(api, huma.Operation{
		OperationID: "who-could-approve", Method: http.MethodGet, Path: "/api/v1/approvals/{approval}/who", Tags: tags,
		Summary: "Say who could decide on an approval, and why others cannot",
	}, func(ctx context.Context, in *ApprovalPath) (*httpx.Body[httpx.Page[ApprovalPerson]], error) {
		list, err := svc.WhoCould(ctx, in.Approval)
		if err != nil {
			return nil, err
		}
		items := make([]ApprovalPerson, len(list))
		for i, p := range list {
			items[i] = ApprovalPerson{Name: p.Name, Can: p.Can, Why: p.Why, OnBehalfOf: p.OnBehalfOf, Voted: string(p.Voted)}
		}
		return &httpx.Body[httpx.Page[ApprovalPerson]]{Body: httpx.NewPage(items, "")}, nil
	})
}

func registerDecisions(api huma.API, svc *approval.Service) {
	for _, d := range []struct {
		decision approval.Decision
		summary  string
	}{{approval.Approve, "Agree to an approval"}, {approval.Reject, "Reject an approval; it takes a comment"}} {
		httpx.Register(api, httpx.Repeatable(huma.Operation{
			OperationID: string(d.decision) + "-approval", Method: http.MethodPost, Path: "/api/v1/approvals/{approval}/" + string(d.decision), Tags: tags,
			Summary: d.summary, DefaultStatus: http.StatusOK,
			Description: "In the caller's name, and in that of everybody who delegated their right to them. The digest says what the caller looked at: if it is another by now, nothing is decided.",
		}), func(ctx context.Context, in *struct {
			ApprovalPath
			Body struct {
				Digest  string `json:"digest" maxLength:"128" doc:"That of the approval as it was read"`
				Comment string `json:"comment,omitempty" maxLength:"4000"`
			}
		}) (*httpx.Body[Approval], error) {
			return reply(svc.Decide(ctx, in.Approval, approval.Ballot{Decision: d.decision, Comment: in.Body.Comment, Digest: in.Body.Digest}))
		})
	}
	httpx.Register(api, httpx.Repeatable(huma.Operation{
		OperationID: "bypass-approval", Method: http.MethodPost, Path: "/api/v1/approvals/{approval}/bypass", Tags: tags,
		Summary: "Go ahead without an approval, in an emergency", DefaultStatus: http.StatusOK,
		Description: "Break glass. Everybody who could have decided and the platform administrators are told, and somebody else reviews it.",
	}), func(ctx context.Context, in *struct {
		ApprovalPath
		Body struct {
			Reason string `json:"reason" maxLength:"4000" doc:"Why it cannot wait; at least 10 characters"`
		}
	}) (*httpx.Body[Approval], error) {
		return reply(svc.Bypass(ctx, in.Approval, in.Body.Reason))
	})
	httpx.Register(api, httpx.Repeatable(huma.Operation{
		OperationID: "review-approval", Method: http.MethodPost, Path: "/api/v1/approvals/{approval}/review", Tags: tags,
		Summary: "Review what went ahead without an approval", DefaultStatus: http.StatusOK,
	}), func(ctx context.Context, in *struct {
		ApprovalPath
		Body struct {
			Comment string `json:"comment" maxLength:"4000" doc:"What was found"`
		}
	}) (*httpx.Body[Approval], error) {
		return reply(svc.Review(ctx, in.Approval, in.Body.Comment))
	})
}

func registerDelegations(api huma.API, svc *approval.Service) {
	httpx.Register(api, huma.Operation{
		OperationID: "list-delegations", Method: http.MethodGet, Path: "/api/v1/delegations", Tags: tags, Summary: "List who stands in for whom",
		Description: "From and to the caller; whoever sees all users sees all.",
	}, func(ctx context.Context, in *struct {
		httpx.PageInput
		Ended bool `query:"ended" doc:"Also those that are over"`
	}) (*httpx.Body[httpx.Page[Delegation]], error) {
		page, err := in.Page()
		if err != nil {
			return nil, err
		}
		list, next, err := svc.Delegations(ctx, in.Ended, page)
		if err != nil {
			return nil, err
		}
		items := make([]Delegation, len(list))
		for i, d := range list {
			items[i] = viewDelegation(d)
		}
		return &httpx.Body[httpx.Page[Delegation]]{Body: httpx.NewPage(items, next)}, nil
	})
	httpx.Register(api, httpx.Located(huma.Operation{
		OperationID: "create-delegation", Method: http.MethodPost, Path: "/api/v1/delegations", Tags: tags, Summary: "Let somebody decide in one's name for a while",
		Description: "Never more than one may oneself, and not on what either of the two asked for. For somebody else it takes the right to change their account.",
	}, "/api/v1/delegations/{id}"), func(ctx context.Context, in *struct {
		Body struct {
			To     string     `json:"to" maxLength:"64" doc:"Name or id of who stands in"`
			For    string     `json:"for,omitempty" maxLength:"64" doc:"Name or id of whose right it is; the caller's when absent"`
			Begins *time.Time `json:"begins,omitempty" doc:"Now when absent"`
			Until  time.Time  `json:"until" doc:"At most 90 days later"`
			Reason string     `json:"reason,omitempty" maxLength:"1200"`
		}
	}) (*httpx.Body[Delegation], error) {
		n := approval.NewDelegation{From: in.Body.For, To: in.Body.To, Until: in.Body.Until, Reason: in.Body.Reason}
		if in.Body.Begins != nil {
			n.Begins = *in.Body.Begins
		}
		return delegationReply(svc.Delegate(ctx, n))
	})
	httpx.Register(api, huma.Operation{
		OperationID: "get-delegation", Method: http.MethodGet, Path: "/api/v1/delegations/{delegation}", Tags: tags, Summary: "Get a delegation",
	}, func(ctx context.Context, in *struct {
		Delegation string `path:"delegation" maxLength:"64" doc:"Its id"`
	}) (*httpx.Body[Delegation], error) {
		return delegationReply(svc.Delegation(ctx, in.Delegation))
	})
	httpx.Register(api, huma.Operation{
		OperationID: "end-delegation", Method: http.MethodDelete, Path: "/api/v1/delegations/{delegation}", Tags: tags, Summary: "End a delegation at once",
		DefaultStatus: http.StatusNoContent,
	}, func(ctx context.Context, in *struct {
		Delegation string `path:"delegation" maxLength:"64" doc:"Its id"`
	}) (*struct{}, error) {
		return nil, svc.EndDelegation(ctx, in.Delegation)
	})
}

func reply(a approval.Approval, err error) (*httpx.Body[Approval], error) {
	if err != nil {
		return nil, err
	}
	return &httpx.Body[Approval]{Body: view(a)}, nil
}

func delegationReply(d approval.Delegation, err error) (*httpx.Body[Delegation], error) {
	if err != nil {
		return nil, err
	}
	return &httpx.Body[Delegation]{Body: viewDelegation(d)}, nil
}
