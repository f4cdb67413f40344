package resource_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"fairlead/internal/engine"
	"fairlead/internal/resource"
	"fairlead/internal/resource/resourcetest"
	"fairlead/internal/sqldb"
	"fairlead/internal/sqldb/sqldbtest"
)

// writeLine adds a line to a run's log as its worker does.
func writeLine(ctx context.Context, b *resourcetest.Bench, r resource.Resource, text string) error {
	return b.DB.Write(ctx, "test.line", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO run_log (run_id, seq, at, phase, level, message)
			SELECT $1, coalesce(max(seq), 0) + 1, 1, 'apply', 'info', CAST($2 AS TEXT) FROM run_log WHERE run_id = $1`, r.RunID, text)
		tx.Notify(resource.TopicOf(r.ID), "")
		return err
	})
}

func setPlan(b *resourcetest.Bench, r resource.Resource, plan string) error {
	return b.DB.Write(context.Background(), "test.plan", func(tx *sqldb.Tx) error {
		_, err := tx.ExecContext(context.Background(), `UPDATE runs SET plan = $2 WHERE id = $1`, r.RunID, plan)
		return err
	})
}

// A plan that nobody can read tells who reads it: not whoever waits for lines.
func TestFollowingALogReadsNoPlanUntilTheEnd(t *testing.T) {
	each(t, func(t *testing.T, b *resourcetest.Bench) {
		gate := resourcetest.NewGate()
		b.Engine.Next("apply", gate.Step)
		b.Work()
		r := b.Create("orders", nil)
		b.Entered(gate)
		var plan string
		if err := b.DB.Read().QueryRowContext(t.Context(), `SELECT plan FROM runs WHERE id = $1`, r.RunID).Scan(&plan); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(b.Ctx)
		defer cancel()
		lines, over := make(chan string, 100), make(chan resource.Run, 1)
		go func() {
			run, err := b.Svc.Follow(ctx, r.RunID, 0, func(l resource.LogLine) error { lines <- l.Message; return nil })
			if err != nil {
				t.Error(err)
			}
			close(lines) // nobody waits for more
			over <- run
		}()
		<-lines // it follows by now
		if err := setPlan(b, r, "no plan"); err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			want := fmt.Sprintf("line %d", i)
			if err := writeLine(ctx, b, r, want); err != nil {
				t.Fatal(err)
			}
			for got := range lines {
				if got == want {
					break
				}
			}
		}
		if err := setPlan(b, r, plan); err != nil {
			t.Fatal(err)
		}
		gate.Open()
		if run := <-over; run.Status != resource.RunSucceeded || run.Plan == nil || len(run.Plan.Changes) == 0 {
			t.Errorf("%+v", run)
		}
	})
}

// BenchmarkFollow is what a line costs its writer and one reader, of a run
// with a plan of 2,000 changes.
func BenchmarkFollow(b *testing.B) {
	bench := resourcetest.New(b, sqldbtest.SQLite(b))
	gate := resourcetest.NewGate()
	bench.Engine.Next("apply", gate.Step)
	bench.Work()
	r := bench.Create("orders", nil)
	bench.Entered(gate)
	var plan engine.Plan
	for i := range 2000 {
		plan.Changes = append(plan.Changes, engine.Change{Action: engine.Create, Kind: "aws_instance", Address: fmt.Sprintf("aws_instance.web[%d]", i)})
	}
	text, err := json.Marshal(plan)
	if err != nil {
		b.Fatal(err)
	}
	if err := setPlan(bench, r, string(text)); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(bench.Ctx)
	lines, over := make(chan string, 100), make(chan struct{})
	go func() {
		defer close(over)
		_, _ = bench.Svc.Follow(ctx, r.RunID, 0, func(l resource.LogLine) error { lines <- l.Message; return nil })
	}()
	<-lines
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		want := fmt.Sprintf("line %d", i)
		if err := writeLine(ctx, bench, r, want); err != nil {
			b.Fatal(err)
		}
		for got := range lines {
			if got == want {
				break
			}
		}
	}
	cancel()
	<-over
	gate.Open()
}
