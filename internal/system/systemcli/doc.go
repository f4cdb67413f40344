// Package systemcli is the commands about how the installation is.
package systemcli
