// Package sandbox runs one program that is not trusted.
//
// The program is started by a launcher, which is this same executable started
// anew: it enters namespaces of its own, sets the limits, becomes the
// unprivileged account, and watches. When the program is to end, or the server
// has died, it is asked to end first (SIGINT), and killed with all that it
// started when it does not.
//
// As far as the system lets it, the program has a network of its own in which
// only the addresses of Job.Listen exist, each served by the server itself; so
// there is no other host, no metadata service and no name resolution to reach.
// Level says what is in force.
package sandbox
