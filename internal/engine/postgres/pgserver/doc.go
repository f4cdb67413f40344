// Package pgserver runs a PostgreSQL server of Fairlead's own from the
// machine's PostgreSQL binaries: its own data directory, its own port on
// 127.0.0.1, scram-sha-256 for everyone, full durability, never as root.
//
// Everything about it is found in one folder, Options.Dir: server.json (where
// the data lives, which port, under which account), password (0600) and lock.
// The data itself lives below it too, unless the account that must run the
// server cannot reach it there (a folder below /root, say): then it lives in
// /var/lib/fairlead-<hash of Dir>, and server.json says so. Remove takes both
// away.
//
// The server outlives a crash of Fairlead, so that tenants keep their
// databases meanwhile: the next Start finds it and adopts it. Stop ends it.
package pgserver
