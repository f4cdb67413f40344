// Package gateapi shows over HTTP what the gates decided.
package gateapi
