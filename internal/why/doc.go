// Package why explains: why a resource is as it is, from the request over the
// gates and the run to the engine's own error, who can do something about it,
// and what, with the exact command. It decides nothing and keeps nothing; it
// reads what the others have recorded and puts it in order.
package why
