// Package regex holds regular expressions that are compiled when they are
// first used. There are dozens in this program, of which a command or a start
// of the server uses a few; regexp.MustCompile in a package's variables
// compiles all of them before main begins.
package regex
