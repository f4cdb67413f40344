// Package whyapi answers "why?" over HTTP.
package whyapi
