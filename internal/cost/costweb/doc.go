// Package costweb is the page of costs: what teams, projects, environments and
// resources cost, and the budgets that hold for them.
package costweb
