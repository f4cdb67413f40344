package gate

import (
	"slices"
	"strconv"
	"time"

	"fairlead/internal/fault"
)

// Strength is how much a verdict weighs.
type Strength string

// The strengths.
const (
	Advise  Strength = "advise"  // a warning; nothing is held up
	Approve Strength = "approve" // somebody must agree first
	Deny    Strength = "deny"
)

// Verdict is what one rule has to say. Every verdict is shown, not only the
// first.
type Verdict struct {
	Source   string // guardrail, quota, budget, template, window, lease, rollout
	Rule     string // package and rule, or the limit's name
	Bundle   string // name@version of a guardrail's bundle
	Strength Strength
	Message  string
	Remedy   string // how to put it right
	Docs     string // a link
	Field    string // JSON pointer into the inputs, where one is at fault
	Need     *Need  // who must agree, when Strength is Approve
}

// Need is who must agree: so many different people of those that Role, Team
// or People names. Empty Role and People: any approver of the team that owns
// the environment.
type Need struct {
	Role   string        // approver, team-owner, platform-admin, …
	Team   string        // name; "" is the team that owns the environment
	People []string      // names of users; any of them
	Count  int           // how many of them; at least 1
	Within time.Duration // the request for approval expires after it; 0: the default
}

// Judgement is what all rules said about some facts.
type Judgement struct {
	ID       string // of the record; "" before it is recorded
	Facts    Facts  // as they were judged, completed
	Verdicts []Verdict
	Policy   string // digest of the active guardrails
	At       time.Time

	document string // Facts as rules saw them, written down; "": not yet
}

// With gives the verdicts of a strength.
func (j Judgement) With(s Strength) []Verdict {
	var out []Verdict
	for _, v := range j.Verdicts {
		if v.Strength == s {
			out = append(out, v)
		}
	}
	return out
}

// Denied tells whether some rule says no.
func (j Judgement) Denied() bool {
	return slices.ContainsFunc(j.Verdicts, func(v Verdict) bool { return v.Strength == Deny })
}

// Outcome is allowed, approval or denied.
func (j Judgement) Outcome() string {
	switch {
	case j.Denied():
		return "denied"
	case len(j.With(Approve)) > 0:
		return "approval"
	}
	return "allowed"
}

// Err is nil unless the judgement is a denial: then a Denied fault that lists
// every denial, each with its rule and how to put it right.
func (j Judgement) Err() error {
	no := j.With(Deny)
	if len(no) == 0 {
		return nil
	}
	code, what := "guardrail_denied", "a guardrail does"
	if len(no) > 1 {
		what = strconv.Itoa(len(no)) + " guardrails do"
	}
	if slices.IndexFunc(no, func(v Verdict) bool { return v.Source != "quota" && v.Source != "budget" }) < 0 {
		code = no[0].Source + "_exceeded"
	}
	if slices.IndexFunc(no, func(v Verdict) bool { return v.Source != "rollout" }) < 0 {
		code = "plan_changed"
	}
	f := fault.New(fault.Denied, code, "%s not allow this: %s", what, no[0].Message)
	if code != "guardrail_denied" {
		f = fault.New(fault.Denied, code, "%s", no[0].Message)
	}
	hint := no[0].Remedy
	if j.ID != "" {
		hint = join(hint, "see all verdicts with: fairlead why denied "+j.ID)
	}
	f = f.WithHint("%s", hint)
	for _, v := range no {
		f.Violations = append(f.Violations, fault.Violation{Field: v.Field, Message: join(v.Rule+": "+v.Message, v.Remedy)})
	}
	return f
}

func join(a, b string) string {
	switch {
	case a == "":
		return b
	case b == "":
		return a
	}
	return a + "; " + b
}
