package why_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/queue"
	"fairlead/internal/resource"
	"fairlead/internal/rollout"
	"fairlead/internal/why"
)

var (
	now  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	then = now.Add(-time.Hour)
)

// records is all that why reads.
type records struct {
	byName   map[string]resource.Resource
	edges    map[string][]resource.Reference
	run      resource.Run
	turn     queue.Turn
	decision *gate.Record
	approval *why.Approval
	lease    *why.Lease
	hold     rollout.Hold
}

func (r records) Holds(context.Context, resource.Resource) (rollout.Hold, error) { return r.hold, nil }

func (r records) Get(_ context.Context, w resource.Where) (resource.Resource, error) {
	if res, ok := r.byName[w.Name]; ok {
		return res, nil
	}
	return resource.Resource{}, fault.New(fault.NotFound, "resource_not_found", "none")
}

func (r records) ByID(ctx context.Context, id string) (resource.Resource, error) {
	return r.Get(ctx, resource.Where{Name: strings.TrimPrefix(id, "res_")})
}
func (r records) Run(context.Context, string) (resource.Run, error) { return r.run, nil }
func (r records) EdgesByID(_ context.Context, id string) (to, from []resource.Reference, err error) {
	return r.edges[id], r.edges["to "+id], nil
}
func (r records) TurnByID(context.Context, string) (queue.Turn, error) { return r.turn, nil }
func (r records) Latest(context.Context, string) (gate.Record, bool, error) {
	if r.decision == nil {
		return gate.Record{}, false, nil
	}
	return *r.decision, true, nil
}
func (r records) Open(context.Context, string) (why.Approval, bool, error) {
	if r.approval == nil {
		return why.Approval{}, false, nil
	}
	return *r.approval, true, nil
}
func (r records) Of(context.Context, resource.Resource) (why.Lease, bool, error) {
	if r.lease == nil {
		return why.Lease{}, false, nil
	}
	return *r.lease, true, nil
}

func orders(p resource.Phase, reason, message, hint string) resource.Resource {
	return resource.Resource{ID: "res_orders", Name: "orders", Team: "alpha", Project: "shop", Environment: "dev", Template: "store", TemplateVersion: "1.0.0",
		CreatedByName: "ann", CreatedAt: then, UpdatedAt: then, ObservedAt: then, Phase: p, Reason: reason, Message: message, Hint: hint, Revision: 1, RunID: "run_1"}
}

func explain(t *testing.T, r records) why.Explanation {
	t.Helper()
	svc := why.New(why.Options{Resources: r, Decisions: r, Approvals: r, Leases: r, Rollouts: r, Now: func(context.Context) (time.Time, error) { return now, nil }})
	e, err := svc.Explain(t.Context(), resource.Where{Name: "orders"})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEveryStateHasItsCauseAndWhatToDo(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		why   string
		r     records
		last  why.Link // of the chain; empty fields are not compared
		next  string   // must be among the commands of the chain
		says  string   // must be in the summary
		links int
	}{
		{"ready", records{byName: one(orders(resource.Ready, "", "", ""))}, why.Link{Kind: "observation", State: why.Done}, "", "as wanted", 2},
		{"failed by its inputs", records{byName: one(orders(resource.Failed, "invalid_inputs", "size is too large", "")), run: resource.Run{ID: "run_1", FinishedAt: then}},
			why.Link{Kind: "engine", State: why.Failing, Code: "invalid_inputs", Who: "the team alpha"}, "fairlead retry orders -e shop/dev", "size is too large", 3},
		{"the engine's server is down: not the developer's to mend", records{byName: one(orders(resource.Retrying, "server_unavailable", "no connection", "")), turn: queue.Turn{Due: now, Attempts: 3}},
			why.Link{Kind: "run", State: why.Waiting}, "fairlead logs orders -e shop/dev -f", "3 attempts failed", 3},
		{"waits for an approval", records{byName: one(orders(resource.Waiting, "awaiting_approval", "waits", "")), approval: &why.Approval{ID: "apr_1", Who: "needs 1 approver", Since: then, Until: now}},
			why.Link{Kind: "approval", State: why.Waiting, Who: "needs 1 approver", Ref: "apr_1"}, "fairlead approvals approve apr_1", "apr_1", 2},
		{"denied at the plan", records{byName: one(orders(resource.Failed, "guardrail_denied", "no", "")), run: resource.Run{ID: "run_1"},
			decision: &gate.Record{ID: "dec_1", Outcome: "denied", At: then, Verdicts: []gate.Verdict{{Rule: "public", Strength: gate.Deny, Message: "is public", Remedy: "make it private"}}}},
			why.Link{Kind: "gates", State: why.Refused, Code: "guardrail_denied"}, "fairlead why denied dec_1", "make it private", 2},
		{"drift that needs a person", records{byName: one(drifted(engine.Alert))}, why.Link{Kind: "drift", State: why.Failing}, "fairlead drift heal orders -e shop/dev", "limit of role", 3},
		{"drift that waits for a person", records{byName: one(asking())}, why.Link{Kind: "drift", State: why.Waiting, Who: "the team alpha: heal it, or say that it is fine"},
			"fairlead drift accept orders -e shop/dev --reason TEXT", "somebody changed it", 3},
		{"a repair that does not hold", records{byName: one(fought())}, why.Link{Kind: "drift", State: why.Waiting, Who: "the team alpha: heal it, or say that it is fine"},
			"fairlead drift heal orders -e shop/dev", "somebody changed it", 3},
		{"drift that somebody accepted", records{byName: one(drifted(engine.Ignore))}, why.Link{Kind: "drift", State: why.Done}, "", "as wanted", 3},
		{"its lease ends", records{byName: one(orders(resource.Ready, "", "", "")), lease: &why.Lease{Of: "environment", Ends: now.Add(time.Hour), Owner: "ann"}},
			why.Link{Kind: "lease", State: why.Coming, Who: "ann"}, "fairlead lease extend -e shop/dev", "as wanted", 3},
		{"its lease has ended", records{byName: one(orders(resource.Destroying, "", "", "")), lease: &why.Lease{Of: "resource", Ends: then}, turn: queue.Turn{Held: true}},
			why.Link{Kind: "lease", State: why.Waiting}, "", "has ended", 4},
		{"destroyed", records{byName: one(orders(resource.Destroyed, "", "", ""))}, why.Link{Kind: "destroy", State: why.Done}, "", "destroyed", 2},
		{"users are in the way of its end", records{byName: one(orders(resource.Destroying, "waiting_for_referrers", "waits", "")),
			edges: map[string][]resource.Reference{"to res_orders": {{Resource: "web"}, {Resource: "web"}}}}, why.Link{Kind: "reference", State: why.Waiting}, "fairlead why web -e shop/dev", "web", 3},
		{"an engine knows no names", records{byName: one(orders(resource.Failed, "disk_full", "no room", "make room; then: fairlead retry")), run: resource.Run{ID: "run_1"}},
			why.Link{Kind: "engine", State: why.Failing}, "fairlead retry orders -e shop/dev", "no room", 3},
		{"a hint of two commands", records{byName: one(orders(resource.Ready, "drift", "differs", "put it right with: fairlead drift heal orders -e shop/dev, or say that it is fine with: fairlead drift accept orders -e shop/dev --reason TEXT"))},
			why.Link{Kind: "observation", State: why.Failing}, "fairlead drift accept orders -e shop/dev --reason TEXT", "differs", 2},
	} {
		e := explain(t, row.r)
		if len(e.Chain) != row.links {
			t.Errorf("%s: %d links: %+v", row.why, len(e.Chain), e.Chain)
			continue
		}
		last := e.Chain[len(e.Chain)-1]
		if last.Kind != row.last.Kind || last.State != row.last.State || row.last.Code != "" && last.Code != row.last.Code ||
			row.last.Who != "" && last.Who != row.last.Who || row.last.Ref != "" && last.Ref != row.last.Ref {
			t.Errorf("%s: last is %+v", row.why, last)
		}
		for command := range commands(e) {
			if strings.Contains(command, "orders") && !strings.Contains(command, " -e shop/dev") || strings.ContainsAny(command, ",;") {
				t.Errorf("%s: %q cannot be pasted", row.why, command)
			}
		}
		if row.next != "" && !commands(e)[row.next] {
			t.Errorf("%s: no command %q in %v", row.why, row.next, commands(e))
		}
		if !strings.Contains(e.Summary, row.says) {
			t.Errorf("%s: %q", row.why, e.Summary)
		}
	}
}

func one(r resource.Resource) map[string]resource.Resource {
	return map[string]resource.Resource{r.Name: r}
}

func drifted(s engine.Severity) resource.Resource {
	r := orders(resource.Ready, "", "", "")
	r.Drift = []engine.Drift{{Address: "role", Field: "limit", Want: 5, Got: 9, Severity: s}}
	return r
}

func asking() resource.Resource {
	r := drifted(engine.Alert)
	r.Reason, r.Message, r.Drift[0].Cause = "drift_asks", "it waits for a person", engine.CausePerson
	return r
}

func fought() resource.Resource {
	r := asking()
	r.Reason, r.Message = "repair_does_not_hold", "it was repaired by itself 3 times"
	return r
}

func commands(e why.Explanation) map[string]bool {
	out := map[string]bool{}
	for _, l := range e.Chain {
		for _, c := range l.Next {
			out[c] = true
		}
	}
	return out
}

func TestTheChainGoesThroughReferencesToTheFirstCauseAndEnds(t *testing.T) {
	t.Parallel()
	base := orders(resource.Failed, "invalid_inputs", "no such size", "")
	base.ID, base.Name = "res_base", "base"
	r := records{
		byName: map[string]resource.Resource{"orders": orders(resource.Waiting, "waiting_for_reference", "waits for base (failed)", ""), "base": base},
		edges:  map[string][]resource.Reference{"res_orders": {{TargetID: "res_base"}}, "res_base": {{TargetID: "res_orders"}}},
		run:    resource.Run{ID: "run_2"},
	}
	e := explain(t, r)
	last := e.Chain[len(e.Chain)-1]
	if last.Of != "base" || last.Code != "invalid_inputs" || !strings.Contains(e.Summary, "no such size") {
		t.Errorf("%q: %+v", e.Summary, e.Chain)
	}
}
