// Package loop runs background work: what every replica does now and then, and
// what one of them does for all (the leader of that loop, by a lease on the
// database's clock).
package loop
