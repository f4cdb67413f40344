// Package lease says how long resources and environments may live, and ends
// them when that is over: rules by class of environment, leases with an owner,
// warnings, extensions, the destruction, and the proof of it.
//
// It implements gate.Leases. A lease is of one thing; what is in a leased
// environment ends with it at the latest. All times are the database's clock.
// Extending and ending are decided in one transaction each on the lease's row,
// so exactly one of them wins.
//
// gate.go is what requests meet, extend.go what people do, turn.go the loop,
// ending.go the way from an end to its proof.
package lease
