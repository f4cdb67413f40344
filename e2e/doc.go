// Package e2e tries the built binary as a whole, from outside: over HTTP, with
// signals, and by looking into the databases behind it. It holds the kill
// suite (every failpoint on both stores), the faults of the surroundings
// (databases that die or hang, a full disk, stopped workers, racing replicas),
// the strangers (every operation with every foreign caller) and bad input.
//
// Plain `go test ./e2e` runs a short form with a random sample of failpoints.
// `make torture` runs all of it; it prints its seed, and SEED=n repeats it.
package e2e
