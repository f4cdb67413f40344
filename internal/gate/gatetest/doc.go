// Package gatetest has gates for tests: open ones, and ones that say what the
// test tells them to.
package gatetest
