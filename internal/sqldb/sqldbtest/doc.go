// Package sqldbtest gives tests a migrated database of their own, on both
// stores. The PostgreSQL server is a real one, started once a test binary
// from the machine's binaries, and gone when the binary ends.
package sqldbtest
