// Package compliance holds what stands there against the guardrails in force:
// after each change of them, every night and on demand it looks at every
// living resource, and keeps what it found with its age, until it is mended.
package compliance
