package resource_test

import (
	"testing"

	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

type inputs = map[string]any

// each runs a test on a bench on either store.
func each(t *testing.T, f func(t *testing.T, b *resourcetest.Bench)) {
	t.Parallel()
	sqldbtest.Each(t, func(t *testing.T, db *sqldb.DB) { f(t, resourcetest.New(t, db)) })
}

var where = resourcetest.Where

func TestARequestBecomesReadyAndItsSecretsCanBeRevealed(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		b.Work()
		r := b.Create("orders", inputs{"size": 3})
		if r.Phase != resource.Pending || r.Project != "shop" || r.Environment != "dev" || r.CreatedByName != "ann" || r.RunID == "" {
			t.Errorf("created: %+v", r)
		}
		r = b.UntilPhase(r.ID, resource.Ready)
		if r.AppliedRevision != 1 || len(r.Objects) != 2 || !r.Outputs["key"].Sensitive || r.Outputs["key"].Value != nil || r.ObservedAt.IsZero() {
			t.Errorf("ready: %+v", r)
		}
		run := b.RunOf(r.RunID)
		if run.Status != resource.RunSucceeded || run.Attempts != 1 || run.Plan == nil || run.PlanDigest == "" || run.RequestedByName != "ann" || run.Number != 1 {
			t.Errorf("run: %+v", run)
		}
		_, secrets, err := b.Svc.Reveal(b.Ctx, where("orders"))
		if err != nil || !b.Engine.World().Open(r.Outputs["name"].Value.(string), secrets["key"].Reveal()) {
			t.Errorf("the revealed key opens nothing (%v)", err)
		}
	})
}
