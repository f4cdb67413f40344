package resource_test

import (
	"slices"
	"strings"
	"testing"

	"fairlead/internal/drift"
	"fairlead/internal/engine"
	"fairlead/internal/engine/enginetest"
	"fairlead/internal/fault"
	"fairlead/internal/principal"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

// careful makes a resource whose template asks, and changes its door by hand.
func careful(t *testing.T, b *resourcetest.Bench, name string) resource.Resource {
	t.Helper()
	r, err := b.Svc.Create(b.Ctx, "shop", "dev", resource.Wanted{Name: name, Template: "careful", Inputs: inputs{"size": 3}})
	if err != nil {
		t.Fatal(err)
	}
	r = b.UntilPhase(r.ID, resource.Ready)
	resize(b, r, 9)
	return observed(t, b, r.ID, "asking", func(r resource.Resource) bool { return r.Reason == "drift_asks" })
}

func resize(b *resourcetest.Bench, r resource.Resource, size int) {
	b.Engine.World().Change(object(r, "door"), func(o *enginetest.Thing) *enginetest.Thing { o.Size = size; return o })
}

// history tells a resource's episodes, the oldest first: cause, answer,
// resolution.
func history(t *testing.T, b *resourcetest.Bench, id string) []string {
	t.Helper()
	list, _, err := b.Drifts.List(b.Ctx, drift.Filter{Resource: id}, sqldb.Page{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, strings.TrimSpace(string(e.Cause)+" "+string(e.Answer)+" "+string(e.Resolution)))
	}
	slices.Reverse(out)
	return out
}

func same(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

func TestDriftThatIsAskedAboutIsHealedByAPerson(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := careful(t, b, "orders")
		if !strings.Contains(r.Hint, "fairlead drift heal orders -e shop/dev") || !strings.Contains(r.Hint, "fairlead drift accept orders -e shop/dev") {
			t.Errorf("the hint is %q", r.Hint)
		}
		before := r.RunID
		for range 3 { // it is not repaired by itself, however often it is looked at
			if err := b.Svc.ObserveDue(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		r, err := b.Svc.HealDrift(b.Ctx, where("orders"))
		if err != nil || r.RunID == before {
			t.Fatalf("%+v %v", r, err)
		}
		r = b.UntilPhase(r.ID, resource.Ready)
		if run := b.RunOf(r.RunID); run.Kind != resource.RunHeal || run.RequestedByName != "ann" || len(r.Drift) != 0 || r.Reason != "" {
			t.Errorf("%+v %+v", run, r)
		}
		same(t, "the history", history(t, b, r.ID), "person heal healed")
		if _, err := b.Svc.HealDrift(b.Ctx, where("orders")); fault.From(err).Code != "no_drift" {
			t.Errorf("once more: %v", err)
		}
	})
}

func TestDriftThatIsAcceptedIsFineUntilItChangesAgain(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := careful(t, b, "orders")
		if _, err := b.Svc.AcceptDrift(b.Ctx, where("orders"), ""); fault.From(err).Code != "reason_missing" {
			t.Errorf("without a reason: %v", err)
		}
		r, err := b.Svc.AcceptDrift(b.Ctx, where("orders"), "more room for the sale")
		if err != nil || r.Reason != "" || len(r.Drift) != 1 || r.Drift[0].Severity != engine.Ignore {
			t.Fatalf("%+v %v", r, err)
		}
		observed(t, b, r.ID, "accepted still", func(n resource.Resource) bool { return n.ObservedAt.After(r.ObservedAt) && n.Reason == "" })
		if _, err := b.Svc.AcceptDrift(b.Ctx, where("orders"), "again"); fault.From(err).Code != "no_drift" {
			t.Errorf("again: %v", err)
		}
		resize(b, r, 10)
		observed(t, b, r.ID, "asking again", func(r resource.Resource) bool { return r.Reason == "drift_asks" })
		same(t, "the history", history(t, b, r.ID), "person ask accepted", "person ask")
		// A new revision makes it anew: nothing is accepted of that.
		if r, err = b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 4}}); err != nil {
			t.Fatal(err)
		}
		r = b.UntilPhase(r.ID, resource.Ready)
		same(t, "the history", history(t, b, r.ID), "person ask accepted", "person ask changed")
		resize(b, r, 9)
		observed(t, b, r.ID, "asking once more", func(r resource.Resource) bool { return r.Reason == "drift_asks" })
		if got := b.Audited(r.ID); !slices.Contains(got, "drift:accept") {
			t.Errorf("audited %v", got)
		}
	})
}

func TestDriftThatGoesByItself(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := careful(t, b, "orders")
		resize(b, r, 3)
		observed(t, b, r.ID, "well", func(r resource.Resource) bool { return r.Reason == "" && len(r.Drift) == 0 })
		same(t, "the history", history(t, b, r.ID), "person ask gone")
		types, err := sqldb.Collect(t.Context(), b.DB.Read(), sqldb.Text, `SELECT type FROM events WHERE type LIKE 'drift.%' ORDER BY id`)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "told", types, "drift.detected", "drift.resolved")
	})
}

func TestARepairThatWouldDestroyDataWaitsForAPerson(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := b.Ready("orders", inputs{"size": 3})
		b.Engine.Replaces(true)
		resize(b, r, 9)
		applies := b.Engine.Calls("apply")
		r = observed(t, b, r.ID, "refused", func(r resource.Resource) bool { return r.Reason == "drift_asks" && r.Phase == resource.Ready })
		run := b.RunOf(r.RunID)
		if run.ErrorCode != "repair_would_destroy" || b.Engine.Calls("apply") != applies {
			t.Errorf("%+v, %d applies", run, b.Engine.Calls("apply")-applies)
		}
		runs := r.RunID
		for range 3 { // the same is not tried again and again
			if err := b.Svc.ObserveDue(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if r, _ = b.Svc.Get(b.Ctx, where("orders")); r.RunID != runs || r.Reason != "drift_asks" {
			t.Errorf("%+v", r)
		}
		if _, err := b.Svc.HealDrift(b.Ctx, where("orders")); err != nil {
			t.Fatal(err)
		}
		b.Until(r.ID, "healed", func(r resource.Resource) bool { return r.Phase == resource.Ready && r.RunID != runs })
		same(t, "the history", history(t, b, r.ID), "person heal healed")
	})
}

func TestALookThatSomebodyAskedFor(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := b.Ready("orders", inputs{"size": 3})
		c, err := b.Svc.CheckDrift(b.Ctx, where("orders"))
		if err != nil || c.Outcome != "" || c.AskedBy != "usr_ann" {
			t.Fatalf("%+v %v", c, err)
		}
		if again, err := b.Svc.CheckDrift(b.Ctx, where("orders")); err != nil || again.ID != c.ID {
			t.Errorf("asked twice: %+v %v", again, err)
		}
		look := func() drift.Check {
			t.Helper()
			if err := b.Svc.ObserveRequested(t.Context()); err != nil {
				t.Fatal(err)
			}
			c, err := b.Svc.Check(b.Ctx, c.ID, true, 0)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		if c := look(); c.Outcome != drift.AsWanted || c.EndedAt.IsZero() || c.BeganAt.IsZero() {
			t.Errorf("%+v", c)
		}
		resize(b, r, 9)
		c = resourcetest.Must[drift.Check](t)(b.Svc.CheckDrift(b.Ctx, where("orders")))
		if c := look(); c.Outcome != drift.Drifted || c.Message != "1 difference" {
			t.Errorf("%+v", c)
		}
		b.Until(r.ID, "healed", func(n resource.Resource) bool { return n.Phase == resource.Ready && n.RunID != r.RunID })
		b.Engine.World().Down(fault.New(fault.Unavailable, "down", ""))
		c = resourcetest.Must[drift.Check](t)(b.Svc.CheckDrift(b.Ctx, where("orders")))
		if c := look(); c.Outcome != drift.NotSeen {
			t.Errorf("%+v", c)
		}
		b.Engine.World().Down(nil)
	})
}

func TestDriftTellsNoSecret(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := b.Ready("orders", inputs{"size": 3, "password": "canary-of-an-input"})
		b.Engine.Blab("canary-of-an-input")
		resize(b, r, 9)
		observed(t, b, r.ID, "healed", func(n resource.Resource) bool { return n.Phase == resource.Ready && n.RunID != r.RunID })
		dump, err := resourcetest.Dump(t.Context(), b.DB)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(dump, "canary-of-an-input") || !strings.Contains(dump, "drift.detected") {
			t.Error("the store holds the secret, or nothing of drift")
		}
	})
}

func TestDriftIsFoundByPartsOfNames(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := b.Ready("orders", inputs{"size": 3})
		resize(b, r, 9)
		observed(t, b, r.ID, "healed", func(n resource.Resource) bool { return n.RunID != r.RunID && n.Phase == resource.Ready })
		for f, n := range map[drift.Filter]int{
			{Search: "rder"}: 1, {Search: "SHO"}: 1, {Search: "dev"}: 1, {Search: "stor"}: 1, {Search: "x"}: 0, {Search: "%"}: 0, {Search: "o_d"}: 0,
			{Template: "store"}: 1, {Template: "sto"}: 0, {Template: "store", Project: "shop"}: 1, {Search: "orders", Project: "other"}: 0,
		} {
			if list, _, err := b.Drifts.List(b.Ctx, f, sqldb.Page{}); err != nil || len(list) != n {
				t.Errorf("%+v finds %d, want %d: %v", f, len(list), n, err)
			}
			if list, _, err := b.Drifts.List(principal.With(b.Ctx, resourcetest.Stranger), f, sqldb.Page{}); err != nil || len(list) != 0 {
				t.Errorf("%+v finds %d for a stranger: %v", f, len(list), err)
			}
		}
	})
}
