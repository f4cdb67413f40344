// Package sourcetest makes repositories for tests, and serves them.
package sourcetest
