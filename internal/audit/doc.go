// Package audit keeps the record of who did what, on what, from where, and by
// which decision: append-only, hash-chained, signed at checkpoints, so that
// anyone can verify an export offline.
//
// A mutation appends inside its own transaction: without the record there is
// no mutation. The chain's links are made once a commit group, so that the
// chain costs a hash a record and not an fsync.
package audit
