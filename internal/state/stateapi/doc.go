// Package stateapi shows the states of modules over HTTP.
package stateapi
