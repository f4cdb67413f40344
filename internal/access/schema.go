package access

import (
	_ "embed" // the default policies and the schema
	"errors"
	"fmt"
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
	schema    *resolved.Schema
	validator *validate.Validator
	applies   []uint32 // by action bit: the kinds it is asked on
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
	v := &vocabulary{schema: r, validator: validate.New(r), applies: make([]uint32, len(actions))}
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
// lack of an attribute. The error is as Parse's.
func (s *Set) Check() error {
	var bad []fault.Violation
	for _, r := range s.rules {
		if err := theSchema().validator.Policy("", (*ast.Policy)(r.policy.AST())); err != nil {
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
		if many, ok := e.(interface{ Unwrap() []error }); ok { //nolint:errorlint // a tree is walked, not a chain
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

// ParseChecked is Parse and Check.
func ParseChecked(source string) (*Set, error) {
	s, err := Parse(source)
	if err != nil {
		return nil, err
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	return s, nil
}

var _ cedar.PolicyIterator = slice(nil)
