// Package auditweb is the page of the audit log: who did what, searched, with
// whether the chain is whole.
package auditweb
