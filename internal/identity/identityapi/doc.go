// Package identityapi is identity's face on the API: sign-in, one's own
// account, users, robots, teams, roles and tokens.
package identityapi
