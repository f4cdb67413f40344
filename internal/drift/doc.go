// Package drift says what is done about what is not as wanted, and remembers
// it. An engine tells the cause of every difference; a template says for each
// cause whether it is ignored, told, repaired, or asked about; and the brake
// holds repairs when so much is amiss at once that it is more likely that a
// provider shows nothing than that everything broke.
//
// It knows resources by their ids alone and looks at none: package resource
// observes, asks here what follows, and carries that out in the same
// transaction. policy.go is what follows from one look, brake.go what follows
// from many, history.go what is remembered of it, accept.go what people say is
// fine, check.go the looks that they ask for.
package drift
