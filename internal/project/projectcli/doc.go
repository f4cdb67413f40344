// Package projectcli is the commands of projects and environments, and the
// choice of the ones in use.
package projectcli
