// Package apiclient is the Go client of Fairlead's API. Its operations are
// generated from the OpenAPI document (client.gen.go, by tools/oapi/generate);
// written by hand is what makes them safe to use: errors with codes and hints,
// an Idempotency-Key on every mutation, retries that cannot do a thing twice,
// event streams that go on after a break, and a token that goes to its own
// server alone.
package apiclient
