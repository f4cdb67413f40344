package access

import (
	"context"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"fairlead/internal/fault"
	"fairlead/internal/principal"
)

// WhyRequest asks how a decision comes about.
type WhyRequest struct {
	// Principal is an id or a name; "" is the caller. Asking about others
	// needs access:view.
	Principal string
	Action    Action
	// Target may name its team, project and environment by name or id in
	// TeamID, ProjectID and EnvironmentID; the rest is filled in from them.
	Target Target
}

// PolicyText is a policy as its author wrote it.
type PolicyText struct {
	ID     string
	Effect string // permit, forbid
	Text   string
}

// NearMiss is a permit that would have allowed it, but for what is listed.
type NearMiss struct {
	PolicyText
	Missing []string
}

// Explanation is the answer to a WhyRequest.
type Explanation struct {
	Allowed   bool
	Summary   string // one sentence
	Principal principal.Principal
	Action    Action
	Target    Target
	Version   int64
	Deciding  []PolicyText // permits when allowed, forbids when forbidden; none when nothing allows it
	Roles     []string     // the caller's roles that counted for this target
	Errors    []string     // policies that could not be evaluated
	NearMiss  []NearMiss   // for denials: nearest first, at most five
	WouldDo   []string     // for denials: the roles that would allow it
}

// Why says who may or may not, by which policies, and what would have to be
// otherwise.
func (s *Service) Why(ctx context.Context, r WhyRequest) (Explanation, error) {
	p := principal.From(ctx)
	if p.Kind == principal.Anonymous || p.ID == "" {
		return Explanation{}, s.current.Load().refusal(principal.Nobody, AccessView, Target{Kind: "access"})
	}
	about := p
	if r.Principal != "" && r.Principal != p.ID && r.Principal != p.Name {
		if _, err := s.Check(ctx, AccessView, Target{Kind: "access"}); err != nil {
			return Explanation{}, err
		}
		if s.principals == nil {
			return Explanation{}, fault.New(fault.Unavailable, "no_directory", "nobody can be looked up yet").WithRetryAfter(1)
		}
		var err error
		if about, err = s.principals.Lookup(ctx, r.Principal); err != nil {
			return Explanation{}, err
		}
	}
	if _, ok := actionTable[r.Action]; !ok {
		return Explanation{}, fault.New(fault.Invalid, "unknown_action", "there is no action %q", r.Action).WithField("/action").
			WithHint("actions look like resource:reveal; list them: fairlead access schema")
	}
	set := s.current.Load()
	whole := p
	whole.Scopes = nil // a narrow token may learn that it is too narrow
	knows := func(t Target) bool { return set.knows(whole, t) }
	if set.allows(p, AccessView, Target{Kind: "access"}) {
		knows = func(Target) bool { return true }
	}
	t, err := s.place(ctx, r.Target, r.Action, knows)
	if err != nil {
		return Explanation{}, err
	}
	if up := knownBy(t); !knows(up) {
		return Explanation{}, noSuch(up.Kind)
	}
	return set.explain(about, r.Action, t)
}

// place completes a target from the names in it. What the caller may not know
// of is answered like what is not there.
func (s *Service) place(ctx context.Context, t Target, a Action, knows func(Target) bool) (Target, error) {
	if t.Kind == "" {
		t.Kind = actionTable[a].kind
	}
	if _, _, err := question(a, t); err != nil {
		return t, fault.New(fault.Invalid, "unknown_target", "%s is not asked on %q", a, t.Kind).WithField("/target/kind").
			WithHint("see which kinds an action applies to: fairlead access schema")
	}
	t = t.normal()
	if t.TeamID == "" && t.ProjectID == "" && t.EnvironmentID == "" {
		return t, nil
	}
	pl, err := s.lists.get(ctx, s.directory)
	if err != nil {
		return t, err
	}
	for _, step := range []struct {
		kind string
		id   *string
		in   []Target
		fits func(Target) bool
	}{
		{"team", &t.TeamID, pl.teams, func(Target) bool { return true }},
		{"project", &t.ProjectID, pl.projects, func(x Target) bool { return t.TeamID == "" || x.TeamID == t.TeamID }},
		{"environment", &t.EnvironmentID, pl.environments, func(x Target) bool { return t.ProjectID == "" || x.ProjectID == t.ProjectID }},
	} {
		if *step.id == "" {
			continue
		}
		i := slices.IndexFunc(step.in, func(x Target) bool { return (x.ID == *step.id || x.Name == *step.id) && step.fits(x) })
		if i < 0 || !knows(step.in[i]) {
			return t, noSuch(step.kind)
		}
		found := step.in[i].normal()
		*step.id = found.ID
		t.TeamID = firstNonEmpty(t.TeamID, found.TeamID)
		t.ProjectID = firstNonEmpty(t.ProjectID, found.ProjectID)
		t.EnvironmentClass = firstNonEmpty(t.EnvironmentClass, found.EnvironmentClass)
		if t.Kind == step.kind {
			t.ID, t.Name, t.Attributes = found.ID, found.Name, found.Attributes
		}
	}
	return t, nil
}

func (s *Set) explain(p principal.Principal, a Action, t Target) (Explanation, error) {
	v, err := s.ask(p, a, t)
	if err != nil {
		return Explanation{}, err
	}
	e := Explanation{Allowed: v.Allowed, Principal: p, Action: a, Target: t, Version: s.version}
	for _, id := range v.Policies {
		e.Deciding = append(e.Deciding, s.policyText(cedar.PolicyID(strings.TrimSuffix(id, erroredForbid))))
	}
	for _, x := range v.errors {
		e.Errors = append(e.Errors, string(x.PolicyID)+": "+x.Message)
	}
	if p.Kind == principal.Internal {
		e.Summary = "Fairlead's own background work is not subject to policies"
		return e, nil
	}
	r := newRequest(p, actionTable[a], kinds[t.Kind], t, s.scopedRoles)
	for _, u := range r.above {
		if u.Type == typeRole {
			e.Roles = append(e.Roles, string(u.ID))
		}
	}
	switch {
	case e.Allowed:
		e.Summary = p.Name + " may " + describe(a, t) + inClass(t) + ": permitted by " + strings.Join(v.Policies, ", ")
		return e, nil
	case !ScopeAllows(p.Scopes, a):
		e.Summary = "the token's scopes (" + strings.Join(p.Scopes, ", ") + ") do not cover " + string(a)
	case len(e.Deciding) > 0:
		e.Summary = p.Name + " may not " + describe(a, t) + inClass(t) + ": forbidden by " + strings.Join(v.Policies, ", ")
	default:
		e.Summary = p.Name + " may not " + describe(a, t) + inClass(t) + ": no policy permits it"
	}
	e.NearMiss = s.nearMisses(r)
	e.WouldDo = s.rolesThatMay(p.Kind, a, t)
	return e, nil
}

func (s *Set) policyText(id cedar.PolicyID) PolicyText {
	r := s.byID[id]
	if r == nil {
		return PolicyText{ID: string(id), Effect: "permit"}
	}
	effect := "forbid"
	if r.effect == cedar.Permit {
		effect = "permit"
	}
	return PolicyText{ID: string(id), Effect: effect, Text: s.text(r)}
}

// nearMisses are the permits for the action and the kind of thing, those first
// that lack least.
func (s *Set) nearMisses(r *request) []NearMiss {
	const most = 5
	var out []NearMiss
	for _, c := range s.rules {
		if c.effect != cedar.Permit || c.actions&(1<<r.action.bit) == 0 || (c.types != 0 && c.types&(1<<r.kind.bit) == 0) {
			continue
		}
		missing := r.missing(c)
		if len(missing) == 0 {
			continue // it permits; a forbid or a token's scope is in the way
		}
		at, _ := slices.BinarySearchFunc(out, len(missing)+1, func(n NearMiss, want int) int { return len(n.Missing) - want })
		if at < most {
			out = slices.Insert(out, at, NearMiss{PolicyText: s.policyText(c.id), Missing: missing})
			out = out[:min(len(out), most)]
		}
	}
	return out
}

// missing lists the parts of a permit that do not hold.
func (r *request) missing(c *rule) []string {
	tree := (*ast.Policy)(c.policy.AST())
	var out []string
	if c.ptype != "" && c.ptype != r.puid.Type {
		out = append(out, "the principal is a "+strings.ToLower(string(r.puid.Type))+", not a "+strings.ToLower(string(c.ptype)))
	}
	if p := (&ast.Policy{Effect: ast.EffectPermit, Principal: tree.Principal, Action: ast.ScopeTypeAll{}, Resource: ast.ScopeTypeAll{}}); c.pentity != noEntity && !r.holds(p) {
		out = append(out, "the principal is not in "+c.pentity.String())
	}
	if p := (&ast.Policy{Effect: ast.EffectPermit, Principal: ast.ScopeTypeAll{}, Action: ast.ScopeTypeAll{}, Resource: tree.Resource}); c.rentity != noEntity && !r.holds(p) {
		out = append(out, "the thing is not in "+c.rentity.String())
	}
	for _, cond := range tree.Conditions {
		for _, part := range conjuncts(cond) {
			p := &ast.Policy{
				Effect: ast.EffectPermit, Principal: ast.ScopeTypeAll{}, Action: ast.ScopeTypeAll{}, Resource: ast.ScopeTypeAll{},
				Conditions: []ast.ConditionType{part},
			}
			if !r.holds(p) {
				out = append(out, "this does not hold: "+conditionText(p))
			}
		}
	}
	return out
}

func (r *request) holds(tree *ast.Policy) bool {
	one := slice{{id: "part", policy: cedar.NewPolicyFromAST((*cedarast.Policy)(tree))}}
	r.wants, r.pwants, r.built = allAttributes, allAttributes, 0
	ok, _ := cedar.Authorize(one, r, r.query())
	return ok == cedar.Allow
}

// conditionText is the one condition of a policy, on one line.
func conditionText(tree *ast.Policy) string {
	text := string(cedar.NewPolicyFromAST((*cedarast.Policy)(tree)).MarshalCedar())
	if i := strings.IndexByte(text, ')'); i >= 0 {
		text = text[i+1:]
	}
	return strings.TrimSuffix(strings.Join(strings.Fields(text), " "), ";")
}
