package identityapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/identity"
	"fairlead/internal/principal"
)

// TeamPath names a team.
type TeamPath struct {
	Team string `path:"team" maxLength:"64" doc:"Name or id"`
}

// MemberPath names a member of a team.
type MemberPath struct {
	TeamPath
	Member string `path:"member" maxLength:"64" doc:"User or robot, name or id"`
}

type memberRolePath struct {
	MemberPath
	Role string `path:"role" enum:"team-owner,developer,viewer,approver,auditor"`
}

func teamReply(t identity.Team, err error) (*httpx.Tagged[Team], error) {
	if err != nil {
		return nil, err
	}
	return httpx.NewTagged(t.Version, viewTeam(t)), nil
}

func registerTeams(api huma.API, svc *identity.Service) {
	tags := []string{"Teams"}
	httpx.Register(api, huma.Operation{OperationID: "list-teams", Method: http.MethodGet, Path: "/api/v1/teams", Tags: tags, Summary: "Teams that the caller may see"},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			SortInput
			Member string `query:"member" maxLength:"64" doc:"Id of a user or robot"`
		}) (*httpx.Body[httpx.Page[Team]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Teams(ctx, identity.TeamFilter{Search: in.Search, Member: in.Member, Sort: in.Sort}, page)
			return httpx.PageOf(items, next, err, viewTeam)
		})
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "create-team", Method: http.MethodPost, Path: "/api/v1/teams", Tags: tags, Summary: "Make a team"}, "/api/v1/teams/{name}"),
		func(ctx context.Context, in *struct {
			Body struct {
				Name       string            `json:"name"`
				Title      string            `json:"title,omitempty"`
				Attributes map[string]string `json:"attributes,omitempty"`
				Owners     []string          `json:"owners,omitempty" maxItems:"50" doc:"Users who own it from the start"`
			}
		}) (*httpx.Tagged[Team], error) {
			b := in.Body
			return teamReply(svc.CreateTeam(ctx, identity.NewTeam{Name: b.Name, Title: b.Title, Attributes: b.Attributes, Owners: b.Owners}))
		})
	httpx.Register(api, huma.Operation{OperationID: "get-team", Method: http.MethodGet, Path: "/api/v1/teams/{team}", Tags: tags, Summary: "A team"},
		func(ctx context.Context, in *TeamPath) (*httpx.Tagged[Team], error) {
			return teamReply(svc.Team(ctx, in.Team))
		})
	httpx.Register(api, huma.Operation{OperationID: "update-team", Method: http.MethodPatch, Path: "/api/v1/teams/{team}", Tags: tags, Summary: "Change a team"},
		func(ctx context.Context, in *struct {
			TeamPath
			httpx.IfMatchInput
			Body struct {
				Name       *string            `json:"name,omitempty"`
				Title      *string            `json:"title,omitempty"`
				Attributes *map[string]string `json:"attributes,omitempty" doc:"Takes the right to give roles in the organisation"`
			}
		}) (*httpx.Tagged[Team], error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return teamReply(svc.UpdateTeam(ctx, in.Team, identity.TeamChange{Name: in.Body.Name, Title: in.Body.Title, Attributes: in.Body.Attributes}, v))
		})
	httpx.Register(api, huma.Operation{OperationID: "delete-team", Method: http.MethodDelete, Path: "/api/v1/teams/{team}", Tags: tags, Summary: "Delete a team",
		Description: "Refused while it owns projects or robots, which are named.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *struct {
			TeamPath
			httpx.IfMatchInput
		}) (*struct{}, error) {
			v, err := in.Version()
			if err != nil {
				return nil, err
			}
			return nil, svc.DeleteTeam(ctx, in.Team, v)
		})
	registerMembers(api, svc, tags)
}

func registerMembers(api huma.API, svc *identity.Service, tags []string) {
	httpx.Register(api, huma.Operation{OperationID: "list-members", Method: http.MethodGet, Path: "/api/v1/teams/{team}/members", Tags: tags, Summary: "Who has a role in a team"},
		func(ctx context.Context, in *struct {
			TeamPath
			httpx.PageInput
		}) (*httpx.Body[httpx.Page[Member]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			items, next, err := svc.Members(ctx, in.Team, page)
			return httpx.PageOf(items, next, err, viewMember)
		})
	httpx.Register(api, huma.Operation{OperationID: "grant-team-role", Method: http.MethodPut, Path: "/api/v1/teams/{team}/members/{member}/roles/{role}", Tags: tags,
		Summary: "Give a role in a team", Description: "Nobody gives what they do not hold.", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *memberRolePath) (*struct{}, error) {
			return nil, svc.GrantRole(ctx, identity.Grant{Team: in.Team, Member: in.Member, Role: principal.Role(in.Role)})
		})
	httpx.Register(api, huma.Operation{OperationID: "revoke-team-role", Method: http.MethodDelete, Path: "/api/v1/teams/{team}/members/{member}/roles/{role}", Tags: tags,
		Summary: "Take a role in a team", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *memberRolePath) (*struct{}, error) {
			return nil, svc.RevokeRole(ctx, identity.Grant{Team: in.Team, Member: in.Member, Role: principal.Role(in.Role)})
		})
	httpx.Register(api, huma.Operation{OperationID: "remove-member", Method: http.MethodDelete, Path: "/api/v1/teams/{team}/members/{member}", Tags: tags,
		Summary: "Take all roles in a team", DefaultStatus: http.StatusNoContent},
		func(ctx context.Context, in *MemberPath) (*struct{}, error) {
			return nil, svc.RemoveMember(ctx, in.Team, in.Member)
		})
}
