// Package iacstate keeps the states of OpenTofu and Terraform modules and
// serves them in the protocol of the "http" backend to the children that work
// on them.
//
// A state is encrypted under a key of its own, which is kept among the secrets
// and goes with the state. Who may write is fenced: each run that might write
// claims the state under a growing epoch, and a run of an older epoch is
// refused from then on, lock or no lock. So a lock that a dead run left behind
// is released exactly when its successor has the claim, and never by its age.
package iacstate
