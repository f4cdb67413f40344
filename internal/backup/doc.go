// Package backup copies the whole control plane to one encrypted stream while
// it runs, and puts it back into an empty store, of either kind.
//
// # The format
//
// age (recipients, or a passphrase) around gzip around tar. The tar holds, in
// this order:
//
//	header.json              format, schema version, when
//	tables/NAME/000001.jsonl a table in pieces of about 1 MiB: one line
//	                         {"table":…,"columns":[…]}, then a JSON array a row;
//	                         bytes are {"bytes":"base64"}
//	keys/NAME                the master key ring, the audit signing key
//	manifest.json            rows a table, SHA-256 of each entry, where the
//	                         audit chain ends
//
// Tables stand in the order of their references, so that they can be loaded as
// they come. Nothing is held in memory but a piece and a row.
//
// The keys are inside because a store without its master key is worth nothing,
// and because the stream is encrypted: whoever can decrypt a backup has
// everything. Guard the age identity accordingly, and not next to the backups.
//
// age tells that a backup was not damaged or cut short; with recipients it
// does not tell who made it. Restore only what comes from a place you trust.
//
// # Restore
//
// The server is stopped. The store must be empty. Everything happens in one
// transaction, which commits after the digests, the row counts and the audit
// chain were found right; the key files are written before it and taken back
// if it fails. External objects that the restored records do not know, because
// they were made after the backup, are listed as suspects; nothing is deleted.
package backup
