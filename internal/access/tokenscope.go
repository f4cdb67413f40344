package access

import (
	"strings"

	"fairlead/internal/fault"
)

// ScopeAllows tells whether a token's scopes let an action through. No scopes
// let everything through that the principal may do; an entry that is not
// understood lets nothing through.
func ScopeAllows(scopes []string, a Action) bool {
	if len(scopes) == 0 {
		return true
	}
	info := actionTable[a]
	for _, s := range scopes {
		kind, verb, ok := strings.Cut(s, ":")
		if ok && (kind == "*" || kind == info.kind) && (verb == "*" || verb == info.verb) && info.kind != "" {
			return true
		}
	}
	return false
}

// CheckScopes refuses scopes that could never match anything: each is
// "kind:verb", where either may be "*".
func CheckScopes(scopes []string) error {
	for _, s := range scopes {
		known := false
		for _, a := range actions {
			known = known || ScopeAllows([]string{s}, a)
		}
		if !known {
			return fault.New(fault.Invalid, "unknown_scope", "%q is no scope", s).WithField("/scopes").
				WithHint("a scope is kind:verb, such as resource:view; either may be *, as in resource:* or *:view")
		}
	}
	return nil
}
