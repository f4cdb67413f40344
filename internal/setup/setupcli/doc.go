// Package setupcli is the command of first steps.
package setupcli
