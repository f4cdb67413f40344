package resource_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"fairlead/internal/engine/enginetest"
	"fairlead/internal/fault"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
)

// observed lets the observer pass until a resource is as wanted.
func observed(t *testing.T, b *resourcetest.Bench, id, what string, ok func(resource.Resource) bool) resource.Resource {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		if err := b.Svc.ObserveDue(t.Context()); err != nil {
			t.Fatal(err)
		}
		r, err := b.Svc.WaitID(b.Ctx, id, resource.Until{}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if ok(r) {
			return r
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not become %s: %+v", r.Name, what, r)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func object(r resource.Resource, kind string) string {
	for _, o := range r.Objects {
		if o.Kind == kind {
			return o.Name
		}
	}
	return ""
}

func remove(*enginetest.Thing) *enginetest.Thing { return nil }

func TestDriftHeals(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := b.Ready("orders", inputs{"size": 3})
		before := r.RunID
		b.Engine.World().Change(object(r, "door"), func(o *enginetest.Thing) *enginetest.Thing { o.Size = 99; return o })
		r = observed(t, b, r.ID, "healed", func(r resource.Resource) bool { return r.RunID != before && r.Phase == resource.Ready })
		if run := b.RunOf(r.RunID); run.Kind != resource.RunHeal || run.RequestedByName != "system" || len(r.Drift) != 0 {
			t.Errorf("%+v, %+v", run, r)
		}
		b.Engine.World().Change(object(r, "door"), func(o *enginetest.Thing) *enginetest.Thing {
			if o.Size != 3 {
				t.Errorf("the size is %d", o.Size)
			}
			return nil
		})
		before = r.RunID
		observed(t, b, r.ID, "whole again", func(r resource.Resource) bool { return r.RunID != before && r.Phase == resource.Ready })
		if got := b.Audited(r.ID); !slices.Contains(got, "resource:heal") {
			t.Errorf("audited %v", got)
		}
	})
}

func TestADoorThatWasMadeAnewReachesWhoeverUsesItsKey(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := b.Ready("orders", nil)
		k := key(t, b, "orders")
		b.Engine.World().Change(object(r, "door"), remove)
		before := r.RunID
		r = observed(t, b, r.ID, "healed", func(r resource.Resource) bool { return r.RunID != before && r.Phase == resource.Ready })
		if now := key(t, b, "orders"); now != k || !b.Engine.World().Open(r.Outputs["name"].Value.(string), now) {
			t.Error("the key changed, or does not open")
		}
	})
}

func TestLostDataIsNeverMadeAnewAndMayComeBack(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := b.Ready("orders", nil)
		var kept *enginetest.Thing
		b.Engine.World().Change(object(r, "store"), func(o *enginetest.Thing) *enginetest.Thing { kept = o; return nil })
		r = observed(t, b, r.ID, "lost", func(r resource.Resource) bool { return r.Phase == resource.Lost })
		if r.Hint == "" || b.Engine.Calls("apply") != 1 {
			t.Errorf("%+v", r)
		}
		if _, err := b.Svc.Retry(b.Ctx, where("orders")); err != nil {
			t.Fatal(err)
		}
		lost := b.UntilPhase(r.ID, resource.Lost)
		if b.RunOf(lost.RunID).ErrorCode != "resource_lost" || slices.Contains(b.Engine.World().Names(), object(r, "store")) {
			t.Errorf("a retry made it anew: %+v", lost)
		}
		b.Engine.World().Change(object(r, "store"), func(*enginetest.Thing) *enginetest.Thing { return kept })
		observed(t, b, r.ID, "found", func(r resource.Resource) bool { return r.Phase == resource.Ready })
		got := strings.Join(b.Audited(r.ID), " ")
		if !strings.Contains(got, "resource:lost") || !strings.Contains(got, "resource:found") {
			t.Errorf("audited %s", got)
		}
		if _, err := b.Svc.Destroy(b.Ctx, where("orders"), 0); err != nil {
			t.Fatal(err)
		}
		b.Gone(r.ID)
	})
}

func TestTheBrakeHoldsWhenEverythingSeemsGone(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		var all []resource.Resource
		for i := range 8 {
			all = append(all, b.Create("orders-"+string(rune('a'+i)), nil))
		}
		for i := range all {
			all[i] = b.UntilPhase(all[i].ID, resource.Ready)
		}
		applies := b.Engine.Calls("apply")
		kept := map[string]*enginetest.Thing{}
		b.Engine.World().Down(fault.New(fault.Unavailable, "down", "")) // nobody looks while only some are gone
		for _, r := range all {
			b.Engine.World().Change(object(r, "store"), func(o *enginetest.Thing) *enginetest.Thing { kept[object(r, "store")] = o; return nil })
		}
		b.Engine.World().Down(nil)
		for _, r := range all {
			observed(t, b, r.ID, "held", func(r resource.Resource) bool { return r.Phase == resource.Ready && r.Reason == "mass_drift" })
		}
		if n := b.Engine.Calls("apply"); n != applies {
			t.Errorf("%d repairs", n-applies)
		}
		for name, o := range kept {
			b.Engine.World().Change(name, func(*enginetest.Thing) *enginetest.Thing { return o })
		}
		for _, r := range all {
			observed(t, b, r.ID, "well again", func(r resource.Resource) bool { return r.Phase == resource.Ready && r.Reason == "" })
		}
	})
}

func TestAPoisonedResourceHarmsNoNeighbour(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		bad, good := b.Ready("bad", nil), b.Ready("good", nil)
		b.Engine.World().Poison(object(bad, "store"), true)
		b.Engine.World().Change(object(good, "door"), remove)
		observed(t, b, bad.ID, "not observed", func(r resource.Resource) bool { return r.Reason == "not_observed" && r.Phase == resource.Ready })
		observed(t, b, good.ID, "healed", func(r resource.Resource) bool { return r.RunID != good.RunID && r.Phase == resource.Ready })
		b.Engine.World().Poison(object(bad, "store"), false)
		observed(t, b, bad.ID, "well", func(r resource.Resource) bool { return r.Reason == "" })
		// The engine itself breaks: shown, and no reason to stop.
		observed(t, b, good.ID, "not observed", func(r resource.Resource) bool {
			if r.Reason == "not_observed" {
				return true
			}
			b.Engine.Next("observe", resourcetest.Panics("x")) // once a pass: the last one may have looked at bad alone
			return false
		})
		b.Engine.World().Down(fault.New(fault.Unavailable, "down", ""))
		observed(t, b, good.ID, "not observed", func(r resource.Resource) bool { return r.Reason == "not_observed" && r.Phase == resource.Ready })
		b.Engine.World().Down(nil)
		observed(t, b, good.ID, "well", func(r resource.Resource) bool { return r.Reason == "" })
	})
}
