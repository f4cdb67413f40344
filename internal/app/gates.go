package app

import (
	"context"
	"time"

	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

// buildGates wires what a request must pass.
func (a *App) buildGates(context.Context) error {
	var open openGates
	a.gates = gate.New(gate.Options{DB: a.db, Access: a.access, Rules: open, Limits: open, Prices: open, Calendar: open, Leases: open, Approvals: open, Log: a.log})
	return nil
}

// openGates stands where a gate is not built yet.
type openGates struct{}

func (openGates) Evaluate(context.Context, gate.Facts) ([]gate.Verdict, string, error) {
	return nil, "", nil
}
func (openGates) Usage(context.Context, gate.Facts) ([]gate.Use, error)          { return nil, nil }
func (openGates) Reserve(context.Context, *sqldb.Tx, gate.Facts) error           { return nil }
func (openGates) Release(context.Context, *sqldb.Tx, string) error               { return nil }
func (openGates) Estimate(context.Context, gate.Facts) (gate.Cost, error)        { return gate.Cost{}, nil }
func (openGates) Meter(context.Context, *sqldb.Tx, gate.Facts, *gate.Cost) error { return nil }
func (openGates) Window(context.Context, gate.Facts) (gate.Window, error)        { return gate.Window{}, nil }
func (openGates) Begin(context.Context, *sqldb.Tx, gate.Facts) error             { return nil }
func (openGates) Check(_ context.Context, f gate.Facts) (time.Duration, []gate.Verdict, error) {
	return f.Lease, nil, nil
}
func (openGates) End(context.Context, *sqldb.Tx, string) error { return nil }
func (openGates) Settle(context.Context, *sqldb.Tx, gate.Ask) (gate.Answer, error) {
	return gate.Answer{}, nil
}
func (openGates) Void(context.Context, *sqldb.Tx, string, string) error { return nil }
