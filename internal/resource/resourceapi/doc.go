// Package resourceapi is the HTTP face of resources and runs: requests,
// changes, plans, live logs, credentials.
package resourceapi
