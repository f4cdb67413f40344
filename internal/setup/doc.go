// Package setup is the first steps: what a new installation, and a new
// developer, has done of them and what comes next.
//
// Nothing is kept about how far somebody has come. Each step is a fact about
// what there is, so that it does not matter by which way it came about: the
// portal's first run, a command, a program. All that is stored is who does not
// want to see the list any more.
package setup
