// Package leaseweb is the page of leases: what ends when, the soonest first,
// with a button to let it live longer.
package leaseweb
