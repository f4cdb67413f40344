// Package replay is the backtest. It tells what other guardrails would have
// decided: it replays recorded decisions, and looks at all that stands there
// now, with a bundle that is not in force, and gives exactly what would be
// different. It changes nothing; only that it was done is in the audit log.
package replay
