package resource_test

import (
	"testing"

	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
)

// TestARowThatIsWrittenMeanwhileIsReadAnew writes a resource's row behind its
// worker's back: before the worker goes on from the plan, and before it ends.
func TestARowThatIsWrittenMeanwhileIsReadAnew(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		planning, applying := resourcetest.NewGate(), resourcetest.NewGate()
		b.Engine.Next("plan", planning.Deaf)
		b.Engine.Next("apply", applying.Deaf)
		b.Work()
		r := b.Create("orders", nil)
		behind := func(set string) {
			t.Helper()
			err := b.DB.Write(b.Ctx, "test.behind", func(tx *sqldb.Tx) error {
				_, err := tx.ExecContext(b.Ctx, `UPDATE resources SET version = version + 1, `+set+` WHERE id = $1`, r.ID)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		}
		b.Entered(planning)
		behind(`wanted_version = 41`)
		planning.Open()
		b.Entered(applying)
		behind(`wanted_version = wanted_version + 1`)
		applying.Open()
		ready := b.UntilPhase(r.ID, resource.Ready)
		var wanted int64
		if err := b.DB.Read().QueryRowContext(b.Ctx, `SELECT wanted_version FROM resources WHERE id = $1`, r.ID).Scan(&wanted); err != nil || wanted != 42 {
			t.Errorf("what was written meanwhile is %d: %v", wanted, err)
		}
		if want := r.Version + 4; ready.Version != want { // two by the worker, two behind its back
			t.Errorf("version %d, want %d", ready.Version, want)
		}
		if run := b.RunOf(ready.RunID); run.Status != resource.RunSucceeded || run.Attempts != 1 {
			t.Errorf("run %s after %d attempts", run.Status, run.Attempts)
		}
		lines, err := b.Svc.RunLines(b.Ctx, ready.RunID, resource.LogAsk{})
		if err != nil || len(lines.Lines) == 0 || lines.Last != lines.Lines[len(lines.Lines)-1].Seq {
			t.Fatalf("%d lines, the last is %d: %v", len(lines.Lines), lines.Last, err)
		}
		for i, l := range lines.Lines[1:] {
			if l.Seq <= lines.Lines[i].Seq {
				t.Errorf("line %d after %d", l.Seq, lines.Lines[i].Seq)
			}
		}
	})
}
