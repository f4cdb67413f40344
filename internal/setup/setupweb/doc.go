// Package setupweb is the first run: from the first sign-in to a first
// resource that is ready, and the colleagues to show it to.
package setupweb
