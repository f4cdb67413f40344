// Package rolloutweb is the rollouts: the list, and one as it goes, with what
// it changes, what has to be agreed to, its waves and its members, and the
// buttons that steer it.
package rolloutweb
