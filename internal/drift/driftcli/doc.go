// Package driftcli is the command line of drift: a client of the API alone.
package driftcli
