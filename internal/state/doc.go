// Package state is what people may do with the states of modules: see their
// versions and who holds the lock, download one, and go back to one. The
// engine that made a state keeps it.
package state
