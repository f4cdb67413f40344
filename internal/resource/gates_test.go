package resource_test

import (
	"context"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/engine"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/gate/gatetest"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

func says(s gate.Strength, rule string) gate.Verdict {
	return gate.Verdict{Source: "guardrail", Rule: rule, Strength: s, Message: rule + " speaks", Remedy: "mend " + rule}
}

// during gives verdicts at one stage only.
func during(stage gate.Stage, list ...gate.Verdict) func(gate.Facts) []gate.Verdict {
	return func(f gate.Facts) []gate.Verdict {
		if f.Stage != stage {
			return nil
		}
		return list
	}
}

func TestADeniedRequestLeavesNothingAndTellsAll(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Gates.Say("p1", during(gate.Request, says(gate.Deny, "sizes"), says(gate.Advise, "names"), says(gate.Deny, "owners")))
		_, err := b.Svc.Create(b.Ctx, "shop", "dev", resource.Wanted{Name: "orders", Template: "store"})
		f := fault.From(err)
		if f.Code != "guardrail_denied" || len(f.Violations) != 2 {
			t.Fatalf("got %+v", f)
		}
		list, _, err := b.Svc.List(b.Ctx, resource.Filter{}, sqldb.Page{Limit: 10})
		if err != nil || len(list) != 0 {
			t.Errorf("there is %v, %v", list, err)
		}
		b.Gates.Say("p2", nil)
		r := b.Create("orders", inputs{"size": 1})
		b.Work()
		b.UntilPhase(r.ID, resource.Ready)
		b.Gates.Say("p1", during(gate.Request, says(gate.Deny, "sizes")))
		if _, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 2}}); code(err) != "guardrail_denied" {
			t.Errorf("change: %v", err)
		}
		if _, err := b.Svc.Apply(b.Ctx, "shop", "dev", []resource.Wanted{{Name: "a", Template: "store"}, {Name: "b", Template: "store"}}); len(fault.From(err).Violations) != 2 {
			t.Errorf("a set: %+v", fault.From(err))
		}
		if _, err := b.Svc.Destroy(b.Ctx, where("orders"), 0); code(err) != "guardrail_denied" {
			t.Errorf("destroy: %v", err)
		}
		now := resourcetest.Must[resource.Resource](t)(b.Svc.ByID(b.Ctx, r.ID))
		if now.Phase != resource.Ready || now.Revision != 1 || !now.DestroyWantedAt.IsZero() {
			t.Errorf("it was touched: %+v", now)
		}
	})
}

// places are limits of two resources in all.
type places struct{ gatetest.Gates }

func (p *places) Usage(context.Context, gate.Facts) ([]gate.Use, error) {
	return []gate.Use{{Limit: "lim", Scope: "team", Name: "alpha", Metric: "count", Max: 2, Wanted: 1, Enforce: true}}, nil
}

func TestASetThatIsTooMuchTogetherIsRefusedAndRecorded(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Gates.Use(gatetest.Real{Limits: &places{}})
		b.Svc = b.Service(b.DB, accesstest.Teams{})
		_, err := b.Svc.Apply(b.Ctx, "shop", "dev", []resource.Wanted{{Name: "a", Template: "store"}, {Name: "b", Template: "store"}, {Name: "c", Template: "store"}})
		f := fault.From(err)
		if f.Code != "quota_exceeded" || len(f.Violations) != 1 || f.Violations[0].Field != "/resources/2" {
			t.Fatalf("%+v", f)
		}
		got, err := sqldb.Collect(t.Context(), b.DB.Read(), sqldb.Text, `SELECT resource || ' ' || outcome FROM decisions ORDER BY id`)
		if err != nil || len(got) != 1 || got[0] != "c denied" {
			t.Errorf("recorded: %v %v", got, err)
		}
		if list, _, err := b.Svc.List(b.Ctx, resource.Filter{}, sqldb.Page{Limit: 10}); err != nil || len(list) != 0 {
			t.Errorf("there is %v, %v", list, err)
		}
		if _, err := b.Svc.Apply(b.Ctx, "shop", "dev", []resource.Wanted{{Name: "a", Template: "store"}, {Name: "b", Template: "store"}}); err != nil {
			t.Error(err)
		}
	})
}

func TestADeniedPlanChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Gates.Say("p1", during(gate.Plan, says(gate.Deny, "public")))
		r := b.Create("orders", nil)
		b.Work()
		failed := b.UntilPhase(r.ID, resource.Failed)
		if failed.Reason != "guardrail_denied" || failed.Hint == "" {
			t.Errorf("%+v", failed)
		}
		if n := b.Engine.Calls("apply"); n != 0 {
			t.Errorf("%d applies", n)
		}
		b.Gates.Say("p2", nil)
		if _, err := b.Svc.Retry(b.Ctx, where("orders")); err != nil {
			t.Fatal(err)
		}
		b.UntilPhase(r.ID, resource.Ready)
	})
}

// approvals is who answers in a test: what is agreed to, by digest.
type approvals struct {
	status atomic.Value // of every ask
	asks   chan gate.Ask
}

func newApprovals(b *resourcetest.Bench) *approvals {
	a := &approvals{asks: make(chan gate.Ask, 100)}
	a.status.Store("pending")
	b.Gates.Answer(func(ask gate.Ask) gate.Answer {
		select {
		case a.asks <- ask:
		default:
		}
		return gate.Answer{Approval: "apr_1", Status: a.status.Load().(string), Who: "needs 1 approver"}
	})
	return a
}

func wake(b *resourcetest.Bench, id string) {
	b.T.Helper()
	if err := b.DB.Write(context.Background(), "test.wake", func(tx *sqldb.Tx) error { return b.Svc.Wake(context.Background(), tx, id) }); err != nil {
		b.T.Fatal(err)
	}
}

func TestARunWaitsForItsApproval(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		people := newApprovals(b)
		b.Gates.Say("p1", during(gate.Request, says(gate.Approve, "production")))
		r := b.Create("orders", nil)
		b.Work()
		held := b.UntilPhase(r.ID, resource.Waiting)
		if held.Reason != "awaiting_approval" || held.Hint == "" {
			t.Errorf("%+v", held)
		}
		if run := resourcetest.Must[resource.Run](t)(b.Svc.Run(b.Ctx, held.RunID)); run.Plan == nil || run.Status != resource.RunRunning || run.Attempts != 0 {
			t.Errorf("the run: %+v", run)
		}
		if n := b.Engine.Calls("apply"); n != 0 {
			t.Errorf("%d applies", n)
		}
		lines, _, err := b.Svc.Lines(b.Ctx, held.RunID, 0, 100)
		if told := slices.ContainsFunc(lines, func(l resource.LogLine) bool { return strings.Contains(l.Message, "apr_1") }); err != nil || !told {
			t.Errorf("whoever follows it reads %+v, %v", lines, err)
		}
		people.status.Store("approved")
		wake(b, r.ID)
		b.UntilPhase(r.ID, resource.Ready)
		ask := <-people.asks
		if ask.Facts.Principal.ID != resourcetest.Ann.ID || ask.Facts.Author != resourcetest.Ann.ID || len(ask.Binding) != 7 {
			t.Errorf("asked %+v", ask)
		}
	})
}

func TestARefusedApprovalEndsTheRun(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		people := newApprovals(b)
		b.Gates.Say("p1", during(gate.Request, says(gate.Approve, "production")))
		b.Work()
		for status, reason := range map[string]string{"rejected": "approval_rejected", "expired": "approval_expired"} {
			people.status.Store(status)
			r := b.Create("is-"+status, nil)
			if got := b.UntilPhase(r.ID, resource.Failed); got.Reason != reason {
				t.Errorf("%s: %+v", status, got)
			}
		}
		if n := b.Engine.Calls("apply"); n != 0 {
			t.Errorf("%d applies", n)
		}
	})
}

func TestWhatWasBegunIsFinishedWithoutAskingAgain(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		people := newApprovals(b)
		people.status.Store("approved")
		b.Gates.Say("p1", during(gate.Request, says(gate.Approve, "production")))
		b.Engine.Next("apply", resourcetest.ThenFails(fault.Unavailable, "gone_away"), func(_ context.Context, call func() error) error {
			people.status.Store("pending")
			return fault.New(fault.Unavailable, "gone_away", "again")
		})
		r := b.Create("orders", nil)
		b.Work()
		b.UntilPhase(r.ID, resource.Ready)
	})
}

func TestASystemRunDoesNotCarryARequestPastItsApproval(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		base := b.Create("base", nil)
		b.Work()
		b.UntilPhase(base.ID, resource.Ready)
		newApprovals(b)
		b.Gates.Say("p1", during(gate.Request, says(gate.Approve, "production")))
		r := b.Create("orders", inputs{"label": "${{ resources.base.outputs.name }}"})
		b.UntilPhase(r.ID, resource.Waiting)
		// A retry, and a re-apply because of the reference, are runs of their own.
		if _, err := b.Svc.Retry(b.Ctx, where("orders")); err != nil {
			t.Fatal(err)
		}
		again := b.Until(r.ID, "held again", func(x resource.Resource) bool { return x.RunID != r.RunID && x.Phase == resource.Waiting })
		if again.Reason != "awaiting_approval" {
			t.Errorf("%+v", again)
		}
		if n := b.Engine.Calls("apply"); n != 1 {
			t.Errorf("%d applies", n)
		}
	})
}

func TestAClosedWindowHoldsAndThenLetsGo(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		now, err := b.DB.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b.Gates.Close(gate.Window{Closed: true, Name: "freeze-2026", Reason: "the big sale", Until: now.Add(time.Hour)})
		r := b.Create("orders", nil)
		b.Work()
		if held := b.UntilPhase(r.ID, resource.Waiting); held.Reason != "change_window" {
			t.Errorf("%+v", held)
		}
		b.Gates.Close(gate.Window{})
		wake(b, r.ID)
		b.UntilPhase(r.ID, resource.Ready)
	})
}

func TestARefusedDestroySparesTheResource(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		r := b.Create("orders", nil)
		b.Work()
		b.UntilPhase(r.ID, resource.Ready)
		people := newApprovals(b)
		b.Gates.Say("p1", func(f gate.Facts) []gate.Verdict {
			if f.Stage == gate.Request && f.Action == gate.Destroy {
				return []gate.Verdict{says(gate.Approve, "no-loss")}
			}
			return nil
		})
		if _, err := b.Svc.Destroy(b.Ctx, where("orders"), 0); err != nil {
			t.Fatal(err)
		}
		b.Until(r.ID, "held", func(x resource.Resource) bool { return x.Reason == "awaiting_approval" })
		people.status.Store("rejected")
		wake(b, r.ID)
		spared := b.Until(r.ID, "spared", func(x resource.Resource) bool { return x.DestroyWantedAt.IsZero() })
		if spared.Phase != resource.Ready || spared.Reason != "approval_rejected" {
			t.Errorf("%+v", spared)
		}
		if n := b.Engine.Calls("destroy"); n != 0 {
			t.Errorf("%d destroys", n)
		}
		people.status.Store("approved")
		if _, err := b.Svc.Destroy(b.Ctx, where("orders"), 0); err != nil {
			t.Fatal(err)
		}
		b.UntilPhase(r.ID, resource.Destroyed)
		// It is told after the commit that others see already.
		for deadline := time.Now().Add(30 * time.Second); !slices.Contains(b.Gates.Released(), r.ID); {
			if time.Now().After(deadline) {
				t.Fatalf("released %v", b.Gates.Released())
			}
			runtime.Gosched()
		}
	})
}

func TestAPlanCoversWhatDoesNoMore(t *testing.T) {
	t.Parallel()
	plan := func(list ...engine.Change) engine.Plan { return engine.Plan{Changes: list} }
	create, update, none, gone := engine.Change{Address: "a", Action: engine.Create}, engine.Change{Address: "a", Action: engine.Update},
		engine.Change{Address: "a", Action: engine.NoOp}, engine.Change{Address: "a", Action: engine.Delete}
	for _, row := range []struct {
		why         string
		before, now engine.Plan
		want        bool
	}{
		{"the same", plan(create), plan(create), true},
		{"half made: the rest is an update", plan(create), plan(update), true},
		{"nothing left to do", plan(create), plan(none), true},
		{"something else", plan(create), plan(engine.Change{Address: "b", Action: engine.Create}), false},
		{"worse", plan(update), plan(gone), false},
		{"what was left alone", plan(none), plan(update), false},
	} {
		if got := resource.Covers(row.before, row.now); got != row.want {
			t.Errorf("%s: %v", row.why, got)
		}
	}
}
