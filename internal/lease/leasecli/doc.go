// Package leasecli is the commands of leases and their rules.
package leasecli
