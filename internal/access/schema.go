package access

import (
	_ "embed" // the default policies and the schema
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/resolved"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"

	"fairlead/internal/fault"
)

//go:embed policies/default.cedar
var defaultSource string

//go:embed policies/schema.cedarschema
var schemaSource string

// DefaultPolicies is the text that a new installation starts with.
func DefaultPolicies() string { return defaultSource }

// Schema is the vocabulary that policies are checked against.
func Schema() string { return schemaSource }

type vocabulary struct {
	schema  *resolved.Schema
	applies []uint32 // by action bit: the kinds it is asked on
}

// validatorFor checks policies about certain actions. The library goes through
// every combination of action, principal and resource of the schema that it is
// given; one with only the actions in question gives the same answers sooner.
func (v *vocabulary) validatorFor(bits actionBits) *validate.Validator {
	part := *v.schema
	if bits != 0 && bits != allActions { // 0: unknown actions, to be reported
		part.Actions = maps.Clone(part.Actions)
		for _, info := range actionTable {
			if bits&(1<<info.bit) == 0 {
				delete(part.Actions, info.uid)
			}
		}
	}
	return validate.New(&part)
}

// theSchema is compiled once; it is part of the binary, so a mistake in it is
// found by any test.
var theSchema = sync.OnceValue(func() *vocabulary {
	var s schema.Schema
	s.SetFilename("schema.cedarschema")
	if err := s.UnmarshalCedar([]byte(schemaSource)); err != nil {
		panic("access: " + err.Error())
	}
	r, err := s.Resolve()
	if err != nil {
		panic("access: " + err.Error())
	}
	v := &vocabulary{schema: r, applies: make([]uint32, len(actions))}
	for _, info := range actionTable {
		a, ok := r.Actions[info.uid]
		if !ok || a.AppliesTo == nil {
			panic("access: the schema lacks the action " + string(info.uid.ID))
		}
		for _, t := range a.AppliesTo.Resources {
			v.applies[info.bit] |= typeMask(t)
		}
	}
	return v
})

func applies(a actionInfo, k kindInfo) bool { return theSchema().applies[a.bit]&(1<<k.bit) != 0 }

// Check type-checks the set against the schema. What it passes cannot err for
// lack of an attribute. Policies that base has too were checked with it; base
// may be nil. The error is as Parse's.
func (s *Set) Check(base *Set) error {
	var bad []fault.Violation
	validators := map[actionBits]*validate.Validator{}
	for _, r := range s.rules {
		if base != nil && base.byID[r.id] != nil && sameRule(r, base.byID[r.id]) {
			continue
		}
		bits := r.actions
		if unknownAction(r) {
			bits = 0
		}
		v := validators[bits]
		if v == nil {
			v = theSchema().validatorFor(bits)
			validators[bits] = v
		}
		if err := v.Policy("", (*ast.Policy)(r.policy.AST())); err != nil {
			for _, msg := range distinct(err) {
				bad = append(bad, violationAt(r.policy.Position(), fmt.Sprintf("policy %q: %s", r.id, msg)))
			}
		}
		if len(bad) > maxReported {
			break
		}
	}
	if len(bad) > 0 {
		return invalidPolicy(bad)
	}
	return nil
}

func distinct(err error) []string {
	var out []string
	var walk func(error)
	walk = func(e error) {
		if many, ok := e.(interface{ Unwrap() []error }); ok {
			for _, one := range many.Unwrap() {
				walk(one)
			}
			return
		}
		if msg := strings.TrimSpace(e.Error()); !slices.Contains(out, msg) {
			out = append(out, msg)
		}
	}
	walk(errors.Join(err))
	return out
}

// unknownAction tells whether a policy's scope names an action that is none.
func unknownAction(r *rule) bool {
	switch sc := (*ast.Policy)(r.policy.AST()).Action.(type) {
	case ast.ScopeTypeEq:
		return bitOf(sc.Entity) == 0
	case ast.ScopeTypeIn:
		return bitOf(sc.Entity) == 0
	case ast.ScopeTypeInSet:
		return slices.ContainsFunc(sc.Entities, func(u cedar.EntityUID) bool { return bitOf(u) == 0 })
	}
	return false
}

// ParseChecked is Parse and Check.
func ParseChecked(source string, base *Set) (*Set, error) {
	s, err := Parse(source)
	if err != nil {
		return nil, err
	}
	if err := s.Check(base); err != nil {
		return nil, err
	}
	return s, nil
}

var _ cedar.PolicyIterator = slice(nil)
