// Package sourcecli is the templates' sources on the command line: a client of
// the API.
package sourcecli
