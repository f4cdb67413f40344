package replayapi

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/gate/gateapi"
	"fairlead/internal/httpx"
	"fairlead/internal/replay"
	"fairlead/internal/template/bundle"
)

// BacktestLine is one line of the answer: exactly one of its fields is there.
type BacktestLine struct {
	Progress *BacktestProgress `json:"progress,omitempty" doc:"Now and then until the changes come"`
	Change   *BacktestChange   `json:"change,omitempty" doc:"Oldest first, then resources"`
	Summary  *BacktestSummary  `json:"summary,omitempty" doc:"The last line of a backtest that came to its end"`
	Problem  *httpx.Problem    `json:"problem,omitempty" doc:"The last line of one that did not"`
}

// BacktestProgress is how far it is.
type BacktestProgress struct {
	Decisions   int `json:"decisions" doc:"Replayed"`
	OfDecisions int `json:"ofDecisions" doc:"Of how many"`
	Resources   int `json:"resources" doc:"Looked at"`
	Changes     int `json:"changes" doc:"Found"`
}

// BacktestChange is one request or resource that would be decided differently.
type BacktestChange struct {
	Kind        string            `json:"kind" enum:"request,resource"`
	Decision    string            `json:"decision,omitempty" doc:"Id of the recorded decision"`
	At          time.Time         `json:"at"`
	Stage       string            `json:"stage" enum:"request,plan"`
	Action      string            `json:"action" enum:"create,update,destroy,keep"`
	By          string            `json:"by" doc:"Who asked"`
	ResourceID  string            `json:"resourceId,omitempty"`
	Resource    string            `json:"resource"`
	Template    string            `json:"template"`
	Team        string            `json:"team"`
	Project     string            `json:"project"`
	Environment string            `json:"environment"`
	Was         string            `json:"was" enum:"allowed,approval,denied"`
	Now         string            `json:"now" enum:"allowed,approval,denied" doc:"What it would be"`
	Verdicts    []gateapi.Verdict `json:"verdicts" nullable:"false" doc:"What the bundle would say"`
	Gone        []gateapi.Verdict `json:"gone" nullable:"false" doc:"What its version of then said and it would not"`
}

// BacktestSummary is the whole in numbers.
type BacktestSummary struct {
	Bundle    string         `json:"bundle" doc:"Name and version of what was tried"`
	Replaces  string         `json:"replaces,omitempty" doc:"What of this name is in force"`
	Since     time.Time      `json:"since"`
	Decisions int            `json:"decisions" doc:"Replayed"`
	Resources int            `json:"resources" doc:"Looked at"`
	Changed   int            `json:"changed" doc:"Requests and resources that would be decided differently"`
	Shown     int            `json:"shown" doc:"Of them"`
	Kinds     map[string]int `json:"kinds" doc:"How many of which kind, as in: request allowed → denied"`
	Advised   int            `json:"advised" doc:"With other advice alone; not among the changed"`
	Broken    int            `json:"broken" doc:"Where a rule could not be evaluated, which denies"`
	Millis    int64          `json:"millis" doc:"How long it took"`
}

// Register adds the operation.
func Register(api huma.API, svc *replay.Service) {
	op := huma.Operation{
		OperationID: "backtest-guardrails", Method: http.MethodPost, Path: "/api/v1/guardrails/backtest", Tags: []string{"Guardrails"},
		Summary: "Try what a bundle would have decided",
		Description: "Replays recorded decisions, and looks at what stands there, with a stored version (?name) or a folder that is not pushed (a tar as the body). " +
			"Nothing is changed; that it was done is in the audit log. The answer is lines of JSON: progress, then what would be different, then a summary.",
		DefaultStatus: http.StatusOK, MaxBodyBytes: bundle.MaxArchive, RequestBody: &huma.RequestBody{Description: "The folder, when it is not pushed"},
	}
	op = httpx.Amended(op, func(op *huma.Operation, schemas huma.Registry) {
		line := schemas.Schema(reflect.TypeFor[BacktestLine](), true, "BacktestLine")
		op.Responses["200"] = &huma.Response{Description: "Lines of JSON", Content: map[string]*huma.MediaType{"application/x-ndjson": {Schema: line}}}
		op.RequestBody.Required = false // huma takes every raw body for required
	})
	httpx.Register(api, httpx.Repeatable(op), func(ctx context.Context, in *input) (*huma.StreamResponse, error) {
		ask, err := in.ask()
		if err != nil {
			return nil, err
		}
		return start(ctx, svc, ask)
	})
}

type input struct {
	Name    string `query:"name" maxLength:"64" doc:"A stored bundle; or the name of a folder without policy.yaml"`
	Version string `query:"version" maxLength:"64" doc:"Of the stored bundle; by default the one in force, or else the newest"`
	Since   string `query:"since" maxLength:"16" default:"30d" doc:"How far back, at most 90d" example:"30d"`
	RawBody []byte `contentType:"application/x-tar"`
}

func (in *input) ask() (replay.Ask, error) {
	since, err := gate.ParseLength(in.Since)
	if err != nil {
		return replay.Ask{}, fault.From(err).WithField("query:since")
	}
	ask := replay.Ask{Name: in.Name, Version: in.Version, Since: since}
	switch {
	case len(in.RawBody) > 0:
		ask.Archive = bytes.NewReader(in.RawBody)
	case in.Name == "":
		return ask, fault.New(fault.Invalid, "invalid_bundle", "say which bundle to try").WithField("query:name").WithHint("give ?name of a stored one, or a folder's tar as the body")
	}
	return ask, nil
}

// running is a backtest under way.
type running struct {
	progress chan replay.Progress
	done     chan struct{} // closed at its end; then report and err are there
	report   replay.Report
	err      error
}

// start has it run until its first sign of life, so that what is refused is
// refused as everywhere.
func start(ctx context.Context, svc *replay.Service, ask replay.Ask) (*huma.StreamResponse, error) {
	r := &running{progress: make(chan replay.Progress), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.report, r.err = svc.Run(ctx, ask, func(p replay.Progress) error {
			select {
			case r.progress <- p:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	var first replay.Progress
	select {
	case first = <-r.progress:
	case <-r.done:
		if r.err != nil {
			return nil, r.err
		}
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) { r.write(hc, first) }}, nil
}

func (r *running) write(hc huma.Context, first replay.Progress) {
	_, w := humago.Unwrap(hc)
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	flow, out := http.NewResponseController(w), json.NewEncoder(w)
	say := func(l BacktestLine) {
		_ = out.Encode(l) // of a client that is gone ctx knows too
	}
	tell := func(p replay.Progress) {
		say(BacktestLine{Progress: &BacktestProgress{p.Decisions, p.OfDecisions, p.Resources, p.Changes}})
		_ = flow.Flush()
	}
	tell(first)
	for {
		select {
		case p := <-r.progress:
			tell(p)
			continue
		case <-r.done:
		}
		break
	}
	if r.err != nil {
		if hc.Context().Err() == nil {
			say(BacktestLine{Problem: httpx.Err(hc.Context(), r.err)})
		}
		return
	}
	for _, c := range r.report.Changes {
		say(BacktestLine{Change: change(c)})
	}
	s := r.report.Summary
	say(BacktestLine{Summary: &BacktestSummary{Bundle: s.Bundle, Replaces: s.Replaces, Since: s.Since, Decisions: s.Decisions, Resources: s.Resources,
		Changed: s.Changed, Shown: s.Shown, Kinds: s.Kinds, Advised: s.Advised, Broken: s.Broken, Millis: s.Took.Milliseconds()}})
}

func change(c replay.Change) *BacktestChange {
	return &BacktestChange{
		Kind: string(c.Kind), Decision: c.Decision, At: c.At, Stage: string(c.Stage), Action: string(c.Action), By: c.By,
		ResourceID: c.ResourceID, Resource: c.Resource, Template: c.Template, Team: c.Team, Project: c.Project, Environment: c.Environment,
		Was: c.Was, Now: c.Now, Verdicts: gateapi.Verdicts(c.Verdicts), Gone: gateapi.Verdicts(c.Gone),
	}
}
