// Package iac is the engine that makes OpenTofu and Terraform modules real. It
// runs the program as a child in a sandbox, keeps the state itself
// (iacstate), and applies the plan that was shown or none.
//
// What belongs to a resource is what its state names. A state is written by
// the one run that has claimed it; what a run could not deliver before it died
// is recovered by the next one.
package iac
