// Package guardrail keeps and asks the rules that the platform team wrote in
// Rego: bundles of policies, versioned, signed and tested, of which some are
// in force. It implements gate.Rules.
//
// A Bundle is a folder of policies as somebody pushed it; a Set is the bundles
// that are asked together, and knows which of their rules a request falls
// under; the Service stores bundles, puts them in force and out of it, and
// guards the rules that guard that.
package guardrail
