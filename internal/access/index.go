package access

import (
	"iter"

	"github.com/cedar-policy/cedar-go"
)

// index finds the rules that can match a request without looking at the
// others. cedar-go evaluates whatever it is given one by one, so what it is
// given must not grow with the set: each rule is filed once, under the most
// telling part of its scope: the thing that the resource is in, else the role
// or principal, else the action.
//
// It only ever leaves out rules whose scope cannot match.
type index struct {
	byResource  map[cedar.EntityUID]*bucket
	byPrincipal map[cedar.EntityUID]*bucket
	rest        bucket
}

// bucket holds rules by action; any is for those over all or many actions.
type bucket struct {
	any      []*rule
	byAction map[int][]*rule
}

const manyActions = 8

func (b *bucket) add(r *rule) {
	bits := 0
	for i := range actions {
		if r.actions&(1<<i) != 0 {
			bits++
		}
	}
	if bits > manyActions {
		b.any = append(b.any, r)
		return
	}
	if b.byAction == nil {
		b.byAction = map[int][]*rule{}
	}
	for i := range actions {
		if r.actions&(1<<i) != 0 {
			b.byAction[i] = append(b.byAction[i], r)
		}
	}
}

func newIndex(rules []*rule) index {
	x := index{byResource: map[cedar.EntityUID]*bucket{}, byPrincipal: map[cedar.EntityUID]*bucket{}}
	for _, r := range rules {
		switch {
		case r.rentity != noEntity && r.rentity.Type != typeOrganisation:
			fileUnder(x.byResource, r.rentity).add(r)
		case r.pentity != noEntity:
			fileUnder(x.byPrincipal, r.pentity).add(r)
		default:
			x.rest.add(r)
		}
	}
	return x
}

func fileUnder(m map[cedar.EntityUID]*bucket, key cedar.EntityUID) *bucket {
	if m[key] == nil {
		m[key] = &bucket{}
	}
	return m[key]
}

// slice is a set of candidate policies. It implements cedar.PolicyIterator.
type slice []*rule

func (s slice) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, r := range s {
			if !yield(r.id, r.policy) {
				return
			}
		}
	}
}

// conditions is a set of policies that are known to match but for their
// conditions. It implements cedar.PolicyIterator.
type conditions []*rule

func (s *conditions) All() iter.Seq2[cedar.PolicyID, *cedar.Policy] {
	return func(yield func(cedar.PolicyID, *cedar.Policy) bool) {
		for _, r := range *s {
			if !yield(r.id, r.conditions()) {
				return
			}
		}
	}
}

// find appends the rules whose scope may match the request.
func (x *index) find(r *request, into slice) slice {
	into = r.pick(&x.rest, into)
	if len(x.byPrincipal) > 0 {
		into = r.pick(x.byPrincipal[r.puid], into)
		for _, u := range r.above {
			into = r.pick(x.byPrincipal[u], into)
		}
	}
	if len(x.byResource) > 0 {
		into = r.pick(x.byResource[r.ruid], into)
		for _, u := range r.over {
			into = r.pick(x.byResource[u], into)
		}
	}
	return into
}

func (r *request) pick(b *bucket, into slice) slice {
	if b == nil {
		return into
	}
	for _, c := range b.any {
		if r.mayMatch(c) {
			into = append(into, c)
		}
	}
	for _, c := range b.byAction[r.action.bit] {
		if r.mayMatch(c) {
			into = append(into, c)
		}
	}
	return into
}

func (r *request) mayMatch(c *rule) bool {
	if c.actions&(1<<r.action.bit) == 0 ||
		(c.types != 0 && c.types&(1<<r.kind.bit) == 0) ||
		(c.ptype != "" && c.ptype != r.puid.Type) {
		return false
	}
	return c.pentity == noEntity || c.pentity == r.puid || contains(r.above, c.pentity)
}

// matches tells whether the scope of a candidate does match: as Cedar, which
// need not look at it again. It is for requests in which principal and resource
// are not the same.
func (r *request) matches(c *rule) bool {
	if c.pself && c.pentity != r.puid || c.rtype != "" && c.rtype != r.ruid.Type {
		return false
	}
	return c.rentity == noEntity || c.rentity == r.ruid || !c.rself && contains(r.over, c.rentity)
}

func contains(set []cedar.EntityUID, u cedar.EntityUID) bool {
	for i := range set {
		if set[i].ID == u.ID && set[i].Type == u.Type {
			return true
		}
	}
	return false
}
