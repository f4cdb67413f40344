package guardrail

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"fairlead/internal/fault"
	"fairlead/internal/gate"
	"fairlead/internal/rego"
)

// guarded says what protected guardrails have against a change. One that is
// protected stays as it is or becomes stricter. Its protection is taken away
// by a version in which all else of it is the same and which somebody else
// than its author puts in force; a later version may then weaken it.
func (st step) guarded(by string) error {
	if st.damaged {
		// Nobody knows what it protected.
		if st.to == nil {
			return protected("the version in force was tampered with, and may have been protected").
				WithHint("push its content again to mend it, or put another version in force, which somebody else than its author does")
		}
		if st.to.CreatedBy == by {
			return secondPerson(st.to, "the version in force was tampered with, and may have been protected")
		}
		return nil
	}
	if st.from == nil {
		return nil
	}
	var weaker, bared []string
	for i := range st.from.Guards {
		old := &st.from.Guards[i]
		if !old.Protected {
			continue
		}
		what := fmt.Sprintf("%s at the stage %s", old.Package, old.Stage)
		why, keeps := "is gone", false
		if st.to != nil {
			for j := range st.to.Guards {
				if st.to.Guards[j].Package != old.Package || st.to.Guards[j].Stage != old.Stage {
					continue
				}
				if w := old.weaker(st.to.Guards[j]); w == "" {
					why, keeps = "", keeps || st.to.Guards[j].Protected
				} else if why != "" {
					why = w
				}
			}
		}
		switch {
		case why != "":
			weaker = append(weaker, what+" "+why)
		case !keeps:
			bared = append(bared, what)
		}
	}
	if len(weaker) > 0 {
		f := protected("protected guardrails would be weaker: " + strings.Join(weaker, "; ")).
			WithHint("keep them; or first put a version in force, pushed by somebody else, that only takes their protection away")
		for _, w := range weaker {
			f = f.WithViolations(fault.Violation{Message: w})
		}
		return f
	}
	if len(st.broken) > 0 && st.to.CreatedBy == by {
		return secondPerson(st.to, fmt.Sprintf("of the tests of %s, whose guardrails are protected, it fails %s", st.from.Label(), strings.Join(st.broken[:min(len(st.broken), 5)], ", ")))
	}
	if len(bared) > 0 && st.to.CreatedBy == by {
		return secondPerson(st.to, "protection would be taken from "+strings.Join(bared, ", "))
	}
	return nil
}

// protects tells whether some guardrail of the bundle is protected.
func (b *Bundle) protects() bool {
	return slices.ContainsFunc(b.Guards, func(g Guard) bool { return g.Protected })
}

// fails gives the tests of old that b's policies do not pass: a rule that
// still stands, but no longer says what it said.
func (b *Bundle) fails(ctx context.Context, old *Bundle) []string {
	files := rego.Files{}
	take := func(of *Bundle, tests bool) {
		for _, name := range of.Files() {
			if strings.HasSuffix(name, ".rego") && rego.IsTest(name) == tests {
				files[name], _ = of.File(name)
			}
		}
	}
	take(b, false)
	take(old, true)
	data, err := dataOf(b.files)
	if err != nil {
		return []string{"all"}
	}
	program, err := rego.Compile(files, rego.Options{Data: data})
	if err != nil {
		return []string{"all: they no longer compile with it"}
	}
	results, err := program.Test(ctx, rego.Limits{})
	if err != nil {
		return []string{"all: " + err.Error()}
	}
	var out []string
	for _, r := range results {
		if !r.Passed && !r.Skipped {
			out = append(out, short(r.Name, 80))
		}
	}
	return out
}

func protected(why string) *fault.Error {
	return fault.New(fault.Denied, "guard_protected", "this is guarded: %s", why)
}

func secondPerson(b *Bundle, why string) error {
	return protected(why+", and you pushed "+b.Label()+" yourself").WithHint("somebody else must put it in force: fairlead policy activate %s", b.Label())
}

// weaker says in what next is less than g; "" when it is in nothing.
func (g *Guard) weaker(next Guard) string {
	weight := map[gate.Strength]int{gate.Advise: 0, gate.Approve: 1, gate.Deny: 2}
	switch {
	case weight[next.Strength] < weight[g.Strength]:
		return fmt.Sprintf("would only %s", next.Strength)
	case !g.Scope.within(next.Scope):
		return "would be about less"
	case next.Input != g.Input:
		return "would look at something else"
	case next.Need.Count < g.Need.Count:
		return "would ask fewer people"
	case next.Need.Role != g.Need.Role || next.Need.Team != g.Need.Team || !slices.Equal(next.Need.People, g.Need.People):
		return "would ask other people"
	}
	for _, r := range g.Rules {
		if !slices.Contains(next.Rules, r) {
			return "would lose its rule " + r
		}
	}
	return ""
}
