// Package identityweb is the page behind a one-time sign-in link, until the
// portal takes its place: it signs a browser in and says how to go on.
package identityweb
