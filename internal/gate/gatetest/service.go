package gatetest

import (
	"log/slog"

	"fairlead/internal/access"
	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

// Real are parts that stand in for g's own; nil leaves g's.
type Real struct {
	Leases    gate.Leases
	Calendar  gate.Calendar
	Approvals gate.Approvals
	Limits    gate.Limits
}

// Use has the services that are made from now on ask these.
func (g *Gates) Use(r Real) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.real = r
}

// Service makes a gate.Service whose every part is g, but for what Use named.
func (g *Gates) Service(db *sqldb.DB, a access.Authorizer) *gate.Service {
	g.mu.Lock()
	defer g.mu.Unlock()
	o := gate.Options{DB: db, Access: a, Rules: g, Limits: g, Prices: g, Calendar: g, Leases: g, Approvals: g, Log: slog.New(slog.DiscardHandler)}
	if g.real.Leases != nil {
		o.Leases = g.real.Leases
	}
	if g.real.Calendar != nil {
		o.Calendar = g.real.Calendar
	}
	if g.real.Approvals != nil {
		o.Approvals = g.real.Approvals
	}
	if g.real.Limits != nil {
		o.Limits = g.real.Limits
	}
	return gate.New(o)
}
