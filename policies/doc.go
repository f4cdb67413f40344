// Package policies holds the guardrails that Fairlead ships, one bundle a
// folder. They are pushed at start and put in force by nobody but you; a
// changed one needs a new version. What is below examples is not shipped in
// the binary.
package policies
