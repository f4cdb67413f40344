// Package driftweb is the list of what is not as wanted, over all that somebody
// may see, with the mass-drift brake. What differs on one resource, and what to
// do about it, is on the resource's own pages.
package driftweb
