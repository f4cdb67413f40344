// Package resourcetest is a bench for what works with resources: a service on
// a real database, with fakes for what it consumes and an engine that does as
// it is told.
package resourcetest
