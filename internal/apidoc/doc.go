// Package apidoc serves what the API says of itself: the OpenAPI document made
// from the code, a reference page that needs no network, and a page for each
// error code.
//
// Everything is under a strict Content-Security-Policy: scripts and styles
// come from this server alone, and the page may talk to nobody else.
package apidoc
