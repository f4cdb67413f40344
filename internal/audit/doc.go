// Package audit keeps the record of who did what, on what, from where, and by
// which decision: append-only, hash-chained, signed at checkpoints, so that
// anyone can verify an export offline.
//
// A mutation appends inside its own transaction: without the record there is
// no mutation. The chain's links are made once a commit group, so that the
// chain costs a hash a record and not an fsync.
//
// # The export and its canonical form
//
// An export is JSON Lines. Whoever verifies it needs nothing but the file (and
// a public key they trust), and re-serialises nothing: what is hashed is what
// stands in the file, byte for byte.
//
//	{"export":{"format":"fairlead-audit/v1","at":"…"}}
//	{"key":{"id":"…","ed25519":"base64…"}}                       one or more
//	{"prev":"64 hex","record":{"seq":1,…},"hash":"64 hex"}       seq 1, 2, 3, …
//	{"checkpoint":{"seq":…,"hash":"…","at":"…","key":"…","signature":"base64…"}}
//	{"final":{"seq":…,"hash":"…","at":"…","key":"…","signature":"base64…"}}
//
// A record's hash is the SHA-256 of its line from the first byte up to, and
// without, `,"hash":`. Its prev is the hash of the record before it, and 64
// zeros for the first. So one record is checked with sed and sha256sum.
//
// A checkpoint stands right after the record that it is about. Its signature
// is Ed25519 over the text
//
//	fairlead-audit/v1 checkpoint\nSEQ\nHASH\nAT\nKEY\n
//
// with SEQ in decimal and the others as written in the line; that of the last
// line has "final" for "checkpoint". The final line is made for each export
// and kept nowhere else, so an export that was cut short cannot be passed off
// as whole.
//
// The fields of a record stand in a fixed order (see appendRecord); strings
// are escaped as RFC 8785 says; times are RFC 3339 in UTC with microseconds.
//
// # What the chain proves
//
// Somebody who can write to the database, but has no signing key, can change
// nothing that a checkpoint covers without Verify naming it. Before this
// process signs, it checks the chain from what it signed last (which it
// remembers outside of the database, too) to the head, so it does not lend
// its signature to a rewritten tail.
package audit
