package guardrail

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"fairlead/internal/gate"
	"fairlead/internal/rego"
)

// The bounds of what a guardrail may say.
const (
	maxVerdicts = 200     // of one guardrail
	maxMessage  = 2 << 10 // bytes
	maxDetail   = 500     // bytes of any other text
	maxPeople   = 20
)

// asked is one rule of a guardrail in force.
type asked struct {
	e    *entry
	name string
}

// verdicts reads what one rule answered. What cannot be read is a verdict of
// the rule's own strength that says so: a rule that means to deny does.
func (a asked) verdicts(answer rego.Answer) []gate.Verdict {
	if !answer.Defined {
		return nil
	}
	list := []any{answer.Value}
	if l, ok := answer.Value.([]any); ok {
		list = l
	}
	var out []gate.Verdict
	for _, item := range list {
		if said, ok := item.(bool); ok && !said {
			continue
		}
		if len(out) == maxVerdicts {
			v := a.verdict()
			v.Message = fmt.Sprintf("the rule says more than %d things; the rest is left out", maxVerdicts)
			if v.Strength == gate.Approve { // who else must agree is not known
				v.Strength, v.Need = gate.Deny, nil
			}
			return append(out, v)
		}
		out = append(out, a.read(item))
	}
	return out
}

// verdict is what every verdict of the rule says.
func (a asked) verdict() gate.Verdict {
	g := a.e.guard
	v := gate.Verdict{Source: "guardrail", Rule: g.Package + "." + a.name, Bundle: a.e.bundle.Label(), Strength: a.strength(), Docs: g.Docs}
	if v.Strength == gate.Approve {
		need := g.Need
		need.People = slices.Clone(need.People)
		v.Need = &need
	}
	return v
}

// strength is what the rule's name says, and at most what its guardrail says.
func (a asked) strength() gate.Strength {
	kind, _, _ := strings.Cut(a.name, "_")
	switch kind {
	case "warn":
		return gate.Advise
	case "approve":
		if a.e.guard.Strength == gate.Advise {
			return gate.Advise
		}
		return gate.Approve
	}
	return a.e.guard.Strength
}

func (a asked) read(item any) gate.Verdict {
	v := a.verdict()
	switch item := item.(type) {
	case string:
		v.Message = short(item, maxMessage)
	case bool:
		v.Message = "the rule " + v.Rule + " holds"
	case map[string]any:
		a.readObject(&v, item)
	}
	if v.Message == "" {
		v.Message = "the rule says no in a form that cannot be read: a text, or an object with msg, is needed"
	}
	return v
}

func (a asked) readObject(v *gate.Verdict, item map[string]any) {
	text := func(name string) string {
		s, _ := item[name].(string)
		return short(s, maxDetail)
	}
	if msg, ok := item["msg"].(string); ok {
		v.Message = short(msg, maxMessage)
	}
	if name := text("rule"); name != "" {
		v.Rule = a.e.guard.Package + "." + name
	}
	v.Remedy = text("remedy")
	if docs := link(text("docs")); docs != "" {
		v.Docs = docs
	}
	if field := text("field"); strings.HasPrefix(field, "/") {
		v.Field = field
	}
	if v.Need != nil {
		readNeed(v.Need, item)
	}
}

// readNeed takes over who must agree. What is wrong in it leaves the
// guardrail's own: nobody is asked for less by a mistake.
func readNeed(n *gate.Need, item map[string]any) {
	role, hasRole := item["role"].(string)
	team, hasTeam := item["team"].(string)
	people, hasPeople := item["people"].([]any)
	if hasRole || hasTeam || hasPeople {
		var names []string
		for _, p := range people[:min(len(people), maxPeople)] {
			if name, ok := p.(string); ok && name != "" {
				names = append(names, short(name, maxDetail))
			}
		}
		if role != "" || team != "" || len(names) > 0 {
			n.Role, n.Team, n.People = short(role, maxDetail), short(team, maxDetail), names
		}
	}
	if count, ok := item["count"].(json.Number); ok {
		if c, err := count.Int64(); err == nil && c >= 1 && c <= maxPeople {
			n.Count = int(c)
		}
	}
	if within, ok := item["within"].(string); ok {
		if d, err := time.ParseDuration(within); err == nil && d >= time.Minute && d <= 365*24*time.Hour {
			n.Within = d
		}
	}
}

// link lets a link through that a browser may be led to.
func link(s string) string {
	if strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") ||
		strings.HasPrefix(s, "/") && !strings.HasPrefix(s, "//") && !strings.HasPrefix(s, `/\`) {
		return s
	}
	return ""
}

// short makes text fit for one line of a terminal, and not too long: messages
// carry what a requester typed.
func short(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most-len("…")], "") + "…"
	}
	return s
}
