package resource_test

import (
	"fmt"
	"slices"
	"testing"

	"fairlead/internal/gate"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
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
