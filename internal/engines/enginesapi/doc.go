// Package enginesapi shows a server's engines over HTTP.
package enginesapi
