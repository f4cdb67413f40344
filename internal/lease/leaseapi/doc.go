// Package leaseapi is the API of leases and their rules.
package leaseapi
