// Package project holds what requests are made in: projects, owned by teams,
// and their environments (development, staging, production).
//
// A project or an environment is deleted only when nothing is left in it, and
// its row stays: the history of its resources refers to it.
package project
