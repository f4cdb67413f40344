// Package systemapi tells over HTTP how the installation is.
package systemapi
