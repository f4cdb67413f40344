// Package replayapi is the backtest's face on the API: one operation that
// tells how far it is, line by line, and then what it found.
package replayapi
