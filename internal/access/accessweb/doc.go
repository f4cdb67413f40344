// Package accessweb is the access explorer: may somebody do something on
// something, by which policies, and what would have to be otherwise.
package accessweb
