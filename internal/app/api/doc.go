// Package api is every operation of the API in one place, apart from the rest
// of the wiring, so that its document can be made without the command line,
// whose client is generated from it.
package api
