package gatetest

import (
	"context"
	"sync"
	"time"

	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

// Gates is every part that gate.Service asks. The zero value lets everything
// pass; its fields say otherwise. It is safe for concurrent use.
type Gates struct {
	mu       sync.Mutex
	rules    func(f gate.Facts) []gate.Verdict
	policy   string
	window   gate.Window
	answer   func(a gate.Ask) gate.Answer
	price    float64
	released []string
	real     Real
}

// Say makes the guardrails say what f gives, under the digest policy.
func (g *Gates) Say(policy string, f func(gate.Facts) []gate.Verdict) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules, g.policy = f, policy
}

// Answer makes the approvals answer what f gives.
func (g *Gates) Answer(f func(a gate.Ask) gate.Answer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer = f
}

// Close closes or opens the change window.
func (g *Gates) Close(w gate.Window) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.window = w
}

// Released lists the resources that were let go of.
func (g *Gates) Released() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.released...)
}

// Evaluate implements gate.Rules.
func (g *Gates) Evaluate(_ context.Context, f gate.Facts) ([]gate.Verdict, string, error) {
	g.mu.Lock()
	rules, policy := g.rules, g.policy
	g.mu.Unlock()
	if rules == nil {
		return nil, policy, nil
	}
	return rules(f), policy, nil
}

// Usage implements gate.Limits.
func (g *Gates) Usage(context.Context, gate.Facts) ([]gate.Use, error) { return nil, nil }

// Reserve implements gate.Limits.
func (g *Gates) Reserve(context.Context, *sqldb.Tx, gate.Facts) error { return nil }

// Release implements gate.Limits.
func (g *Gates) Release(_ context.Context, tx *sqldb.Tx, id string) error {
	tx.After(func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.released = append(g.released, id)
	})
	return nil
}

// Estimate implements gate.Prices.
func (g *Gates) Estimate(context.Context, gate.Facts) (gate.Cost, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return gate.Cost{Currency: "EUR", Monthly: g.price}, nil
}

// Price makes everything cost so much a month.
func (g *Gates) Price(monthly float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.price = monthly
}

// Meter implements gate.Prices.
func (g *Gates) Meter(context.Context, *sqldb.Tx, gate.Facts, *gate.Cost) error { return nil }

// Window implements gate.Calendar.
func (g *Gates) Window(context.Context, gate.Facts) (gate.Window, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.window, nil
}

// Begin implements gate.Leases.
func (g *Gates) Begin(context.Context, *sqldb.Tx, gate.Facts) error { return nil }

// Check implements gate.Leases.
func (g *Gates) Check(_ context.Context, f gate.Facts) (time.Duration, []gate.Verdict, error) {
	return f.Lease, nil, nil
}

// End implements gate.Leases.
func (g *Gates) End(context.Context, *sqldb.Tx, string) error { return nil }

// Settle implements gate.Approvals.
func (g *Gates) Settle(_ context.Context, _ *sqldb.Tx, a gate.Ask) (gate.Answer, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.answer == nil || len(a.Verdicts) == 0 {
		return gate.Answer{}, nil
	}
	return g.answer(a), nil
}

// Void implements gate.Approvals.
func (g *Gates) Void(context.Context, *sqldb.Tx, string, string) error { return nil }
