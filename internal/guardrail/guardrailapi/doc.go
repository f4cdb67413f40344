// Package guardrailapi is the guardrails' face on the API: bundles are pushed,
// tested, compared, put in force and out of it, and asked.
package guardrailapi
