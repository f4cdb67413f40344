package resource_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/gate/gatetest"
	"fairlead/internal/principal"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

// grows asks for an approval of what becomes larger than what is in use, and
// denies what changes by more than ten at once.
func grows(f gate.Facts) []gate.Verdict {
	if f.Stage != gate.Request || f.Before == nil {
		return nil
	}
	was, is := f.Before["size"].(int64), f.Inputs["size"].(int64)
	switch {
	case is > was+10:
		return []gate.Verdict{says(gate.Deny, "leap")}
	case is > was:
		return []gate.Verdict{says(gate.Approve, "growth")}
	}
	return nil
}

func TestARuleThatComparesSeesWhatIsInUse(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		r := b.Create("orders", inputs{"size": 1})
		b.Work()
		b.UntilPhase(r.ID, resource.Ready)
		newApprovals(b)
		b.Gates.Say("p1", grows)
		if _, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 10}}); err != nil {
			t.Fatal(err)
		}
		b.Until(r.ID, "held", func(x resource.Resource) bool { return x.Revision == 2 && x.Reason == "awaiting_approval" })
		// On top of what waits nothing grows, and in small steps nothing leaps:
		// what counts is what is in use.
		if _, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"label": "x"}}); err != nil {
			t.Fatal(err)
		}
		b.Until(r.ID, "held again", func(x resource.Resource) bool { return x.Revision == 3 && x.Reason == "awaiting_approval" })
		if _, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 20}}); code(err) != "guardrail_denied" {
			t.Errorf("a leap in two steps: %v", err)
		}
		if p, err := b.Svc.PlanChange(b.Ctx, where("orders"), resource.Change{Set: inputs{"label": "y"}}); err != nil || len(p.Judgement.With(gate.Approve)) != 1 {
			t.Errorf("the preview: %+v %v", p.Judgement.Verdicts, err)
		}
		if n := b.Engine.Calls("apply"); n != 1 {
			t.Errorf("%d applies", n)
		}
	})
}

func TestWhatWasNeverMadeIsCreated(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		newApprovals(b)
		b.Gates.Say("p1", func(f gate.Facts) []gate.Verdict {
			if f.Stage == gate.Request && f.Action == gate.Create {
				return []gate.Verdict{says(gate.Approve, "creation")}
			}
			return nil
		})
		r := b.Create("orders", inputs{"size": 1})
		b.Work()
		b.UntilPhase(r.ID, resource.Waiting)
		for i, change := range []func() error{
			func() error {
				_, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 2}})
				return err
			},
			func() error { _, err := b.Svc.Rollback(b.Ctx, where("orders"), 1, "", 0); return err },
			func() error {
				_, err := b.Svc.Put(b.Ctx, "shop", "dev", resource.Wanted{Name: "orders", Template: "store", Inputs: inputs{"size": 3}})
				return err
			},
		} {
			if err := change(); err != nil {
				t.Fatal(err)
			}
			b.Until(r.ID, fmt.Sprint("held ", i), func(x resource.Resource) bool {
				return x.Revision == int64(i+2) && x.Reason == "awaiting_approval"
			})
		}
		if calls := b.Engine.Calls("apply"); calls != 0 {
			t.Errorf("%d applies", calls)
		}
		if said := b.Audited(r.ID); slices.Contains(said, "run:succeed") {
			t.Errorf("%v", said)
		}
	})
}

// sized says something of each request and plan whose size is above five.
func sized(s gate.Strength) func(f gate.Facts) []gate.Verdict {
	return func(f gate.Facts) []gate.Verdict {
		if size, ok := f.Inputs["size"].(int64); f.Stage == gate.Request && (!ok && f.RunID != "" || size > 5) && f.Action != gate.Keep {
			return []gate.Verdict{says(s, "size")}
		}
		return nil
	}
}

// sizes has the engine give each resource's size as its output name.
func sizes(b *resourcetest.Bench) {
	b.Engine.Name(func(in map[string]any) any { return in["size"] })
}

func TestWhatAReferenceComesToIsJudged(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		sizes(b)
		b.Work()
		b.UntilPhase(b.Create("large", inputs{"size": 9}).ID, resource.Ready)
		b.Gates.Say("p1", sized(gate.Deny))
		const behind = "${{ resources.large.outputs.name }}"
		if p, err := b.Svc.Plan(b.Ctx, "shop", "dev", resource.Wanted{Name: "orders", Template: "store", Inputs: inputs{"size": behind}}); err != nil || !p.Judgement.Denied() {
			t.Errorf("the preview says %v %v", p.Judgement.Verdicts, err)
		}
		r := b.Create("orders", inputs{"size": behind})
		if got := b.UntilPhase(r.ID, resource.Failed); got.Reason != "guardrail_denied" {
			t.Errorf("%+v", got)
		}
	})
}

func TestAReferenceThatComesToSomethingElseIsAChange(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		sizes(b)
		people := newApprovals(b)
		b.Work()
		b.UntilPhase(b.Create("base", inputs{"size": 1}).ID, resource.Ready)
		r := b.UntilPhase(b.Create("orders", inputs{"size": "${{ resources.base.outputs.name }}"}).ID, resource.Ready)
		b.Gates.Say("p1", func(f gate.Facts) []gate.Verdict {
			if f.Resource == "orders" {
				return sized(gate.Approve)(f)
			}
			return nil
		})
		// Tried again, and made anew for another reason, it is only kept.
		if _, err := b.Svc.Retry(b.Ctx, where("orders")); err != nil {
			t.Fatal(err)
		}
		b.Until(r.ID, "kept", func(x resource.Resource) bool { return x.RunID != r.RunID && x.Phase == resource.Ready })
		if _, err := b.Svc.Change(b.Ctx, where("base"), resource.Change{Set: inputs{"size": 9}}); err != nil {
			t.Fatal(err)
		}
		b.Until(r.ID, "held", func(x resource.Resource) bool { return x.Reason == "awaiting_approval" })
		ask := <-people.asks
		if f := ask.Facts; f.Action != gate.Update || f.Principal.ID != resourcetest.Ann.ID || f.Before["size"] != int64(1) || f.Inputs["size"] != int64(9) {
			t.Errorf("asked about %+v", f)
		}
		people.status.Store("approved")
		wake(b, r.ID)
		b.UntilPhase(r.ID, resource.Ready)
		living := map[string]any{}
		if err := b.Svc.Living(principal.With(t.Context(), principal.System), func(f gate.Facts) error { living[f.Resource] = f.Inputs["size"]; return nil }); err != nil || living["orders"] != int64(9) {
			t.Errorf("what stands there: %v %v", living, err)
		}
		// A rule that compares sees what it came to, not the reference.
		b.Gates.Say("p2", grows)
		if _, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 99}}); code(err) != "guardrail_denied" {
			t.Errorf("from 9 to 99: %v", err)
		}
	})
}

func TestAnotherClassIsAnotherApproval(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		people := newApprovals(b)
		b.Gates.Say("p1", during(gate.Request, says(gate.Approve, "any")))
		r := b.Create("orders", nil)
		b.Work()
		b.UntilPhase(r.ID, resource.Waiting)
		first := (<-people.asks).Binding
		err := b.DB.Write(t.Context(), "test.class", func(tx *sqldb.Tx) error {
			_, err := tx.ExecContext(t.Context(), `UPDATE environments SET class = 'production' WHERE id = 'env_dev'`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for {
			wake(b, r.ID)
			if changed := first.Changed((<-people.asks).Binding); slices.Equal(changed, []string{gate.PartPlace}) {
				return
			} else if len(changed) > 0 {
				t.Fatalf("changed: %v", changed)
			}
		}
	})
}

// limits takes down what is reserved, and refuses what is above most.
type limits struct {
	gatetest.Gates
	most int64
	mu   sync.Mutex
	held []any
}

func (l *limits) Reserve(_ context.Context, _ *sqldb.Tx, f gate.Facts) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if size, ok := f.Inputs["size"].(int64); ok && f.RunID != "" && f.Stage == gate.Plan && size > l.most {
		return fault.New(fault.Denied, "budget_exceeded", "too much")
	}
	l.held = append(l.held, f.Inputs["size"])
	return nil
}

func TestWhatAReferenceComesToIsReserved(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		sizes(b)
		l := &limits{most: 5}
		b.Gates.Use(gatetest.Real{Limits: l})
		b.Svc = b.Service(b.DB, accesstest.Teams{})
		b.Work()
		b.UntilPhase(b.Create("base", inputs{"size": 1}).ID, resource.Ready)
		r := b.UntilPhase(b.Create("orders", inputs{"size": "${{ resources.base.outputs.name }}"}).ID, resource.Ready)
		l.mu.Lock()
		last := l.held[len(l.held)-1]
		l.mu.Unlock()
		if last != int64(1) {
			t.Errorf("%v is reserved", last)
		}
		if _, err := b.Svc.Change(b.Ctx, where("base"), resource.Change{Set: inputs{"size": 9}}); err != nil {
			t.Fatal(err)
		}
		if got := b.UntilPhase(r.ID, resource.Failed); got.Reason != "budget_exceeded" {
			t.Errorf("%+v", got)
		}
	})
}

func TestARefusedDestroyIsNoWayToOutliveALease(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		r := b.Create("orders", nil)
		b.Work()
		b.UntilPhase(r.ID, resource.Ready)
		people := newApprovals(b)
		b.Gates.Say("p1", func(f gate.Facts) []gate.Verdict {
			if f.Action == gate.Destroy {
				return []gate.Verdict{says(gate.Approve, "no-loss")}
			}
			return nil
		})
		people.status.Store("rejected")
		if _, err := b.Svc.Destroy(b.Ctx, where("orders"), 0); err != nil {
			t.Fatal(err)
		}
		b.Until(r.ID, "spared", func(x resource.Resource) bool { return x.Reason == "approval_rejected" })
		system := resource.New(resource.Options{DB: b.DB, Access: accesstest.AllowAll{}, Environments: b.Svc.Environments, Templates: b.Svc.Templates,
			Secrets: b.Svc.Secrets, Gates: b.Svc.Gates, Engines: b.Svc.Engines, Installation: "inst", Log: b.Svc.Log})
		if _, err := system.End(principal.With(t.Context(), principal.System), where("orders")); err != nil {
			t.Fatal(err)
		}
		b.Gone(r.ID)
	})
}
