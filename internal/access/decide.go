package access

import (
	"fmt"

	"github.com/cedar-policy/cedar-go"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
)

// verdict is a Decision with what Why wants to know besides.
type verdict struct {
	Decision
	errors []cedar.DiagnosticError
}

// systemPolicy stands in decisions about Fairlead's own work, which no policy
// can stop: a mistaken forbid must not leave things half-made.
const systemPolicy = "built-in:system"

// erroredForbid marks a denial by a forbid that could not be evaluated.
const erroredForbid = ":error"

// decide answers one question by one index of the set.
func (s *Set) decide(x *index, r *request) verdict {
	var buf [16]*rule
	cand := x.candidates(r, slice(buf[:0]))
	v := verdict{Decision: Decision{Version: s.version}}
	if len(cand) == 0 {
		return v
	}
	r.wants = 0
	for _, c := range cand {
		r.wants |= c.wants
	}
	decision, diag := cedar.Authorize(cand, r, r.query())
	v.errors = diag.Errors
	v.Policies = idsOf(diag.Reasons)
	v.Allowed = decision == cedar.Allow
	// Cedar passes over a forbid whose condition errs. Here it denies: types
	// are checked on write, so this takes arithmetic overflow or a defect.
	for _, e := range diag.Errors {
		for _, c := range cand {
			if c.id == e.PolicyID && c.effect == cedar.Forbid {
				if v.Allowed {
					v.Policies = nil
				}
				v.Allowed, v.Policies = false, append(v.Policies, string(c.id)+erroredForbid)
			}
		}
	}
	return v
}

// ask is decide for a principal, an action and a target, token scopes
// included. The fault is Internal: the question itself makes no sense.
func (s *Set) ask(p principal.Principal, a Action, t Target) (verdict, error) {
	switch p.Kind {
	case principal.Internal:
		return verdict{Decision: Decision{Allowed: true, Policies: []string{systemPolicy}, Version: s.version}}, nil
	case principal.User, principal.Robot:
	default:
		return verdict{Decision: Decision{Version: s.version}}, nil
	}
	if p.ID == "" || !ScopeAllows(p.Scopes, a) {
		return verdict{Decision: Decision{Version: s.version}}, nil
	}
	info, kind, err := question(a, t)
	if err != nil {
		return verdict{Decision: Decision{Version: s.version}}, err
	}
	return s.decide(&s.index, newRequest(p, info, kind, t, s.scopedRoles)), nil
}

// question looks up an action and a kind that go together by the schema.
func question(a Action, t Target) (actionInfo, kindInfo, error) {
	info, ok := actionTable[a]
	kind, okKind := kinds[t.Kind]
	if !ok || !okKind || !applies(info, kind) {
		return info, kind, fault.New(fault.Internal, "internal", "internal error").
			WithCause(fmt.Errorf("access: the schema knows no %q on a %q", a, t.Kind))
	}
	return info, kind, nil
}
