// Package redact holds the type that every secret value travels in. It shows
// itself as [redacted] in every rendering that Go knows: fmt with any verb,
// JSON, text, slog and errors. The one way to the value is Reveal, which makes
// each disclosure easy to find in review.
package redact
