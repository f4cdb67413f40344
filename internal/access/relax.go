package access

import (
	"strings"
	"sync"

	"github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"fairlead/internal/principal"
)

// A list cannot ask about every single thing, so Scope asks about the places
// that things are in: "a resource in this environment". Policies may look at
// what such a place does not tell (the resource's template, its owner, its
// tags). To stay sound, each level has policies of its own in which what is
// unknown counts against the caller: a permit that depends on it is left out,
// a forbid that depends on it is taken to apply. A list therefore never shows
// what Check would hide; it may show less.

// level is how much of a thing's place is known.
type level int

const (
	levelNone level = iota // nothing: what holds here holds everywhere
	levelTeam
	levelProject
	levelEnvironment
	levels
)

// knownAttributes of the resource, by level.
var knownAttributes = [levels]map[string]bool{
	levelNone:        {},
	levelTeam:        {"team": true},
	levelProject:     {"team": true, "project": true},
	levelEnvironment: {"team": true, "project": true, "environment": true, "class": true},
}

var knownTypes = [levels]map[cedar.EntityType]bool{
	levelNone:        {typeOrganisation: true},
	levelTeam:        {typeOrganisation: true, typeTeam: true},
	levelProject:     {typeOrganisation: true, typeTeam: true, typeProject: true},
	levelEnvironment: {typeOrganisation: true, typeTeam: true, typeProject: true, typeEnvironment: true},
}

// lists are the index of each level, made when first asked for.
type lists [levels]func() *index

func (s *Set) compileLists() {
	for l := range levels {
		s.lists[l] = sync.OnceValue(func() *index {
			var rules []*rule
			for _, r := range s.rules {
				if r.actions&viewActions == 0 {
					continue
				}
				if relaxed := r.against(l); relaxed != nil {
					rules = append(rules, relaxed)
				}
			}
			x := newIndex(rules)
			return &x
		})
	}
}

var viewActions = func() actionBits {
	var bits actionBits
	for _, info := range actionTable {
		if info.verb == "view" {
			bits |= 1 << info.bit
		}
	}
	return bits
}()

// against gives r with all that is unknown at l counted against the caller;
// nil when nothing is left.
func (r *rule) against(l level) *rule { return r.relax(l, r.effect == cedar.Forbid) }

// inFavour is the opposite: unknown permits apply, unknown forbids do not.
func (r *rule) inFavour(l level) *rule { return r.relax(l, r.effect == cedar.Permit) }

// relax drops what depends on the unknown when widen is set, else it drops the
// whole rule.
func (r *rule) relax(l level, widen bool) *rule {
	tree := *(*ast.Policy)(r.policy.AST())
	scope, scopeKnown := relaxScope(tree.Resource, l)
	conds, condsKnown := relaxConditions(tree.Conditions, l)
	whom, whomKnown := tree.Principal, true
	if widen { // a rule that is narrowed may keep it: a role that counts without a team counts in each
		whom, whomKnown = relaxPrincipal(tree.Principal, l)
	}
	switch {
	case scopeKnown && condsKnown && whomKnown:
		return r
	case !widen:
		return nil
	}
	tree.Principal, tree.Resource, tree.Conditions = whom, scope, conds
	return newRule(r.id, cedar.NewPolicyFromAST((*cedarast.Policy)(&tree)))
}

// knownAt tells whether r looks at nothing but what l tells.
func (r *rule) knownAt(l level) bool {
	tree := (*ast.Policy)(r.policy.AST())
	_, scopeKnown := relaxScope(tree.Resource, l)
	_, condsKnown := relaxConditions(tree.Conditions, l)
	return scopeKnown && condsKnown
}

func relaxScope(s ast.IsResourceScopeNode, l level) (ast.IsResourceScopeNode, bool) {
	switch sc := s.(type) {
	case ast.ScopeTypeEq:
		return ast.ScopeTypeIs{Type: sc.Entity.Type}, false
	case ast.ScopeTypeIn:
		if !knownTypes[l][sc.Entity.Type] {
			return ast.ScopeTypeAll{}, false
		}
	case ast.ScopeTypeIsIn:
		if !knownTypes[l][sc.Entity.Type] {
			return ast.ScopeTypeIs{Type: sc.Type}, false
		}
	}
	return s, true
}

// relaxPrincipal: who has a role depends on the team of the thing.
func relaxPrincipal(s ast.IsPrincipalScopeNode, l level) (ast.IsPrincipalScopeNode, bool) {
	switch sc := s.(type) {
	case ast.ScopeTypeIn:
		if !knownRole(sc.Entity, l) {
			return ast.ScopeTypeAll{}, false
		}
	case ast.ScopeTypeIsIn:
		if !knownRole(sc.Entity, l) {
			return ast.ScopeTypeIs{Type: sc.Type}, false
		}
	}
	return s, true
}

// knownRole tells whether being in u does not depend on a team that l leaves
// open. Role::"x@team" names its team.
func knownRole(u cedar.EntityUID, l level) bool {
	return l >= levelTeam || u.Type != typeRole || strings.Contains(string(u.ID), "@") || u == roleUIDs[principal.PlatformAdmin]
}

func relaxConditions(conds []ast.ConditionType, l level) (kept []ast.ConditionType, all bool) {
	all = true
	for _, c := range conds {
		for _, part := range conjuncts(c) {
			if knownNode(part.Body, l) {
				kept = append(kept, part)
			} else {
				all = false
			}
		}
	}
	return kept, all
}

// conjuncts splits a condition into parts that must all hold:
// when {a && b} is a and b, unless {a || b} is not a and not b.
func conjuncts(c ast.ConditionType) []ast.ConditionType {
	var left, right ast.IsNode
	switch n := c.Body.(type) {
	case ast.NodeTypeAnd:
		if c.Condition == ast.ConditionWhen {
			left, right = n.Left, n.Right
		}
	case ast.NodeTypeOr:
		if c.Condition == ast.ConditionUnless {
			left, right = n.Left, n.Right
		}
	}
	if left == nil {
		return []ast.ConditionType{c}
	}
	return append(conjuncts(ast.ConditionType{Condition: c.Condition, Body: left}),
		conjuncts(ast.ConditionType{Condition: c.Condition, Body: right})...)
}

// knownNode tells whether an expression looks at nothing of the resource but
// what l tells, and its type.
func knownNode(body ast.IsNode, l level) bool {
	known := true
	ast.Inspect(ast.NewNode(body), func(n ast.IsNode) bool {
		switch n := n.(type) {
		case ast.NodeTypeAccess:
			if isResource(n.Arg) {
				known = known && knownAttributes[l][string(n.Value)]
				return false
			}
		case ast.NodeTypeHas:
			if isResource(n.Arg) {
				known = known && knownAttributes[l][string(n.Value)]
				return false
			}
		case ast.NodeTypeIs:
			return !isResource(n.Left)
		case ast.NodeTypeIn:
			if isResource(n.Left) {
				v, _ := n.Right.(ast.NodeValue)
				u, ok := v.Value.(cedar.EntityUID)
				known = known && ok && knownTypes[l][u.Type]
				return false
			}
			if isPrincipal(n.Left) && l < levelTeam {
				v, _ := n.Right.(ast.NodeValue)
				u, ok := v.Value.(cedar.EntityUID)
				known = known && ok && knownRole(u, l)
			}
		case ast.NodeTypeIsIn:
			if isPrincipal(n.Left) && l < levelTeam {
				v, _ := n.Entity.(ast.NodeValue)
				u, ok := v.Value.(cedar.EntityUID)
				known = known && ok && knownRole(u, l)
			}
		case ast.NodeTypeVariable:
			known = known && n.Name != "resource"
		}
		return true
	})
	return known
}

func isResource(n ast.IsNode) bool {
	v, ok := n.(ast.NodeTypeVariable)
	return ok && v.Name == "resource"
}

func isPrincipal(n ast.IsNode) bool {
	v, ok := n.(ast.NodeTypeVariable)
	return ok && v.Name == "principal"
}

// looksAtIDs tells whether a policy compares ids as text, or may.
func looksAtIDs(p *cedar.Policy) bool {
	found := false
	for _, c := range (*ast.Policy)(p.AST()).Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			if a, ok := n.(ast.NodeTypeAccess); ok && a.Value == "id" {
				if v, ok := a.Arg.(ast.NodeTypeVariable); !ok || v.Name != "principal" {
					found = true
				}
			}
			return true
		})
	}
	return found
}
