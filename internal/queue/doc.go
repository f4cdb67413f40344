// Package queue is the work queue: one row a resource, in the same database as
// the records, so that intent and job are one transaction.
//
// It is level-triggered. A row says "look at this resource", never what to do;
// the handler compares what is wanted with what is there. Enqueuing a key
// again only raises its generation and makes it due. A claim is a lease on the
// database's clock with a fence that grows at each claim; every write of a
// claimant checks its fence, so a worker that slept past its lease changes
// nothing when it wakes up.
package queue
