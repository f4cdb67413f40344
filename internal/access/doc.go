// Package access answers "may you, and why": Cedar policies over roles and
// attributes, deny by default. It is asked by every exported service method
// before anything else happens.
//
// The policies are data, in versions; the newest is in force on every replica.
// An installation starts with policies/default.cedar. Whatever is put in force
// is type-checked against policies/schema.cedarschema, which also explains how
// roles look to a policy; it must leave a platform-admin able to change it
// again, and must not give its author what they do not hold.
//
// On the way of a decision: a token's scopes (tokenscope.go), then the rules
// whose scope matches are sliced from the set (index.go), and Cedar
// evaluates the conditions of those that have any (decide.go), on entities
// with what these look at (entity.go). A
// refusal says no more than the caller may know (refusal.go). Lists ask for a
// Scope (scope.go, relax.go), people ask Why (why.go).
//
// Fairlead's own background work (principal.System) is not subject to
// policies: a mistaken forbid must not leave things half-made. It is also the
// way out for an operator who has forbidden something to everybody.
package access
