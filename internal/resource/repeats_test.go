package resource_test

import (
	"strings"
	"testing"

	"fairlead/internal/drift"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

func TestARepairThatDoesNotHoldAsksAPerson(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := b.Ready("orders", inputs{"size": 3})
		healed := func(size int) {
			t.Helper()
			before := r.RunID
			resize(b, r, size)
			r = observed(t, b, r.ID, "healed", func(n resource.Resource) bool {
				return n.RunID != before && n.Phase == resource.Ready && len(n.Drift) == 0
			})
		}
		asks := func(n resource.Resource) bool { return n.Reason == drift.DoesNotHold }
		for i := range 3 {
			healed(90 + i)
		}
		last := r.RunID
		resize(b, r, 93)
		r = observed(t, b, r.ID, "asking", asks)
		if !strings.Contains(r.Hint, "fairlead drift heal orders -e shop/dev") || !strings.Contains(r.Message, "3 times") {
			t.Errorf("%+v", r)
		}
		// Another value, or time, does not begin the fight again.
		resize(b, r, 94)
		if err := b.DB.Write(t.Context(), "test.later", func(tx *sqldb.Tx) error {
			if _, err := tx.ExecContext(t.Context(), `UPDATE runs SET created_at = created_at - 7200000000`); err != nil {
				return err
			}
			_, err := tx.ExecContext(t.Context(), `UPDATE drifts SET repair_at = repair_at - 7200000000, detected_at = detected_at - 7200000000`)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		r = observed(t, b, r.ID, "asking still", func(n resource.Resource) bool { return len(n.Drift) == 1 && n.Drift[0].Got != r.Drift[0].Got })
		if !asks(r) || r.RunID != last {
			t.Errorf("%+v", r)
		}
		same(t, "the history", history(t, b, r.ID), "person heal healed", "person heal healed", "person heal healed", "person ask")
		var told int
		if err := b.DB.Read().QueryRowContext(t.Context(), `SELECT count(*) FROM events WHERE type = 'drift.detected' AND data LIKE '%repair_does_not_hold%'`).Scan(&told); err != nil || told != 1 {
			t.Errorf("told %d times, %v", told, err)
		}
		// A person's repair, long after: it is repaired by itself again.
		if _, err := b.Svc.HealDrift(b.Ctx, where("orders")); err != nil {
			t.Fatal(err)
		}
		r = b.Until(r.ID, "healed", func(n resource.Resource) bool { return n.Phase == resource.Ready && n.RunID != last })
		for i := range 3 {
			healed(80 + i)
		}
		resize(b, r, 83)
		r = observed(t, b, r.ID, "asking", asks)
		// What is wanted anew begins the count anew.
		if _, err := b.Svc.Change(b.Ctx, where("orders"), resource.Change{Set: inputs{"size": 4}}); err != nil {
			t.Fatal(err)
		}
		r = b.Until(r.ID, "changed", func(n resource.Resource) bool { return n.Phase == resource.Ready && n.AppliedRevision == 2 })
		healed(70)
	})
}
