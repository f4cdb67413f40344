// Package costapi is the API of prices, estimates and costs.
package costapi
