// Package gateweb is what plans and verdicts look like on every page that has
// them.
package gateweb
