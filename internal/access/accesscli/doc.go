// Package accesscli is the commands of access: why somebody may or may not,
// and the policies.
package accesscli
