package app

import (
	"context"
	"time"

	"fairlead/internal/gate"
	"fairlead/internal/loop"
	"fairlead/internal/resource"
	"fairlead/internal/sqldb"
	"fairlead/internal/why"
)

// buildGates wires what a request must pass.
func (a *App) buildGates(context.Context) error {
	var open openGates
	a.gates = gate.New(gate.Options{DB: a.db, Access: a.access, Rules: a.guardrails, Limits: a.quotas, Prices: a.costs, Calendar: open, Leases: open, Approvals: a.approvals, Log: a.log})
	return nil
}

// buildWhy wires what explains; it comes after everything that it reads.
func (a *App) buildWhy(context.Context) error {
	a.why = why.New(why.Options{Resources: a.resources, Decisions: a.gates, Approvals: openApprovals{a.approvals}, Leases: noReasons{}, Now: a.db.Now})
	group := loop.NewGroup(a.db, a.log)
	a.run(func(ctx context.Context) error {
		group.Run(ctx, loop.Loop{Name: "decisions", Every: time.Hour, Once: true, Do: a.gates.Prune})
		return nil
	})
	return nil
}

// noReasons stands where a gate is not built yet.
type noReasons struct{}

func (noReasons) Of(context.Context, resource.Resource) (why.Lease, bool, error) {
	return why.Lease{}, false, nil
}

// openGates stands where a gate is not built yet.
type openGates struct{}

func (openGates) Window(context.Context, gate.Facts) (gate.Window, error) { return gate.Window{}, nil }
func (openGates) Begin(context.Context, *sqldb.Tx, gate.Facts) error      { return nil }
func (openGates) Check(_ context.Context, f gate.Facts) (time.Duration, []gate.Verdict, error) {
	return f.Lease, nil, nil
}
func (openGates) End(context.Context, *sqldb.Tx, string) error { return nil }
