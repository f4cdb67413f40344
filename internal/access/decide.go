package access

import (
	"fmt"
	"slices"

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

// decide answers one question by one index of the set. A rule's scope is held
// against the request here; Cedar evaluates the conditions of those that match.
func (s *Set) decide(x *index, r *request) verdict {
	r.candidates = x.find(r, r.candidates[:0])
	v := verdict{Decision: Decision{Version: s.version}}
	if r.puid == r.ruid {
		// What the principal is in and what the thing is in are then one:
		// rare, and left to Cedar as a whole.
		r.wants, r.pwants = allAttributes, allAttributes
		if len(r.candidates) > 0 {
			v.evaluate(&r.candidates, r.candidates, r)
		}
		return v
	}
	r.conditional, r.wants, r.pwants = r.conditional[:0], 0, 0
	var forbid, permit *rule // that apply without a condition
	more := false            // of either
	for _, c := range r.candidates {
		switch {
		case !r.matches(c):
		case !c.bare:
			r.conditional = append(r.conditional, c)
			r.wants |= c.wants
			r.pwants |= c.pwants
		case c.effect == cedar.Forbid:
			more = more || forbid != nil
			forbid = c
		default:
			more = more || permit != nil
			permit = c
		}
	}
	if len(r.conditional) > 0 {
		v.evaluate((*conditions)(&r.conditional), r.conditional, r)
	}
	v.add(r, forbid, permit, more)
	return v
}

// add puts the rules that apply without a condition to what the others said: a
// forbid wins, then a permit.
func (v *verdict) add(r *request, forbid, permit *rule, more bool) {
	denied := !v.Allowed && len(v.Policies) > 0
	var effect cedar.Effect
	var decides *rule
	switch {
	case forbid != nil:
		effect, decides = cedar.Forbid, forbid
		if v.Allowed {
			v.Policies = nil
		}
	case permit != nil && !denied:
		effect, decides = cedar.Permit, permit
	default:
		return
	}
	v.Allowed = effect == cedar.Permit
	if !more && len(v.Policies) == 0 {
		v.Policies = decides.reason[:1:1]
		return
	}
	for _, c := range r.candidates {
		if c.bare && c.effect == effect && r.matches(c) {
			v.Policies = append(v.Policies, string(c.id))
		}
	}
	slices.Sort(v.Policies)
}

// evaluate asks Cedar about some rules.
func (v *verdict) evaluate(policies cedar.PolicyIterator, cand slice, r *request) {
	decision, diag := cedar.Authorize(policies, r, r.query())
	v.errors = diag.Errors
	v.Policies = idsOf(diag.Reasons, cand)
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
	return s.settle(&s.index, p, info, kind, t), nil
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
