package resource_test

import (
	"slices"
	"testing"

	"fairlead/internal/fault"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
)

// key reveals the key of a store.
func key(t *testing.T, b *resourcetest.Bench, name string) string {
	t.Helper()
	_, secrets, err := b.Svc.Reveal(b.Ctx, where(name))
	if err != nil {
		t.Fatal(err)
	}
	return secrets["key"].Reveal()
}

func rotated(r resource.Resource) bool { return r.Phase == resource.Ready && r.RetireAt.IsZero() }

func TestRotationOverlapsAndThenEndsTheOldCredentials(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		hold := resourcetest.NewGate()
		b.Engine.Next("retire", resourcetest.Fails(fault.Unavailable, "busy"), hold.Step)
		b.Work()
		r := b.Ready("orders", nil)
		name, old := r.Outputs["name"].Value.(string), key(t, b, "orders")
		if _, err := b.Svc.Rotate(b.Ctx, where("orders"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Svc.Rotate(b.Ctx, where("orders"), 0); !fault.Is(err, fault.Conflict) {
			t.Errorf("at once again: %v", err)
		}
		r = b.Until(r.ID, "rotated", func(r resource.Resource) bool { return r.Phase == resource.Ready && !r.RetireAt.IsZero() })
		fresh := key(t, b, "orders")
		if fresh == old || !b.Engine.World().Open(name, fresh) || !b.Engine.World().Open(name, old) {
			t.Error("the keys do not overlap")
		}
		if _, err := b.Svc.Rotate(b.Ctx, where("orders"), 0); code(err) != "rotation_in_progress" {
			t.Errorf("within the overlap: %v", err)
		}
		b.Entered(hold) // after one that failed
		if r, _ = b.Svc.ByID(b.Ctx, r.ID); r.Phase != resource.Ready || r.Reason != "retire_failed" {
			t.Errorf("old credentials that cannot be ended yet: %+v", r)
		}
		hold.Open()
		r = b.Until(r.ID, "retired", rotated)
		if r.Reason != "" || b.Engine.World().Open(name, old) || !b.Engine.World().Open(name, fresh) {
			t.Errorf("after the overlap: %+v", r)
		}
		got := b.Audited(r.ID)
		if !slices.Contains(got, "resource:rotate") || !slices.Contains(got, "resource:retire-credentials") || !slices.Contains(got, "resource:reveal") {
			t.Errorf("audited %v", got)
		}
	})
}

func TestOldCredentialsEndAlsoWhenTheResourceFailed(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := b.Ready("orders", nil)
		name, old := r.Outputs["name"].Value.(string), key(t, b, "orders")
		if _, err := b.Svc.Rotate(b.Ctx, where("orders"), 0); err != nil {
			t.Fatal(err)
		}
		r = b.UntilPhase(r.ID, resource.Ready)
		b.Engine.Next("apply", resourcetest.Fails(fault.Invalid, "no_way"))
		if _, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 5}}); err != nil {
			t.Fatal(err)
		}
		b.Until(r.ID, "failed and retired", func(r resource.Resource) bool { return r.Phase == resource.Failed && r.RetireAt.IsZero() })
		if b.Engine.World().Open(name, old) {
			t.Error("the old key still opens")
		}
	})
}

func TestARotationOvertakenByAChangeStillHappens(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		stop := b.Work()
		r := b.Ready("orders", nil)
		old := key(t, b, "orders")
		stop()
		if _, err := b.Svc.Rotate(b.Ctx, where("orders"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 5}}); err != nil {
			t.Fatal(err)
		}
		b.Work()
		r = b.Until(r.ID, "changed and rotated", func(r resource.Resource) bool {
			return rotated(r) && r.AppliedRevision == 2 && b.Engine.Calls("retire") == 1
		})
		if key(t, b, "orders") == old {
			t.Errorf("the key is the old one: %+v", r)
		}
	})
}

func TestARotationThatIsInterruptedIsDoneOnce(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Engine.Next("rotate", resourcetest.ThenFails(fault.Unavailable, "timed_out"))
		b.Work()
		r := b.Ready("orders", nil)
		name := r.Outputs["name"].Value.(string)
		if _, err := b.Svc.Rotate(b.Ctx, where("orders"), 0); err != nil {
			t.Fatal(err)
		}
		b.Until(r.ID, "rotated", func(r resource.Resource) bool { return rotated(r) && b.Engine.Calls("retire") == 1 })
		if !b.Engine.World().Open(name, key(t, b, "orders")) {
			t.Error("the recorded key opens nothing")
		}
	})
}
