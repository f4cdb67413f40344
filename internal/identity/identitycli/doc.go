// Package identitycli is the commands of identity: signing in and out, teams,
// users, robots and tokens.
package identitycli
