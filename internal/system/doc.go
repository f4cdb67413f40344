// Package system tells how the installation is: its servers, store, queue,
// engines, backups, audit chain, and whatever else a person is called for in
// the night, each with what to do when it is bad. Each server writes now and
// then that it is alive and what it measured; whoever is asked reads what all
// of them wrote.
package system
