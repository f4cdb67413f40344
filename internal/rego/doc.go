// Package rego compiles and evaluates Rego policies that strangers wrote: with
// OPA inside, without network, clock, files or randomness, within bounds of
// size, time, memory and output, and with errors that name file and line.
//
// A Program is compiled once, a Query of it is prepared once and evaluated
// often, by many at a time. What a policy does wrong while it runs is a *Error
// that says which kind of wrong; it never takes the process with it.
package rego
