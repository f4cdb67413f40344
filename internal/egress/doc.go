// Package egress is the one way by which the server asks others. Whatever a
// user can name (a webhook's URL, later a forge or a registry) is asked through
// it; nothing else in the server dials.
//
// It refuses what only the server's own network should reach: it looks at the
// address that is actually dialled, after the name was resolved, so that no
// spelling, no redirect and no change of a name's address gets around it. The
// operator allows private places one by one.
package egress
