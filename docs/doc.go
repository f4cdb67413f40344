// Package docs holds what the server shows of the documentation.
package docs
