package access

import (
	"context"
	"fmt"
	"slices"

	"github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
)

// elsewhere stands for any team that nobody names.
const elsewhere = "\x00elsewhere"

func appendOnce(s []string, v string) []string {
	if slices.Contains(s, v) {
		return s
	}
	return append(s, v)
}

func author(ctx context.Context) principal.Principal { return principal.From(ctx) }

// guard refuses a change by which the author would shut everybody out or gain
// what they lack. Fairlead itself may do anything: that is the way out for an
// operator at the machine.
func guard(ctx context.Context, before, after *Set) error {
	if err := after.lockout(); err != nil {
		return err
	}
	p := author(ctx)
	if p.Kind == principal.Internal {
		return nil
	}
	p.Scopes, p.TokenID = nil, "" // what they hold, however they came in
	if v, err := after.ask(p, AccessUpdate, Target{Kind: "access"}); err != nil || !v.Allowed {
		return fault.New(fault.Conflict, "policy_lockout", "after this you could not change the policies any more").
			WithHint("leave yourself access:update; somebody else who has it can take it from you").WithField("/source")
	}
	return escalation(p, before, after)
}

// lockout refuses a set under which a plain platform-admin could not change
// the policies, nor read them.
func (s *Set) lockout() error {
	admin := principal.Principal{Kind: principal.User, ID: "\x00admin", OrgRoles: []principal.Role{principal.PlatformAdmin}}
	for _, a := range []Action{AccessUpdate, AccessView} {
		if v, err := s.ask(admin, a, Target{Kind: "access"}); err != nil || !v.Allowed {
			return fault.New(fault.Conflict, "policy_lockout", "after this no platform-admin could do %s", a).
				WithField("/source").WithHint(`keep a permit for principal in Role::"platform-admin" on it, and no forbid against it`)
		}
	}
	return nil
}

// escalation compares what the author may do before and after, over all
// actions on representative targets: each team of theirs and any other, each
// class, each thing that a changed policy names. What a changed policy looks
// at beyond that is taken to favour the author after and not before, so
// nothing hides in a condition.
//
// An author who is no platform-admin also gives nobody else what they lack.
func escalation(p principal.Principal, before, after *Set) error {
	changed := changedRules(before, after)
	if len(changed) == 0 {
		return nil
	}
	// What both sets have is judged as it is; of what differs, the old is
	// taken at its strictest and the new at its most generous.
	strict, bare := before.taking(after, levelEnvironment, (*rule).against), before.taking(nil, levelNone, (*rule).against)
	generous := after.taking(before, levelEnvironment, (*rule).inFavour)
	open := map[Action]map[string]bool{} // what the author may not do everywhere, by kind
	var openKinds []string
	for _, a := range actions {
		open[a] = map[string]bool{}
		for kind, info := range kinds {
			if applies(actionTable[a], info) && !bare.allows(p, a, Target{Kind: kind}) {
				open[a][kind] = true
				openKinds = appendOnce(openKinds, kind)
			}
		}
	}
	targets, err := representatives(p, openKinds, changed)
	if err != nil {
		return err
	}
	admin := p.HasOrgRole(principal.PlatformAdmin)
	for _, a := range actions {
		for _, t := range targets {
			if !open[a][t.Kind] || strict.allows(p, a, t) {
				continue
			}
			if generous.allows(p, a, t) {
				return escalates(a, t, "you", changed)
			}
			if !admin && anyoneGains(changed, after, a, t) {
				return escalates(a, t, "somebody", changed)
			}
		}
	}
	return nil
}

func (s *Set) allows(p principal.Principal, a Action, t Target) bool {
	v, err := s.ask(p, a, t)
	return err == nil && v.Allowed
}

func escalates(a Action, t Target, who string, changed []*rule) *fault.Error {
	ids := make([]string, 0, len(changed))
	for _, r := range changed {
		if r.actions&(1<<actionTable[a].bit) != 0 && !slices.Contains(ids, string(r.id)) {
			ids = append(ids, string(r.id))
		}
	}
	where := " on a " + kinds[t.Kind].noun + inClass(t)
	return fault.New(fault.Denied, "policy_escalation", "after this %s could do %s%s, which you may not do now", who, a, where).
		WithHint("nobody grants what they do not hold: ask somebody who may; look at %v", ids).WithField("/source")
}

// changedRules are the rules of either set that the other has not, or not so.
func changedRules(before, after *Set) []*rule {
	var out []*rule
	for _, pair := range [...][2]*Set{{before, after}, {after, before}} {
		for _, r := range pair[0].rules {
			if other := pair[1].byID[r.id]; other == nil || !sameRule(r, other) {
				out = append(out, r)
			}
		}
	}
	return out
}

// taking is s with the rules that base has not (all when base is nil) as how
// makes them at a level.
func (s *Set) taking(base *Set, l level, how func(*rule, level) *rule) *Set {
	out := &Set{version: s.version, scopedRoles: s.scopedRoles}
	for _, r := range s.rules {
		if base == nil || base.byID[r.id] == nil || !sameRule(r, base.byID[r.id]) {
			if r = how(r, l); r == nil {
				continue
			}
		}
		out.rules = append(out.rules, r)
	}
	out.index = newIndex(out.rules)
	return out
}

// anyoneGains tells whether a new permit could let some principal do it.
func anyoneGains(changed []*rule, after *Set, a Action, t Target) bool {
	for _, r := range changed {
		if r.effect != cedar.Permit || after.byID[r.id] != r || r.actions&(1<<actionTable[a].bit) == 0 {
			continue
		}
		open := r.inFavour(levelEnvironment)
		tree := *(*ast.Policy)(open.policy.AST())
		tree.Principal = ast.ScopeTypeAll{}
		tree.Conditions = slices.DeleteFunc(splitAll(tree.Conditions), func(c ast.ConditionType) bool { return namesPrincipal(c.Body) })
		one := newRule(r.id, cedar.NewPolicyFromAST((*cedarast.Policy)(&tree)))
		set := &Set{rules: []*rule{one}, index: newIndex([]*rule{one})}
		if set.allows(principal.Principal{Kind: principal.User, ID: "\x00anyone"}, a, t) {
			return true
		}
	}
	return false
}

func splitAll(conds []ast.ConditionType) []ast.ConditionType {
	var out []ast.ConditionType
	for _, c := range conds {
		out = append(out, conjuncts(c)...)
	}
	return out
}

func namesPrincipal(body ast.IsNode) bool {
	found := false
	ast.Inspect(ast.NewNode(body), func(n ast.IsNode) bool {
		v, ok := n.(ast.NodeTypeVariable)
		found = found || (ok && v.Name == "principal")
		return true
	})
	return found
}

const maxTargets = 20_000

// representatives are the targets that decisions are compared on.
func representatives(p principal.Principal, of []string, changed []*rule) ([]Target, error) {
	teams := []string{"", elsewhere}
	add := func(id string) {
		if id != "" && !slices.Contains(teams, id) {
			teams = append(teams, id)
		}
	}
	for _, m := range p.Memberships {
		add(m.TeamID)
	}
	own := slices.Clone(teams)
	named := map[cedar.EntityUID]bool{}
	for _, r := range changed {
		eachEntity(r.policy, func(u cedar.EntityUID) {
			if u.Type == typeTeam {
				add(string(u.ID))
			}
			named[u] = true
		})
	}
	var out []Target
	for _, kind := range of {
		for _, team := range teams {
			out = append(out, inClasses(Target{Kind: kind, ID: elsewhere, TeamID: team})...)
			if kind == "team" && team != "" {
				out = append(out, Target{Kind: kind, ID: team, TeamID: team})
			}
		}
		for _, team := range own {
			for u := range named {
				out = append(out, placed(kind, team, u)...)
			}
		}
		if len(out) > maxTargets {
			return nil, fault.New(fault.TooLarge, "policy_change_too_large", "the change names too many things to be judged at once").
				WithHint("make it in smaller steps, or ask a platform-admin whom no policy forbids anything").WithField("/source")
		}
		out = append(out, Target{Kind: kind, ID: elsewhere, OwnerID: p.ID}, Target{Kind: kind})
	}
	return out, nil
}

func inClasses(t Target) []Target {
	out := []Target{t}
	for _, c := range classes {
		t.EnvironmentClass = c
		out = append(out, t)
	}
	return out
}

// placed puts a target of the kind at or in a thing that a policy names.
func placed(kind, team string, u cedar.EntityUID) []Target {
	t := Target{Kind: kind, ID: elsewhere, TeamID: team}
	switch u.Type {
	case typeProject:
		t.ProjectID = string(u.ID)
	case typeEnvironment:
		t.EnvironmentID = string(u.ID)
	default:
		if u.Type != kinds[kind].typ {
			return nil
		}
	}
	if u.Type == kinds[kind].typ {
		t.ID = string(u.ID)
	}
	return inClasses(t)
}

// Warning points at a policy that does what its author may not expect.
type Warning struct {
	Policy  string
	Message string
}

// warnings of a set that is allowed, but has surprising effects on lists.
func (s *Set) warnings() []Warning {
	var out []Warning
	for _, r := range s.rules {
		if r.effect == cedar.Forbid && r.actions&viewActions != 0 && !r.knownAt(levelEnvironment) && len(out) < maxReported {
			out = append(out, Warning{Policy: string(r.id), Message: fmt.Sprintf(
				"%q looks at single things, which lists cannot: whoever it may apply to sees no list of the whole place", r.id)})
		}
	}
	return out
}
