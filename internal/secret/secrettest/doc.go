// Package secrettest is what every secret.Store must pass, and an in-memory
// one for the tests of features.
package secrettest
