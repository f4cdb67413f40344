// Package identity answers "who are you": users, robots, teams and their
// roles, and the credentials by which they are recognised (passwords,
// sessions, API tokens, one-time links).
//
// A credential is 256 random bits, kept as its SHA-256; its kind is part of
// it, so that one kind is never taken for another. Recognising one costs a
// hash and a look into a cache that every revocation empties.
//
// Users are disabled, never removed, and robots and teams likewise: the audit
// log refers to them, and a name that once meant somebody never means another.
package identity
