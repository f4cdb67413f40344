// Package quota keeps limits on what may be taken: how many resources, how
// much of the units that templates declare (cpu, memory, storage, …), and what
// it costs a month (a budget), for the organisation, a team, a project or an
// environment, and there for one class or one template.
//
// It implements gate.Limits. A resource's holdings and what is used of each
// limit change in one transaction with the request itself, so that requests
// that race cannot overshoot. Amounts are whole millionths: sums do not drift.
package quota
