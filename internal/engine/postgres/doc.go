// Package postgres is the engine that gives each resource a database of its
// own on a PostgreSQL server (13 or newer), with an owner role, a login role,
// and no way in for anyone else.
//
// Nothing older than 13 is accepted. CI runs on 15, scripts/postgres-versions.sh
// on 13 to 18. A superuser is not needed: CREATEDB and CREATEROLE do.
//
// # The objects of a resource
//
//	database  orders_k3v9…    owned by the owner role; nothing for PUBLIC
//	role      orders_k3v9…    NOLOGIN; owns the database and all in it
//	role      orders_k3v9…_a  logs in, and becomes the owner role on doing so
//	role      orders_k3v9…_b  the other login, from the first rotation on
//
// Names are the developer's name and a hash of installation and resource id,
// nothing else, allow-listed to [a-z0-9_], at most 63 bytes, and quoted.
//
// # Whose is it
//
// Roles and databases carry a marker: a comment of compact JSON that names
// installation and resource. A role gets it in the transaction that makes it.
// CREATE DATABASE runs in no transaction, so a database is made with a mark
// that CREATE DATABASE can set by itself: ALLOW_CONNECTIONS false and a
// CONNECTION LIMIT that is a hash of installation and id, between 2^30 and
// 2^31. A database of our name that carries it is our unfinished work; nobody
// can connect to it, so there is nothing in it. One transaction then makes the
// roles, hands the database over, sets grants and comment, and opens it. So
// there is no moment in which PUBLIC may connect.
//
// A tenant owns its database and may change the database's comment, but not
// the roles': a database owned by our marked owner role is ours whatever its
// comment says. Anything else of our name is a Conflict and is left alone.
//
// # One at a time
//
// Apply, Rotate and Destroy hold a session-level advisory lock of the
// resource on the server, on the same connection that does the work. It
// outlives the caller's crash for as long as the server still works on the
// caller's last statement, so a CREATE DATABASE that was cut off cannot land
// after a Destroy looked. A worker that waits too long ends the holder's
// session: it has the fenced claim, so the holder is stale.
//
// Apply may be called early (engine.Asker): it takes the lock and looks while
// its caller still records that the run goes on, and then asks.
//
// A new database's roles are made on a second connection while the server
// copies the files; its transaction holds a second lock, waits for the database,
// finishes it and commits once. Setting a stale worker aside ends both. Then
// the database is visited, in the background: the first connection to one fills
// PostgreSQL's caches for it on the disk, which takes longer than to log in.
//
// # The pool
//
// Prepared databases are named fl_pool_<id>, with roles of the same names, all
// marked with the pool's id. Taking one renames the three in the transaction
// that also hands them over: a crash leaves it in the pool or with its
// resource, never between. The Ledger holds one record of each; Fill's sweep
// makes ledger and server agree.
//
// # What is not kept
//
// Extensions that were asked for and no longer are stay: dropping one may drop
// data. After Destroy the caller observes with Previous nil; a Previous says
// that the database should exist, and then its absence means Lost.
package postgres
