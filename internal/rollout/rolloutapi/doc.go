// Package rolloutapi is the API of rollouts, of pins and exemptions, and of the
// upgrade of one resource.
package rolloutapi
