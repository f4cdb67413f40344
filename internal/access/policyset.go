package access

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/cedar-policy/cedar-go"
	cedarast "github.com/cedar-policy/cedar-go/ast"
	"github.com/cedar-policy/cedar-go/x/exp/ast"

	"fairlead/internal/fault"
	"fairlead/internal/regex"
)

// Limits of a policy text. The parser and the evaluator recurse, so nesting
// and the length of one policy are bounded before either sees the text.
const (
	maxSource    = 16 << 20
	maxStatement = 64 << 10
	maxNesting   = 64
	maxReported  = 50
)

var idPattern = regex.Late(`^[a-z0-9]([a-z0-9._-]{0,98}[a-z0-9])?$`)

// rule is one policy with what slicing needs to know of it.
type rule struct {
	id      cedar.PolicyID
	policy  *cedar.Policy
	effect  cedar.Effect
	actions actionBits
	types   uint32           // bits of resource types; 0 is all
	ptype   cedar.EntityType // of the principal; "" is all
	pentity cedar.EntityUID  // the principal is or is in it; zero is any
	rentity cedar.EntityUID  // the resource is or is in it; zero is any
	rtype   cedar.EntityType // of the resource; "" is all
	pself   bool             // the principal is pentity itself: in it is not enough
	rself   bool             // the resource is rentity itself
	// wants and pwants are what its conditions look at of the resource and of
	// the principal.
	wants, pwants attributes
	bare          bool                         // it has no conditions: its scope is all
	stripped      atomic.Pointer[cedar.Policy] // see conditions
	reason        []string                     // its id alone, as a decision's Policies
}

// conditions is the policy without its scope, for requests that are known to
// match that. It is made when first asked for: most of a large set never are.
func (r *rule) conditions() *cedar.Policy {
	if p := r.stripped.Load(); p != nil {
		return p
	}
	tree := (*ast.Policy)(r.policy.AST())
	p := cedar.NewPolicyFromAST((*cedarast.Policy)(&ast.Policy{
		Effect: tree.Effect, Position: tree.Position, Conditions: tree.Conditions,
		Principal: ast.ScopeTypeAll{}, Action: ast.ScopeTypeAll{}, Resource: ast.ScopeTypeAll{},
	}))
	r.stripped.Store(p)
	return p
}

type actionBits uint64 // 64 actions are enough; a test watches

const allActions = ^actionBits(0)

// Set is a compiled policy set. It is immutable.
type Set struct {
	version int64
	source  string
	digest  string
	rules   []*rule // in the order of the text
	byID    map[cedar.PolicyID]*rule
	index   index
	// scopedRoles: some policy names a Role::"x@team".
	scopedRoles bool
	mentions    map[cedar.EntityUID]bool // things named anywhere, for Scope's grouping
	comparesIDs bool                     // some policy looks at the id of something as text
	lists       lists
}

// Version of the set; 0 for one that is not stored.
func (s *Set) Version() int64 { return s.version }

func digestOf(source string) string {
	sum := sha256.Sum256([]byte(source))
	return hex.EncodeToString(sum[:])
}

// Parse compiles a policy text. Errors are Invalid, code "invalid_policy",
// with a violation for each thing that is wrong; a violation's field is
// "/source/LINE/COLUMN". The text is not yet type-checked: see Check.
func Parse(source string) (*Set, error) {
	if err := bounded(source); err != nil {
		return nil, err
	}
	list, err := cedar.NewPolicyListFromBytes("policies", []byte(source))
	if err != nil {
		return nil, invalidPolicy([]fault.Violation{syntaxViolation(err)})
	}
	s := &Set{source: source, digest: digestOf(source), byID: make(map[cedar.PolicyID]*rule, len(list))}
	var bad []fault.Violation
	for _, p := range list {
		id, problem := policyID(p)
		if problem == "" && s.byID[id] != nil {
			problem = fmt.Sprintf("two policies have the @id %q; each needs one of its own", id)
		}
		if problem != "" {
			bad = append(bad, violationAt(p.Position(), problem))
			continue
		}
		r := newRule(id, p)
		s.rules = append(s.rules, r)
		s.byID[id] = r
	}
	if len(bad) > 0 {
		return nil, invalidPolicy(bad)
	}
	s.compile()
	return s, nil
}

func (s *Set) compile() {
	s.mentions = map[cedar.EntityUID]bool{}
	for _, r := range s.rules {
		eachEntity(r.policy, func(u cedar.EntityUID) {
			s.mentions[u] = true
			s.scopedRoles = s.scopedRoles || (u.Type == typeRole && strings.Contains(string(u.ID), "@"))
		})
	}
	for _, r := range s.rules {
		s.comparesIDs = s.comparesIDs || looksAtIDs(r.policy)
	}
	s.index = newIndex(s.rules)
	s.compileLists()
}

func policyID(p *cedar.Policy) (cedar.PolicyID, string) {
	id, ok := p.Annotations()["id"]
	switch {
	case !ok:
		return "", `the policy has no @id("…"); the audit log and "access why" name policies by it`
	case !idPattern().MatchString(string(id)):
		return "", fmt.Sprintf("the @id %q is not made of lower-case letters, digits, dots, dashes and underscores (at most 100)", id)
	}
	return cedar.PolicyID(id), ""
}

// newRule reads off a policy's scope which requests it can ever match.
func newRule(id cedar.PolicyID, p *cedar.Policy) *rule {
	tree := (*ast.Policy)(p.AST())
	r := &rule{id: id, policy: p, effect: p.Effect(), bare: len(tree.Conditions) == 0, reason: []string{string(id)}}
	r.wants, r.pwants = wanted(tree)
	switch sc := tree.Principal.(type) {
	case ast.ScopeTypeEq:
		r.pentity, r.pself = sc.Entity, true
	case ast.ScopeTypeIn:
		r.pentity = sc.Entity
	case ast.ScopeTypeIs:
		r.ptype = sc.Type
	case ast.ScopeTypeIsIn:
		r.ptype, r.pentity = sc.Type, sc.Entity
	}
	switch sc := tree.Action.(type) {
	case ast.ScopeTypeEq:
		r.actions = bitOf(sc.Entity)
	case ast.ScopeTypeIn:
		r.actions = bitOf(sc.Entity)
	case ast.ScopeTypeInSet:
		for _, u := range sc.Entities {
			r.actions |= bitOf(u)
		}
	default:
		r.actions = allActions
	}
	switch sc := tree.Resource.(type) {
	case ast.ScopeTypeEq:
		r.rentity, r.rself = sc.Entity, true
	case ast.ScopeTypeIn:
		r.rentity = sc.Entity
	case ast.ScopeTypeIs:
		r.types, r.rtype = typeMask(sc.Type), sc.Type
	case ast.ScopeTypeIsIn:
		r.types, r.rtype, r.rentity = typeMask(sc.Type), sc.Type, sc.Entity
	}
	return r
}

// wanted are the attributes that a policy's conditions can see of the resource
// and of the principal: an attribute is reached by its name and in no other way.
func wanted(tree *ast.Policy) (w, p attributes) {
	of := func(n ast.IsNode, a attributes) {
		v, _ := n.(ast.NodeTypeVariable)
		if v.Name != "principal" {
			w |= a
		}
		if v.Name != "resource" {
			p |= a
		}
	}
	for _, c := range tree.Conditions {
		ast.Inspect(ast.NewNode(c.Body), func(n ast.IsNode) bool {
			switch n := n.(type) {
			case ast.NodeTypeAccess:
				of(n.Arg, attributeNames[n.Value])
			case ast.NodeTypeHas:
				of(n.Arg, attributeNames[n.Value])
			case ast.NodeTypeHasTag, ast.NodeTypeGetTag:
				of(nil, wantTags)
			case ast.NodeTypeIn, ast.NodeTypeIsIn:
				of(nil, wantParents)
			}
			return true
		})
	}
	return w, p
}

// typeMask of a type that is none of ours matches no request.
func typeMask(t cedar.EntityType) uint32 {
	if bit, ok := typeBits[t]; ok {
		return 1 << bit
	}
	return 1 << 31
}

func bitOf(u cedar.EntityUID) actionBits {
	if info, ok := actionTable[Action(u.ID)]; ok && u.Type == actionType {
		return 1 << info.bit
	}
	return 0
}

// text gives a policy as its author wrote it, without the comments around it.
func (s *Set) text(r *rule) string {
	start := r.policy.Position().Offset
	if start < 0 || start >= len(s.source) {
		return string(r.policy.MarshalCedar())
	}
	end := start + statementLength(s.source[start:])
	return strings.TrimSpace(s.source[start:end])
}

// eachEntity calls fn for every entity that a policy names, but actions.
func eachEntity(p *cedar.Policy, fn func(cedar.EntityUID)) {
	each := func(n ast.IsNode) bool {
		if v, ok := n.(ast.NodeValue); ok {
			if u, ok := v.Value.(cedar.EntityUID); ok {
				fn(u)
			}
		}
		return true
	}
	tree := (*ast.Policy)(p.AST())
	for _, c := range tree.Conditions {
		ast.Inspect(ast.NewNode(c.Body), each)
	}
	r := newRule("", p)
	for _, u := range []cedar.EntityUID{r.pentity, r.rentity} {
		if u != noEntity {
			fn(u)
		}
	}
}

// bounded refuses what would exhaust the parser.
func bounded(source string) error {
	if len(source) > maxSource {
		return fault.New(fault.TooLarge, "policies_too_large", "the policies are over %d MiB", maxSource>>20).WithField("/source")
	}
	line := 1
	for rest := source; rest != ""; {
		n, deep := scanStatement(rest)
		if n > maxStatement || deep > maxNesting {
			return invalidPolicy([]fault.Violation{{
				Field:   fmt.Sprintf("/source/%d/1", line),
				Message: fmt.Sprintf("one policy may be %d KiB long and nest %d deep", maxStatement>>10, maxNesting),
			}})
		}
		line += strings.Count(rest[:n], "\n")
		rest = rest[n:]
	}
	return nil
}

func statementLength(s string) int { n, _ := scanStatement(s); return n }

// scanStatement measures the text up to and with the next semicolon outside
// strings and comments, and how deep it nests. Comments do not count as depth.
func scanStatement(s string) (length, deepest int) {
	depth, unary := 0, 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '"':
			for i++; i < len(s) && s[i] != '"' && s[i] != '\n'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		case c == '/' && i+1 < len(s) && s[i+1] == '/':
			for i < len(s) && s[i] != '\n' {
				i++
			}
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth--
		case c == ';':
			return i + 1, deepest
		}
		if c == '!' || c == '-' {
			unary++
		} else if c != ' ' {
			unary = 0
		}
		deepest = max(deepest, depth+unary)
	}
	return len(s), deepest
}

func invalidPolicy(v []fault.Violation) *fault.Error {
	more := ""
	if len(v) > maxReported {
		more, v = fmt.Sprintf(" (the first %d are listed)", maxReported), v[:maxReported]
	}
	return fault.New(fault.Invalid, "invalid_policy", "the policies have %s%s; the first: %s", count(len(v), "mistake"), more, v[0].Message).
		WithField("/source").WithViolations(v...).
		WithHint("nothing was changed; check a text without storing it with: fairlead access policies check FILE")
}

func count(n int, noun string) string {
	if n == 1 {
		return "one " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func violationAt(pos cedar.Position, message string) fault.Violation {
	return fault.Violation{
		Field:   fmt.Sprintf("/source/%d/%d", pos.Line, pos.Column),
		Message: fmt.Sprintf("line %d, column %d: %s", pos.Line, pos.Column, message),
	}
}

var syntaxPosition = regex.Late(`<input>:(\d+):(\d+)`)

// syntaxViolation finds the position in the parser's message, which is the
// only place where it says it.
func syntaxViolation(err error) fault.Violation {
	msg := err.Error()
	if i := strings.LastIndex(msg, "parse error at "); i >= 0 {
		msg = msg[i+len("parse error at "):]
	}
	m := syntaxPosition().FindStringSubmatchIndex(msg)
	if m == nil {
		return fault.Violation{Field: "/source", Message: msg}
	}
	line, _ := strconv.Atoi(msg[m[2]:m[3]])
	col, _ := strconv.Atoi(msg[m[4]:m[5]])
	rest := strings.TrimSpace(msg[:m[0]] + msg[m[1]:])
	return violationAt(cedar.Position{Line: line, Column: col}, "syntax: near "+rest)
}

// ids of rules, in order, for answers.
func idsOf(reasons []cedar.DiagnosticReason, of slice) []string {
	if len(reasons) == 1 {
		for _, r := range of {
			if r.id == reasons[0].PolicyID {
				return r.reason[:1:1] // shared: whoever appends gets a copy
			}
		}
	}
	out := make([]string, len(reasons))
	for i, r := range reasons {
		out[i] = string(r.PolicyID)
	}
	slices.Sort(out)
	return out
}
