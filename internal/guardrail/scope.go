package guardrail

import (
	"slices"
	"strings"
)

// place is where a decision is made, in names.
type place struct{ team, project, environment, class, template string }

func (s Scope) dimensions() [5][]string {
	return [5][]string{s.Teams, s.Projects, s.Environments, s.Classes, s.Templates}
}

func (p place) names() [5]string {
	return [5]string{p.team, p.project, p.environment, p.class, p.template}
}

// Empty tells whether the scope is everything.
func (s Scope) Empty() bool {
	for _, d := range s.dimensions() {
		if len(d) > 0 {
			return false
		}
	}
	return true
}

// holds tells whether a place is within the scope: each list that is there has
// a pattern that fits.
func (s Scope) holds(p place) bool {
	names := p.names()
	for i, patterns := range s.dimensions() {
		if len(patterns) > 0 && !slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, names[i]) }) {
			return false
		}
	}
	return true
}

// within tells whether all that s holds other surely holds too: used to tell a
// scope that was narrowed. It errs towards no.
func (s Scope) within(other Scope) bool {
	mine, theirs := s.dimensions(), other.dimensions()
	for i := range mine {
		if len(theirs[i]) == 0 {
			continue
		}
		if len(mine[i]) == 0 {
			if slices.ContainsFunc(theirs[i], func(p string) bool { return strings.Trim(p, "*") == "" }) {
				continue
			}
			return false
		}
		for _, pattern := range mine[i] {
			if !slices.ContainsFunc(theirs[i], func(p string) bool { return covers(p, pattern) }) {
				return false
			}
		}
	}
	return true
}

// covers tells whether wide surely fits all that narrow fits. Stars of narrow
// are taken as a text that only a star of wide fits.
func covers(wide, narrow string) bool {
	return wide == narrow || matches(wide, strings.ReplaceAll(narrow, "*", "\x00"))
}

// matches tells whether a pattern fits a name; * stands for any text, also
// none. It takes time in proportion to the product of the lengths at worst.
func matches(pattern, name string) bool {
	star, mark := -1, 0
	p, n := 0, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
