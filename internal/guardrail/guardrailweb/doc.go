// Package guardrailweb is the pages of guardrails: what is in force, what each
// rule can do, putting versions in force and taking them back, and what stands
// against them.
package guardrailweb
