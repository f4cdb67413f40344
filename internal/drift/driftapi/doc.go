// Package driftapi is the API of the history of drift and of its brake. What is
// done to one resource is in package resourceapi.
package driftapi
