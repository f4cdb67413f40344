package resourceapi

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/drift"
	"fairlead/internal/httpx"
	"fairlead/internal/resource"
)

var driftTags = []string{"Drift"}

// DriftCheck is a look that somebody asked for.
type DriftCheck struct {
	ID         string     `json:"id" example:"chk_01jd2v8n5k3q7x9w4m6p8r0t2y"`
	ResourceID string     `json:"resourceId"`
	State      string     `json:"state" enum:"waiting,looking,done"`
	Ahead      int        `json:"ahead" doc:"How many looks are before it, while it waits"`
	Outcome    string     `json:"outcome,omitempty" enum:"as_wanted,drifted,failed" doc:"Once it is done"`
	Message    string     `json:"message,omitempty" doc:"The outcome in words"`
	AskedAt    time.Time  `json:"askedAt"`
	BeganAt    *time.Time `json:"beganAt,omitempty"`
	EndedAt    *time.Time `json:"endedAt,omitempty"`
}

func checkView(c drift.Check) DriftCheck {
	v := DriftCheck{ID: c.ID, ResourceID: c.ResourceID, State: "waiting", Ahead: c.Ahead, Outcome: c.Outcome, Message: c.Message,
		AskedAt: c.AskedAt, BeganAt: httpx.Optional(c.BeganAt), EndedAt: httpx.Optional(c.EndedAt)}
	switch {
	case !c.EndedAt.IsZero():
		v.State, v.Ahead = "done", 0
	case !c.BeganAt.IsZero():
		v.State, v.Ahead = "looking", 0
	}
	return v
}

func registerDrift(api huma.API, svc *resource.Service) {
	httpx.Register(api, httpx.Recovered(huma.Operation{
		OperationID: "heal-drift", Method: http.MethodPost, Path: one + "/drift/heal", DefaultStatus: http.StatusOK, Tags: driftTags,
		Summary: "Put right what is not as wanted", Description: "A run that makes the resource as it is wanted, whatever its template says of drift and whatever the brake holds.",
	}, changedOne(svc)), func(ctx context.Context, in *OneInput) (*tagged, error) {
		r, err := svc.HealDrift(ctx, in.where())
		return replied(http.StatusOK, r, err)
	})
	httpx.Register(api, httpx.Recovered(huma.Operation{
		OperationID: "accept-drift", Method: http.MethodPost, Path: one + "/drift/accept", DefaultStatus: http.StatusOK, Tags: driftTags,
		Summary: "Say that what is not as wanted is fine", Description: "Until it changes again, or the resource is made anew.",
	}, changedOne(svc)), func(ctx context.Context, in *struct {
		OneInput
		Body struct {
			Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why; it is recorded"`
		}
	}) (*tagged, error) {
		r, err := svc.AcceptDrift(ctx, in.where(), in.Body.Reason)
		return replied(http.StatusOK, r, err)
	})
	httpx.Register(api, httpx.Repeatable(huma.Operation{
		OperationID: "check-drift", Method: http.MethodPost, Path: one + "/drift/check", DefaultStatus: http.StatusAccepted, Tags: driftTags,
		Summary: "Have a resource looked at now", Description: "Answers at once; follow the look by its id. One that is under way is given again.",
	}), func(ctx context.Context, in *OneInput) (*httpx.Body[DriftCheck], error) {
		c, err := svc.CheckDrift(ctx, in.where())
		if err != nil {
			return nil, err
		}
		return &httpx.Body[DriftCheck]{Body: checkView(c)}, nil
	})
	httpx.Register(api, huma.Operation{
		OperationID: "get-drift-check", Method: http.MethodGet, Path: "/api/v1/drift-checks/{check}", Tags: driftTags,
		Summary: "Get a look that somebody asked for", Description: "With wait it answers when the look has gone further than state, when it is done, or when the time is over.",
	}, func(ctx context.Context, in *struct {
		ID    string `path:"check" maxLength:"64"`
		State string `query:"state" enum:"waiting,looking" default:"waiting" doc:"What the caller knows"`
		httpx.WaitInput
	}) (*httpx.Body[DriftCheck], error) {
		c, err := svc.Check(ctx, in.ID, in.State == "looking", time.Duration(in.Wait)*time.Second)
		if err != nil {
			return nil, err
		}
		return &httpx.Body[DriftCheck]{Body: checkView(c)}, nil
	})
}
