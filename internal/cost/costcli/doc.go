// Package costcli is the commands of what things cost: what was spent, what a
// request would cost, and the price table.
package costcli
