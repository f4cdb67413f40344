// Package resourcecli is the commands of resources and runs: request, plan,
// apply, look at, connect to, change, and destroy what a developer asked for.
package resourcecli
