// Package clikit is what every command stands on: where the server is and who
// asks (context file, environment, flags), requests that carry the token to
// its own server only, output as table, JSON, YAML or names, progress that is
// live on a terminal and plain lines elsewhere, errors that say what to do
// next, and the one table of exit codes.
//
// Standard output carries the result and nothing else; progress, questions
// and errors go to standard error.
package clikit
