// Package secretapi is the face of the master key's rotation. Secrets
// themselves are read through the resource that owns them.
package secretapi
