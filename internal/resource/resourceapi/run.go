package resourceapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
	"fairlead/internal/resource"
)

const oneRun = "/api/v1/runs/{run}"

type RunInput struct {
	Run string `path:"run" maxLength:"64" doc:"The run's id"`
}

type LinesInput struct {
	RunInput
	After int64 `query:"after" minimum:"0" doc:"Only lines after this one"`
	Limit int   `query:"limit" minimum:"1" maximum:"1000" default:"200" doc:"How many lines at most"`
}

func registerRuns(api huma.API, svc *resource.Service) {
	httpx.Register(api, huma.Operation{
		OperationID: "get-run", Method: http.MethodGet, Path: oneRun, Tags: runTags, Summary: "Get a run",
	}, func(ctx context.Context, in *RunInput) (*httpx.Body[Run], error) {
		run, err := svc.Run(ctx, in.Run)
		return runBody(run, err)
	})
	httpx.Register(api, huma.Operation{
		OperationID: "list-run-lines", Method: http.MethodGet, Path: oneRun + "/lines", Tags: runTags,
		Summary: "Read a run's log", Description: "Go on with the seq of the last line as after, until over.",
	}, func(ctx context.Context, in *LinesInput) (*httpx.Body[RunLines], error) {
		lines, err := readLines(ctx, svc, *in)
		return &httpx.Body[RunLines]{Body: lines}, err
	})
	httpx.Register(api, huma.Operation{
		OperationID: "follow-run", Method: http.MethodGet, Path: oneRun + "/log", Tags: runTags,
		Summary: "Follow a run's log live",
		Description: "Server-sent events: \"line\" with the line's number as id and a RunLine as data; when the run is over \"run\" with the Run, then \"end\". " +
			"Go on after a break with the header Last-Event-ID. With format=json the lines so far, as list-run-lines gives them.",
	}, func(ctx context.Context, in *struct {
		LinesInput
		httpx.StreamInput
		Format string `query:"format" enum:"sse,json" default:"sse"`
	}) (*huma.StreamResponse, error) {
		after, err := in.StreamInput.After()
		if err != nil {
			return nil, err
		}
		in.LinesInput.After = max(after, in.LinesInput.After)
		if in.Format == "json" {
			lines, err := readLines(ctx, svc, in.LinesInput)
			return asJSON(lines), err
		}
		if _, err := svc.Run(ctx, in.Run); err != nil { // refused before the stream begins
			return nil, err
		}
		return follow(svc, in.Run, in.LinesInput.After), nil
	})
	httpx.Register(api, httpx.Located(huma.Operation{
		OperationID: "cancel-run", Method: http.MethodPost, Path: oneRun + "/cancel", DefaultStatus: http.StatusAccepted, Tags: runTags,
		Summary: "Cancel a run", Description: "It stops at the next safe point. What it made stays; a retry or a destroy goes on from there.",
	}, oneRun), func(ctx context.Context, in *RunInput) (*httpx.Body[Run], error) {
		run, err := svc.Cancel(ctx, in.Run)
		return runBody(run, err)
	})
	httpx.Register(api, httpx.Recovered(huma.Operation{
		OperationID: "retry-run", Method: http.MethodPost, Path: oneRun + "/retry", DefaultStatus: http.StatusOK, Tags: runTags,
		Summary: "Try a run's resource again", Description: "A new run of what is wanted now; its id is the resource's runId.",
	}, resourceOfRun(svc)), func(ctx context.Context, in *RunInput) (*tagged, error) {
		r, err := svc.RetryRun(ctx, in.Run)
		return replied(http.StatusOK, r, err)
	})
}

func runBody(run resource.Run, err error) (*httpx.Body[Run], error) {
	if err != nil {
		return nil, err
	}
	return &httpx.Body[Run]{Body: runView(run)}, nil
}

func readLines(ctx context.Context, svc *resource.Service, in LinesInput) (RunLines, error) {
	out := RunLines{Items: []RunLine{}}
	lines, over, err := svc.Lines(ctx, in.Run, in.After, in.Limit)
	for _, l := range lines {
		out.Items = append(out.Items, lineView(l))
	}
	out.Over = over
	return out, err
}

func asJSON(v any) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		hc.SetHeader("Content-Type", "application/json")
		_ = json.NewEncoder(hc.BodyWriter()).Encode(v)
	}}
}

func follow(svc *resource.Service, runID string, after int64) *huma.StreamResponse {
	return httpx.Stream(func(ctx context.Context, out *httpx.Events) error {
		run, err := svc.Follow(ctx, runID, after, func(l resource.LogLine) error {
			return out.SendNumbered(l.Seq, "line", lineView(l))
		})
		if err != nil {
			return err
		}
		return out.Send("", "run", runView(run))
	})
}

func registerSuspects(api huma.API, svc *resource.Service) {
	httpx.Register(api, huma.Operation{
		OperationID: "list-suspects", Method: http.MethodGet, Path: "/api/v1/suspects", Tags: []string{"System"},
		Summary: "List external objects that no record explains", Description: "For a person to look at; nothing is removed by itself.",
	}, func(ctx context.Context, in *struct {
		httpx.PageInput
		Released bool `query:"released" doc:"Those that a person has released, instead of those that wait for one"`
	}) (*httpx.Body[httpx.Page[Suspect]], error) {
		page, err := in.Page()
		if err != nil {
			return nil, err
		}
		items, next, err := svc.Suspects(ctx, in.Released, page)
		return pageBody(items, next, err, suspectView)
	})
	httpx.Register(api, huma.Operation{
		OperationID: "release-suspect", Method: http.MethodPost, Path: "/api/v1/suspects/{suspect}/release", Tags: []string{"System"}, DefaultStatus: http.StatusOK,
		Summary: "Say of a suspect that it is known and left as it is", Description: "It is counted no more. The object itself is not touched.",
	}, func(ctx context.Context, in *struct {
		Suspect string `path:"suspect" maxLength:"64" doc:"Id"`
		Body    struct {
			Reason string `json:"reason" doc:"For whoever comes next"`
		}
	}) (*httpx.Body[Suspect], error) {
		v, err := svc.ReleaseSuspect(ctx, in.Suspect, in.Body.Reason)
		if err != nil {
			return nil, err
		}
		return &httpx.Body[Suspect]{Body: suspectView(v)}, nil
	})
}
