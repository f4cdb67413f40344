// Package engines tells which engines a server has: the program that each
// works with, its version, and how what it runs is kept apart.
package engines
