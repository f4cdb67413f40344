package gatetest

import (
	"log/slog"

	"fairlead/internal/access"
	"fairlead/internal/gate"
	"fairlead/internal/sqldb"
)

// Service makes a gate.Service whose every part is g.
func (g *Gates) Service(db *sqldb.DB, a access.Authorizer) *gate.Service {
	return gate.New(gate.Options{DB: db, Access: a, Rules: g, Limits: g, Prices: g, Calendar: g, Leases: g, Approvals: g, Log: slog.New(slog.DiscardHandler)})
}
