// Package cost knows what things cost: by the price table that the platform
// team keeps, and for each template by a Rego rule beside it that says, from
// its inputs, how much it takes of which item.
//
// It implements gate.Prices: estimates before anything happens, and spans of
// what each resource cost a month, from when until when, of which reports and
// "cost so far" are sums. Money is whole millionths where it is kept.
package cost
