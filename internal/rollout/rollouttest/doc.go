// Package rollouttest is a bench for rollouts: the service over a bench of
// resources, with versions and people that are as the test wants them.
package rollouttest
