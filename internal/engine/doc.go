// Package engine is the port behind which a template becomes real: a
// PostgreSQL database, later an OpenTofu module, a container, a stack.
//
// An engine is a pure adapter. It knows nothing of principals, teams, queues
// or the control plane's records. What it may rely on: it is called for one
// resource by one worker at a time (a fenced claim), any call may be cut off
// by a crash at any point and be made again, and the same Ref always names the
// same external objects.
//
// The conformance suite is enginetest; every engine passes it.
package engine
