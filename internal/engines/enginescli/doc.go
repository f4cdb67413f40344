// Package enginescli is the command about a server's engines.
package enginescli
