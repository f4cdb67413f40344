// Package identity answers "who are you": users, robots, teams and their
// roles, and the credentials by which they are recognised (passwords,
// sessions, API tokens, one-time links).
package identity
