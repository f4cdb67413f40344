// Package complianceapi is compliance's face on the API: what stands against
// the guardrails in force, how the teams stand, and a run on demand.
package complianceapi
