// Package archtest holds the house's rules as tests: who may import whom, what
// every package must have, what no package may have.
package archtest
