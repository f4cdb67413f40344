// Package resource is the heart: what people ask for, and the one way a
// request goes. A request becomes a resource with a revision, a run and a job
// in one transaction with its audit record; a worker brings what is there to
// what is wanted and looks whether it is so; an observer keeps looking; destroy
// ends only when nothing is seen any more.
//
// The service (service.go, create.go, change.go, destroy.go, …) writes what is
// wanted. The reconciler (reconcile.go, apply.go, remove.go) compares it with
// what is there, under a fenced claim of the queue. The observer (observe.go)
// finds drift. They meet only in the records.
package resource
