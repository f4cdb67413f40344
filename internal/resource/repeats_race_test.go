package resource_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/audit/audittest"
	"fairlead/internal/drift"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// TestReplicasDecideOnceThatARepairDoesNotHold lets two replicas, each with a
// connection of its own to one store, look at what drifts again and again: both
// have looked, with the same outcome, before either writes. There are as many
// repairs as may be, one question, and it is told once.
func TestReplicasDecideOnceThatARepairDoesNotHold(t *testing.T) {
	t.Parallel()
	for store, url := range map[string]func(t *testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "store.db") },
		"postgres": func(t *testing.T) string { return sqldbtest.PostgresURL(t) },
	} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			at := url(t)
			b := resourcetest.New(t, sqldbtest.Open(t, sqldb.Options{URL: at}))
			other := sqldbtest.Open(t, sqldb.Options{URL: at})
			audittest.New(t, other)
			second := b.Service(other, accesstest.Teams{})
			second.Drifts = drift.New(drift.Options{DB: other, Access: accesstest.Teams{}, Log: second.Log})
			b.Work()
			var all []resource.Resource
			for i := range 3 {
				all = append(all, b.Ready(fmt.Sprintf("orders-%d", i), inputs{"size": 3}))
			}
			// both has the replicas look at once; neither writes before both have seen.
			both := func() {
				t.Helper()
				if err := b.DB.Write(t.Context(), "test.due", func(tx *sqldb.Tx) error {
					_, err := tx.ExecContext(t.Context(), `UPDATE resources SET observe_due_at = 1`)
					return err
				}); err != nil {
					t.Fatal(err)
				}
				gates := []*resourcetest.Gate{resourcetest.NewGate(), resourcetest.NewGate()}
				b.Engine.Next("observe", gates[0].Step, gates[1].Step)
				var replicas sync.WaitGroup
				for _, s := range []*resource.Service{b.Svc, second} {
					replicas.Go(func() {
						if err := s.ObserveEngine(context.WithoutCancel(t.Context()), "fake"); err != nil {
							t.Error(err)
						}
					})
				}
				for _, g := range gates {
					b.Entered(g)
				}
				for _, g := range gates {
					g.Open()
				}
				replicas.Wait()
			}
			for round := range 5 { // three repairs, the question, and a look that has nothing to add
				for _, r := range all {
					resize(b, r, 90+min(round, 3))
				}
				both()
				for _, r := range all {
					b.Until(r.ID, "settled", func(n resource.Resource) bool { return n.Phase == resource.Ready })
				}
			}
			for _, r := range all {
				is, err := b.Svc.ByID(b.Ctx, r.ID)
				if err != nil || is.Reason != drift.DoesNotHold {
					t.Errorf("%s is %s: %s, %v", r.Name, is.Phase, is.Reason, err)
				}
				same(t, "the history of "+r.Name, history(t, b, r.ID), "person heal healed", "person heal healed", "person heal healed", "person ask")
				for what, want := range map[string]int{
					`SELECT count(*) FROM runs WHERE kind = 'heal' AND resource_id = $1`:                                                3,
					`SELECT count(*) FROM events WHERE type = 'drift.detected' AND data LIKE '%repair_does_not_hold%' AND subject = $1`: 1,
					`SELECT count(*) FROM events WHERE type = 'drift.detected' AND subject = $1`:                                        4,
					`SELECT count(*) FROM audit_log WHERE action = 'resource:drift' AND target_id = $1`:                                 1,
					`SELECT count(*) FROM audit_log WHERE action = 'resource:heal' AND target_id = $1`:                                  3,
					`SELECT count(*) FROM drifts WHERE resolved_at IS NULL AND resource_id = $1`:                                        1,
				} {
					var n int
					if err := b.DB.Read().QueryRowContext(t.Context(), what, r.ID).Scan(&n); err != nil || n != want {
						t.Errorf("%s: %s: %d, want %d, %v", r.Name, what, n, want, err)
					}
				}
			}
		})
	}
}
