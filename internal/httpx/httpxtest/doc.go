// Package httpxtest helps to try every operation of an API.
package httpxtest
