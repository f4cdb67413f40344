package app

import (
	"context"
	"time"

	"fairlead/internal/gate"
	"fairlead/internal/loop"
	"fairlead/internal/why"
)

// buildGates wires what a request must pass.
func (a *App) buildGates(context.Context) error {
	a.gates = gate.New(gate.Options{DB: a.db, Access: a.access, Rules: a.guardrails, Limits: a.quotas, Prices: a.costs, Calendar: a.calendar, Leases: a.leases, Approvals: a.approvals, Rollouts: lateRollouts{a}, Log: a.log})
	return nil
}

// buildWhy wires what explains; it comes after everything that it reads.
func (a *App) buildWhy(context.Context) error {
	a.why = why.New(why.Options{Resources: a.resources, Decisions: a.gates, Approvals: openApprovals{a.approvals}, Leases: firstLeases{a.leases}, Rollouts: a.rollouts, Now: a.db.Now})
	group := loop.NewGroup(a.db, a.log)
	a.run(func(ctx context.Context) error {
		group.Run(ctx, loop.Loop{Name: "decisions", Every: time.Hour, Once: true, Do: a.gates.Prune})
		return nil
	})
	return nil
}
