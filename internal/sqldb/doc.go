// Package sqldb is the one code path to SQLite and to PostgreSQL.
//
// Both speak the same SQL here: numbered placeholders ($1), times as
// microseconds since the epoch in UTC (BIGINT), JSON and ids as TEXT, booleans
// as 0 and 1. Where the dialects differ, the difference is a method of DB, not
// a branch in a feature.
//
// Reads go to a pool. Writes go through DB.Write, which commits in groups:
// whatever callers want to write while a commit is under way shares the next
// one, each in a savepoint of its own, so that full durability costs one fsync
// for many. A caller is answered after its commit, never before.
package sqldb
