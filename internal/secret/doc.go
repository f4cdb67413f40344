// Package secret keeps values that must be nowhere else: the sensitive outputs
// of resources, and sensitive inputs. Records hold their names alone.
//
// Who may read a value is decided by the service that owns the resource, which
// also records the disclosure. What is decided here is who may rotate the
// master key.
package secret
