// Package enginetest is the conformance suite that every engine passes, and a
// fake engine that passes it too: an in-memory provider with objects, owners
// and markers, for the tests of everything above the port.
package enginetest
