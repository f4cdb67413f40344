// Package pages mounts every page of the portal, in one place, so that the
// server and the tests that try them all mean the same.
package pages
