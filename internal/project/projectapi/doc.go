// Package projectapi is the API of projects and environments.
package projectapi
