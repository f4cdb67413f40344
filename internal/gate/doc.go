// Package gate is what a request and its plan must pass before anything
// happens: guardrails, quotas and budgets, change windows and freezes,
// approvals. It holds their common words (Facts, Verdict, Judgement, Binding)
// and the one place that asks all of them, so that a person sees every verdict
// at once, and a worker one answer: go, wait, or no.
//
// What decides is elsewhere: guardrail, quota, cost, calendar, lease and
// approval each know their own matter and meet here through the interfaces of
// service.go. Nothing in here is Rego, SQL of theirs, or HTTP.
package gate
