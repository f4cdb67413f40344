// Package backupcli is the command that backs up the control plane.
package backupcli
