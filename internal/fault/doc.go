// Package fault holds the kinds of error that cross a package border, and
// keeps what a caller may read apart from what only an operator may read.
//
// Services return *fault.Error; faces turn its Kind into a status by one
// ordered table each. An error of any other type is shown as "internal error"
// with the request's id, and its text goes to the log alone.
package fault
