package accessapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/access"
	"fairlead/internal/httpx"
)

// maxBody leaves room for the largest policy text, escaped.
const maxBody = 20 << 20

var tags = []string{"Access"}

type whyInput struct {
	Body struct {
		Principal string       `json:"principal,omitempty" maxLength:"100" doc:"Name or id; by default you. Others need access:view"`
		Action    string       `json:"action" maxLength:"64" doc:"Such as resource:reveal" example:"resource:reveal"`
		Target    AccessTarget `json:"target,omitempty"`
	}
}

type putInput struct {
	httpx.IfMatchInput
	Body struct {
		Source string `json:"source" doc:"The Cedar text"`
		Note   string `json:"note,omitempty" maxLength:"500" doc:"Why"`
	}
}

type checkInput struct {
	Body struct {
		Source string `json:"source" doc:"The Cedar text"`
	}
}

type versionInput struct {
	Version int64 `path:"version" minimum:"1"`
}

type diffInput struct {
	Version int64 `path:"version" minimum:"1"`
	From    int64 `query:"from" minimum:"0" doc:"The version to compare with; by default the one before"`
}

type pageInput struct{ httpx.PageInput }

// Register adds the operations.
func Register(api huma.API, svc *access.Service) {
	httpx.Register(api, huma.Operation{
		OperationID: "explain-access", Method: http.MethodPost, Path: "/api/v1/access/why", Tags: tags, DefaultStatus: http.StatusOK,
		Summary:     "Why may somebody, or not?",
		Description: "Which policies decide, which roles counted, and for a refusal what would have to be otherwise. Changes nothing.",
	}, func(ctx context.Context, in *whyInput) (*httpx.Body[AccessExplanation], error) {
		e, err := svc.Why(ctx, access.WhyRequest{Principal: in.Body.Principal, Action: access.Action(in.Body.Action), Target: in.Body.Target.target()})
		if err != nil {
			return nil, err
		}
		return &httpx.Body[AccessExplanation]{Body: explanationView(e)}, nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "get-access-schema", Method: http.MethodGet, Path: "/api/v1/access/schema", Tags: tags,
		Summary: "The vocabulary of policies", Description: "The Cedar schema that policies are checked against. The same in every installation of this release.",
	}, func(context.Context, *struct{}) (*httpx.Body[AccessSchema], error) {
		return &httpx.Body[AccessSchema]{Body: AccessSchema{Source: access.Schema(), Actions: actionNames()}}, nil
	})
	registerPolicies(api, svc)
	registerVersions(api, svc)
}

func registerPolicies(api huma.API, svc *access.Service) {
	httpx.Register(api, huma.Operation{
		OperationID: "get-access-policies", Method: http.MethodGet, Path: "/api/v1/access/policies", Tags: tags,
		Summary: "The policies in force", Description: "Needs access:view.",
	}, func(ctx context.Context, _ *struct{}) (*httpx.Tagged[AccessPolicies], error) {
		v, err := svc.Current(ctx)
		if err != nil {
			return nil, err
		}
		return httpx.NewTagged(v.Version, policiesView(v)), nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "put-access-policies", Method: http.MethodPut, Path: "/api/v1/access/policies", Tags: tags, MaxBodyBytes: maxBody,
		Summary: "Put policies in force",
		Description: "Stores a new version; to roll back, put an old text. Needs access:update. Refused is a text that does not pass the schema " +
			"(with line and column), one after which nobody could change the policies, and one that would give the author what they do not hold.",
	}, func(ctx context.Context, in *putInput) (*httpx.Tagged[AccessPolicies], error) {
		version, err := in.Version()
		if err != nil {
			return nil, err
		}
		v, err := svc.Put(ctx, access.PutRequest{Source: in.Body.Source, Note: in.Body.Note, IfVersion: version})
		if err != nil {
			return nil, err
		}
		return httpx.NewTagged(v.Version, policiesView(v)), nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "check-access-policies", Method: http.MethodPost, Path: "/api/v1/access/policies/check", Tags: tags, MaxBodyBytes: maxBody,
		DefaultStatus: http.StatusOK,
		Summary:       "Check a policy text without storing it", Description: "Says what it would change. Needs access:view.",
	}, func(ctx context.Context, in *checkInput) (*httpx.Body[AccessPolicyCheck], error) {
		v, err := svc.Verify(ctx, in.Body.Source)
		if err != nil {
			return nil, err
		}
		return &httpx.Body[AccessPolicyCheck]{Body: checkView(v)}, nil
	})
}

func registerVersions(api huma.API, svc *access.Service) {
	httpx.Register(api, huma.Operation{
		OperationID: "list-access-policy-versions", Method: http.MethodGet, Path: "/api/v1/access/policies/versions", Tags: tags,
		Summary: "The versions of the policies", Description: "Newest first, without their texts. Needs access:view.",
	}, func(ctx context.Context, in *pageInput) (*httpx.Body[httpx.Page[AccessPolicyVersion]], error) {
		page, err := in.Page()
		if err != nil {
			return nil, err
		}
		items, next, err := svc.Versions(ctx, page)
		if err != nil {
			return nil, err
		}
		views := make([]AccessPolicyVersion, 0, len(items))
		for _, v := range items {
			views = append(views, versionView(v))
		}
		return &httpx.Body[httpx.Page[AccessPolicyVersion]]{Body: httpx.NewPage(views, next)}, nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "get-access-policy-version", Method: http.MethodGet, Path: "/api/v1/access/policies/{version}", Tags: tags,
		Summary: "One version of the policies", Description: "Needs access:view.",
	}, func(ctx context.Context, in *versionInput) (*httpx.Body[AccessPolicies], error) {
		v, err := svc.ByVersion(ctx, in.Version)
		if err != nil {
			return nil, err
		}
		return &httpx.Body[AccessPolicies]{Body: policiesView(v)}, nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "diff-access-policies", Method: http.MethodGet, Path: "/api/v1/access/policies/{version}/diff", Tags: tags,
		Summary: "What a version changed", Description: "Policy by policy; order and comments make no difference. Needs access:view.",
	}, func(ctx context.Context, in *diffInput) (*httpx.Body[AccessPolicyDiff], error) {
		from := in.From
		if from == 0 {
			from = max(1, in.Version-1)
		}
		changes, err := svc.Diff(ctx, from, in.Version)
		if err != nil {
			return nil, err
		}
		return &httpx.Body[AccessPolicyDiff]{Body: AccessPolicyDiff{From: from, To: in.Version, Changes: changeViews(changes)}}, nil
	})
}
