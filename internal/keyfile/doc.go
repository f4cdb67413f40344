// Package keyfile keeps small secret files: created once and never
// overwritten by accident, readable by their owner alone, on disk before
// anyone relies on them.
package keyfile
