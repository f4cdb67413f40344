// Package accessapi is access's API face: why somebody may or may not, and the
// policies in their versions.
package accessapi
