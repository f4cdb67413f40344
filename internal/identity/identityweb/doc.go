// Package identityweb is the pages about who one is: signing in by password or
// by a one-time link, signing out, one's own account and tokens; and about who
// others are: teams, their members and robots.
package identityweb
