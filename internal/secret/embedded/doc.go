// Package embedded keeps secrets in the control database, encrypted.
//
// Each value is encrypted with AES-256-GCM under a data key of its own; the
// data key is wrapped by the master key, likewise. Both are bound to the row's
// id, owner and name as associated data, so that a row that was copied over
// another opens nothing.
//
// The master key is in DATA/keys/master.key (0600), made on first start, or in
// the environment variable FAIRLEAD_MASTER_KEY: 32 bytes in base64, or several
// separated by commas, of which the first is the active one. The database
// knows keys by id, a hash. A replica that lacks the active key does not
// start, and never makes one of its own beside it.
//
// # Rotation
//
// Rotate puts the new key into the ring file first, and then, in one
// transaction, makes it active and announces it to the other replicas, wrapped
// by the old one. From then on every Put uses it; Run wraps the other secrets'
// data keys anew, in batches. When none is left and the replicas have had
// their time, the announcement and the old key go, and the old key leaves each
// ring file. Every step can be done again, so a crash anywhere costs nothing.
//
// Whoever has the old key and a copy of the database from that time has the
// new key, too. After a theft of the key itself set the new key in the
// environment of every replica instead: "new,old" announces nothing.
package embedded
