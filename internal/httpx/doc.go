// Package httpx is what every API face stands on: operations registered from
// code (and so OpenAPI), faults turned into problem+json by one table, pages
// and cursors, and the middleware of the one way in: request id, limits, who
// are you, idempotency.
package httpx
