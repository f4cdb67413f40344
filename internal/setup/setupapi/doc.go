// Package setupapi is the API of first steps.
package setupapi
