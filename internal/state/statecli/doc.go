// Package statecli is the commands about the states of modules.
package statecli
