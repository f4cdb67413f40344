package rolloutapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/rollout"
)

var tags = []string{"Rollouts"}

const (
	collection = "/api/v1/rollouts"
	one        = collection + "/{rollout}"
)

// RolloutPath names a rollout.
type RolloutPath struct {
	Rollout string `path:"rollout" maxLength:"64" doc:"Its id"`
}

// Register adds the operations.
func Register(api huma.API, svc *rollout.Service) {
	registerReads(api, svc)
	registerCreate(api, svc)
	registerSteering(api, svc)
	registerDecisions(api, svc)
	registerPins(api, svc)
	registerResource(api, svc)
}

func registerReads(api huma.API, svc *rollout.Service) {
	httpx.Register(api, huma.Operation{OperationID: "list-rollouts", Method: http.MethodGet, Path: collection, Tags: tags, Summary: "Rollouts that the caller may know of",
		Description: "Their own, and those about a resource that they may see."},
		func(ctx context.Context, in *struct {
			httpx.PageInput
			Sort     string `query:"sort" enum:"created,-created" default:"-created"`
			Search   string `query:"search" maxLength:"64" doc:"Part of the template's name, the version, the note or the author's name"`
			Template string `query:"template" maxLength:"64"`
			Project  string `query:"project" maxLength:"64" doc:"With a member in it; its name or id"`
			State    string `query:"state" enum:"planning,planned,running,paused,halted,reverting,succeeded,reverted,canceled"`
			Open     bool   `query:"open" doc:"Only those that are not over"`
			Mine     bool   `query:"mine" doc:"Only those that the caller made"`
		}) (*httpx.Body[httpx.Page[Rollout]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			list, next, err := svc.List(ctx, rollout.Filter{Search: in.Search, Template: in.Template, Project: in.Project, State: rollout.State(in.State), Open: in.Open, Mine: in.Mine, Sort: in.Sort}, page)
			return httpx.PageOf(list, next, err, view)
		})
	httpx.Register(api, huma.Operation{OperationID: "get-rollout", Method: http.MethodGet, Path: one, Tags: tags, Summary: "A rollout",
		Description: "With wait it answers when its version differs from known (by default the one there is now), when it is over, or when the time is."},
		func(ctx context.Context, in *struct {
			RolloutPath
			httpx.WaitInput
			Known int64 `query:"known" minimum:"0" doc:"The version that the caller has"`
		}) (*httpx.Tagged[Rollout], error) {
			r, err := svc.Get(ctx, in.Rollout)
			if err == nil && in.Wait > 0 {
				known := in.Known
				if known == 0 {
					known = r.Version
				}
				r, err = svc.Wait(ctx, in.Rollout, known, time.Duration(in.Wait)*time.Second)
			}
			return reply(r, err)
		})
	httpx.Register(api, huma.Operation{OperationID: "list-rollout-members", Method: http.MethodGet, Path: one + "/members", Tags: tags, Summary: "The resources of a rollout",
		Description: "Those that the caller may see, in the order of waves."},
		func(ctx context.Context, in *struct {
			RolloutPath
			httpx.PageInput
			State string `query:"state" enum:"unplanned,excluded,pending,applying,upgraded,done,failed,aside,reverting,reverted,stuck"`
			Wave  int64  `query:"wave" minimum:"0"`
			Group int64  `query:"group" minimum:"0"`
		}) (*httpx.Body[httpx.Page[RolloutMember]], error) {
			page, err := in.Page()
			if err != nil {
				return nil, err
			}
			list, next, err := svc.Members(ctx, in.Rollout, rollout.MemberFilter{State: rollout.MemberState(in.State), Wave: in.Wave, Group: in.Group}, page)
			return httpx.PageOf(list, next, err, viewMember)
		})
}

func reply(r rollout.Rollout, err error) (*httpx.Tagged[Rollout], error) {
	if err != nil {
		return nil, err
	}
	return httpx.NewTagged(r.Version, view(r)), nil
}

func registerCreate(api huma.API, svc *rollout.Service) {
	httpx.Register(api, httpx.Recovered(huma.Operation{OperationID: "create-rollout", Method: http.MethodPost, Path: collection, Tags: tags, DefaultStatus: http.StatusCreated,
		Summary: "Plan an upgrade of many resources", Description: "Each is planned in the background as a single change would be; follow it with wait. Nothing is changed before it is started."}, createdRollout(svc)),
		func(ctx context.Context, in *struct{ Body RolloutRequest }) (*struct {
			ETag     string `header:"ETag"`
			Location string `header:"Location"`
			Body     Rollout
		}, error) {
			w, err := in.Body.wanted()
			if err != nil {
				return nil, err
			}
			r, err := svc.Create(ctx, w)
			if err != nil {
				return nil, err
			}
			return &struct {
				ETag     string `header:"ETag"`
				Location string `header:"Location"`
				Body     Rollout
			}{httpx.ETag(r.Version), collection + "/" + r.ID, view(r)}, nil
		})
}

func registerSteering(api huma.API, svc *rollout.Service) {
	for _, v := range []struct {
		verb, summary, about string
		do                   func(ctx context.Context, id string, ifVersion int64) (rollout.Rollout, error)
	}{
		{"start", "Start a planned rollout", "Its changes are made with the rights of who starts it.", svc.Start},
		{"pause", "Pause a rollout", "No further member is changed; those that are on their way go on.", svc.Pause},
		{"resume", "Go on with a rollout that was paused or has halted", "Members that failed are left as they are.", svc.Resume},
		{"retry", "Plan anew what was left out, set aside or has failed, and go on with it", "", svc.Retry},
		{"cancel", "End a rollout as it is", "Members that are on their way go on; the others are left alone.", svc.Cancel},
	} {
		httpx.Register(api, httpx.Located(huma.Operation{OperationID: v.verb + "-rollout", Method: http.MethodPost, Path: one + "/" + v.verb, Tags: tags, DefaultStatus: http.StatusOK,
			Summary: v.summary, Description: v.about}, one),
			func(ctx context.Context, in *struct {
				RolloutPath
				httpx.IfMatchInput
			}) (*httpx.Tagged[Rollout], error) {
				version, err := in.Version()
				if err != nil {
					return nil, err
				}
				if _, err := v.do(ctx, in.Rollout, version); err != nil {
					return nil, err
				}
				return reply(svc.Get(ctx, in.Rollout))
			})
	}
	httpx.Register(api, httpx.Located(huma.Operation{OperationID: "rollback-rollout", Method: http.MethodPost, Path: one + "/rollback", Tags: tags, DefaultStatus: http.StatusOK,
		Summary: "Take back what a rollout upgraded", Description: "New revisions with the old content. What somebody changed since is left as it is."}, one),
		func(ctx context.Context, in *struct {
			RolloutPath
			httpx.IfMatchInput
			Body struct {
				Scope string `json:"scope" enum:"wave,all" doc:"The wave that it is at, or all of it"`
			}
		}) (*httpx.Tagged[Rollout], error) {
			version, err := in.Version()
			if err != nil {
				return nil, err
			}
			if _, err := svc.Rollback(ctx, in.Rollout, in.Body.Scope, version); err != nil {
				return nil, err
			}
			return reply(svc.Get(ctx, in.Rollout))
		})
}

func registerDecisions(api huma.API, svc *rollout.Service) {
	for _, v := range []struct {
		verb, summary, about string
		do                   func(ctx context.Context, id string, group int64, digest, comment string) (rollout.Rollout, error)
	}{
		{"approve", "Agree to what a group's members are to become", "It takes the right to approve for every member, and a person.", svc.Approve},
		{"reject", "Have a group's members set aside", "", svc.Reject},
	} {
		httpx.Register(api, httpx.Located(huma.Operation{OperationID: v.verb + "-rollout-group", Method: http.MethodPost, Path: one + "/groups/{group}/" + v.verb, Tags: tags,
			DefaultStatus: http.StatusOK, Summary: v.summary, Description: v.about}, one),
			func(ctx context.Context, in *struct {
				RolloutPath
				Group int64 `path:"group" minimum:"1" maximum:"100000"`
				Body  struct {
					Digest  string `json:"digest" minLength:"1" maxLength:"128" doc:"Of the group as it was looked at"`
					Comment string `json:"comment,omitempty" maxLength:"500"`
				}
			}) (*httpx.Tagged[Rollout], error) {
				return reply(v.do(ctx, in.Rollout, in.Group, in.Body.Digest, in.Body.Comment))
			})
	}
}
