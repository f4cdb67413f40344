package gate_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"fairlead/internal/access/accesstest"
	"fairlead/internal/gate"
	"fairlead/internal/gate/gatetest"
	"fairlead/internal/principal"
	"fairlead/internal/sqldb/sqldbtest"
)

// One who asks for much at once waits for their own, and keeps nobody else.
func TestNobodyTakesAllTheTurns(t *testing.T) {
	t.Parallel()
	db := sqldbtest.SQLite(t)
	gates := &gatetest.Gates{}
	svc := gates.Service(db, accesstest.AllowAll{})
	var running, most atomic.Int64
	entered, open := make(chan struct{}, 100), make(chan struct{})
	gates.Say("slow", func(f gate.Facts) []gate.Verdict {
		if f.Principal.ID != ann.ID {
			return nil
		}
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		entered <- struct{}{}
		<-open
		running.Add(-1)
		return nil
	})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := svc.Judge(as(ann), facts(gate.Request)); err != nil {
				t.Error(err)
			}
		})
	}
	<-entered
	other := facts(gate.Request)
	other.Principal = sam
	if _, err := svc.Judge(as(sam), other); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	ctx, cancel := context.WithCancel(principal.With(context.Background(), ann))
	for range 3 {
		<-entered
	}
	cancel()
	if _, err := svc.Judge(ctx, facts(gate.Request)); err == nil {
		t.Error("one who left was judged")
	}
	close(open)
	all.Wait()
	if most.Load() > 4 {
		t.Errorf("%d at once", most.Load())
	}
}
