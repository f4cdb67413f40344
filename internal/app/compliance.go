package app

import (
	"context"

	"fairlead/internal/compliance"
	"fairlead/internal/loop"
	"fairlead/internal/replay"
)

// buildCompliance wires what looks back with other guardrails, and at what
// stands there with those in force.
func (a *App) buildCompliance(context.Context) error {
	a.backtests = replay.New(replay.Options{DB: a.db, Access: a.access, Bundles: a.guardrails, Decisions: a.gates, Resources: a.resources})
	a.run(func(ctx context.Context) error { a.backtests.Serve(ctx); return nil })
	a.compliance = compliance.New(compliance.Options{DB: a.db, Access: a.access, Resources: a.resources, Rules: a.guardrails, Gates: a.gates, Log: a.log})
	group := loop.NewGroup(a.db, a.log)
	a.run(func(ctx context.Context) error { group.Run(ctx, a.compliance.Loop()); return nil })
	return nil
}
