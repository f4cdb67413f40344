// Package accesstest holds authorizers for tests of services that ask one.
package accesstest
