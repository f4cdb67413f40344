// Package identityweb is the pages about who one is: signing in by password or
// by a one-time link, signing out, one's own account.
package identityweb
